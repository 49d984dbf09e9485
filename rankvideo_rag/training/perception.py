"""Stage one of RankVideo (arXiv 2602.02444, section 3.1): captions of videos, written inside <think>, by next-token prediction.

The model is asked as `rankvideo synthesize captions` asks; only what it is to write counts in the loss.
"""

import math
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch.nn.functional import cross_entropy
from torch.utils.data import Sampler

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.text import clean
from rankvideo_rag.training.batches import IGNORED, Batch, Collator, Written
from rankvideo_rag.training.checkpointing import Learner, answers, finish, start
from rankvideo_rag.training.config import PerceptionConfig
from rankvideo_rag.training.inputs import Footage, first_video, footage_of
from rankvideo_rag.training.synthesis.prompts import CAPTION
from rankvideo_rag.training.trainer import Loss, run


def train_perception(config: PerceptionConfig, examples: Sequence[TrainingExample], *, footage: Footage | None = None) -> Path:
    """Train, and write the checkpoint: the folder that comes back, which stage two begins with.

    Each video's caption is taken once, from `evidence.caption`. `footage` gives a video's frames by its path, by default those
    of the file.
    """
    learner = start(config)
    frames = footage_of(config.frames, footage, keep=config.keep_frames)
    outcome = run(PerceptionTask(config, learner, captions_of(examples), frames), learner.network, config)
    return finish(learner, config, outcome, examples)


class Captioned(NamedTuple):
    """A video and what is to be written of it."""

    caption: str
    video: str  # its path


def captions_of(examples: Sequence[TrainingExample]) -> list[Captioned]:
    """Each document with each of its captions, once. Raises InputError where there is none."""
    found: dict[tuple[str, str], Captioned] = {}
    for example in examples:
        caption = clean(example.evidence.caption) if example.evidence else ""
        if caption:
            found.setdefault((example.doc_id, caption), Captioned(caption, first_video(example)))
    if not found:
        raise InputError(f"none of {len(examples)} examples has a caption (evidence.caption): rankvideo synthesize captions")
    return list(found.values())


class PerceptionTask:
    """Videos with captions, and the loss of not writing these."""

    chosen_by: str | None = None  # nothing is measured in this stage: the last checkpoint is kept

    def __init__(self, config: PerceptionConfig, learner: Learner, captions: Sequence[Captioned], footage: Footage) -> None:
        self.items = captions
        self._config = config
        self._learner = learner
        self._collator = Collator(learner.reader, footage, self._write, knows=learner.sight.knows)

    def batches(self, rank: int, world_size: int) -> Sampler[list[int]]:
        """Videos in batches, each once in an epoch."""
        config = self._config
        return Batches(
            len(self.items), config.batch_size, shuffle=config.shuffle, seed=config.seed, rank=rank, world_size=world_size
        )

    def collate(self, items: Sequence[Captioned]) -> Batch:
        """Prompts with their answers."""
        return self._collator.batch(items)

    def loss(self, network: Any, batch: Batch) -> Loss:
        """Cross-entropy of the tokens to be written, each of a batch weighing the same."""
        longest = batch.labels.shape[1]
        logits = answers(self._learner, network, batch, positions=longest + 1)[:, :-1]  # each position tells the next token
        return Loss(cross_entropy(logits.flatten(0, 1).float(), batch.labels.flatten(), ignore_index=IGNORED))

    def judge(self, network: Any) -> dict[str, float]:
        """Nothing."""
        return {}

    def _write(self, caption: str, frames: Frames) -> Written:
        reader = self._learner.reader
        answer = [*reader.text(f"<think>{caption}</think>"), reader.end_of_turn]
        return Written(np.concatenate([reader.prompt(CAPTION.prompt(frames)), np.array(answer, np.int32)]), len(answer))


class Batches(Sampler[list[int]]):
    """Places of `count` items in batches. The order follows from seed + epoch alone; every process has as many batches."""

    def __init__(self, count: int, size: int, *, shuffle: bool, seed: int, rank: int = 0, world_size: int = 1) -> None:
        if count < world_size:
            raise InputError(f"{count} videos for {world_size} processes: each needs one")
        self._own = range(rank, count - count % world_size, world_size)
        self._count, self._size, self._shuffle, self._seed, self._epoch = count, size, shuffle, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of the iterations that begin from now on."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Batches of this process in an epoch."""
        return math.ceil(len(self._own) / self._size)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(range(self._count))
        if self._shuffle:
            random.Random(self._seed + self._epoch).shuffle(order)
        own = [order[place] for place in self._own]
        for begin in range(0, len(own), self._size):
            yield own[begin : begin + self._size]
