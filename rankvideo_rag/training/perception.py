"""Stage one of RankVideo (arXiv 2602.02444, section 3.1): captions of videos, written inside <think>, by next-token prediction.

The prompt is that of `rankvideo synthesize captions`; only the answer counts in the loss.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.nn.functional import cross_entropy
from torch.utils.data import BatchSampler, DistributedSampler

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.text import clean
from rankvideo_rag.training.batches import IGNORED, Batch, Collator, PromptRow
from rankvideo_rag.training.checkpointing import TrainState, answer_logits, load_for_training, save_checkpoint
from rankvideo_rag.training.config import PerceptionConfig
from rankvideo_rag.training.inputs import FrameSource, make_frame_source, video_path
from rankvideo_rag.training.synthesis.prompts import CAPTION
from rankvideo_rag.training.trainer import Loss, train


def train_perception(
    config: PerceptionConfig, examples: Sequence[TrainingExample], *, frame_source: FrameSource | None = None
) -> Path:
    """Train on the captions of examples (`evidence.caption`), save the checkpoint and return its folder.

    `frame_source` returns a video's frames by its path; by default files are read.
    """
    state = load_for_training(config)
    frames = make_frame_source(config.frames, frame_source, keep=config.keep_frames)
    result = train(PerceptionTask(config, state, collect_captions(examples), frames), state.network, config)
    return save_checkpoint(state, config, result, examples)


class CaptionedVideo(NamedTuple):
    """A video with one caption."""

    caption: str
    video: str  # its path


def collect_captions(examples: Sequence[TrainingExample]) -> list[CaptionedVideo]:
    """Return each document with each of its captions, once. Raises InputError where there is none."""
    found: dict[tuple[str, str], CaptionedVideo] = {}
    for example in examples:
        caption = clean(example.evidence.caption) if example.evidence else ""
        if caption:
            found.setdefault((example.doc_id, caption), CaptionedVideo(caption, video_path(example)))
    if not found:
        raise InputError(f"none of {len(examples)} examples has a caption (evidence.caption): rankvideo synthesize captions")
    return list(found.values())


class PerceptionTask:
    """Next-token prediction of captions."""

    selection_metric: str | None = None

    def __init__(
        self, config: PerceptionConfig, state: TrainState, captions: Sequence[CaptionedVideo], frame_source: FrameSource
    ) -> None:
        self.items = captions
        self._config = config
        self._state = state
        self._collator = Collator(state.processor, frame_source, self._tokenize, is_cached=state.vision.is_cached)

    def batch_sampler(self, rank: int, world_size: int) -> BatchSampler:
        """Return batches of captions, each once in an epoch; what cannot be shared equally is left out of it."""
        if len(self.items) < world_size:
            raise InputError(f"{len(self.items)} videos for {world_size} processes: each needs one")
        config = self._config
        own: Any = DistributedSampler(
            self.items,  # type: ignore[arg-type]
            num_replicas=world_size,
            rank=rank,
            shuffle=config.shuffle,
            seed=config.seed,
            drop_last=True,
        )
        return BatchSampler(own, config.batch_size, drop_last=False)

    def collate(self, items: Sequence[CaptionedVideo]) -> Batch:
        """Return prompts with their answers."""
        return self._collator.batch(items)

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Return the cross-entropy of the answers' tokens, each of a batch weighing the same."""
        longest = batch.labels.shape[1]
        logits = answer_logits(self._state, network, batch, positions=longest + 1)[:, :-1]  # each position predicts the next
        return Loss(cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED))

    def evaluate(self, network: Any) -> dict[str, float]:
        """Return no measures: the last checkpoint is kept."""
        return {}

    def _tokenize(self, caption: str, frames: Frames) -> PromptRow:
        processor = self._state.processor
        answer = [*processor.text(f"<think>{caption}</think>"), processor.end_of_turn]
        prompt = processor.prompt(CAPTION.prompt(frames))
        return PromptRow(np.concatenate([prompt, np.array(answer, np.int32)]), answer=len(answer))
