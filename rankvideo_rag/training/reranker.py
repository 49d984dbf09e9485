"""Stage two of RankVideo (arXiv 2602.02444, section 3.2): a reranker from groups of one query's videos.

The prompt, and where in it the answer is read, are those of a PromptSpec, which is saved with the checkpoint.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm.label_tokens import normalize_label, token_ids_by_text
from rankvideo_rag.training.batches import Collator, PromptRow
from rankvideo_rag.training.checkpointing import TrainState, answer_logits, load_for_training, save_checkpoint
from rankvideo_rag.training.config import RerankerConfig
from rankvideo_rag.training.groups import GroupTask
from rankvideo_rag.training.inputs import FrameSource, make_frame_source, video_path
from rankvideo_rag.training.losses import bce_yes_no, lambdarank, listnet, ranking_loss, ranknet
from rankvideo_rag.training.model_selection import CandidatePools, relevance_grade
from rankvideo_rag.training.packing import PackedBatch, pack_prompts
from rankvideo_rag.training.trainer import Loss, train

_NO_TEACHER = -1.0
_LISTWISE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "ranknet": ranknet,
    "lambdarank": lambdarank,
    "listnet": listnet,
}


def train_reranker(
    config: RerankerConfig,
    examples: Sequence[TrainingExample],
    *,
    frame_source: FrameSource | None = None,
    pools: CandidatePools | None = None,
) -> Path:
    """Train a reranker, save the checkpoint and return its folder, which backends load unless it is an adapter.

    `frame_source` returns a video's frames by its path; by default files are read. With `pools` the best checkpoint is kept.
    """
    state = load_for_training(config)
    frames = make_frame_source(config.spec.frames, frame_source, keep=config.keep_frames)
    result = train(RerankerTask(config, state, examples, frames, pools), state.network, config)
    return save_checkpoint(state, config, result, examples, config.spec)


class RankingBatch(NamedTuple):
    """Prompts, group after group, each with its relevant video first."""

    prompts: PackedBatch
    grades: Tensor  # (groups, videos of a group)
    teacher: Tensor  # (groups, videos of a group) p(yes); below 0 where there is none

    def to(self, device: torch.device) -> "RankingBatch":
        """Return the batch on a device."""
        return RankingBatch(self.prompts.to(device), self.grades.to(device), self.teacher.to(device))


class RerankerTask(GroupTask):
    """Groups of one query's videos, and the objective that ranks them."""

    def __init__(
        self,
        config: RerankerConfig,
        state: TrainState,
        examples: Sequence[TrainingExample],
        frame_source: FrameSource,
        pools: CandidatePools | None,
    ) -> None:
        super().__init__(config, examples, pools)
        self._config = config
        self._state = state
        self._labels = label_tokens(state.processor.hf.tokenizer, config.spec.labels)
        self._collator = Collator(state.processor, frame_source, self._tokenize, is_cached=state.vision.is_cached)

    def collate(self, items: Sequence[TrainingExample]) -> RankingBatch:
        """Return groups, one after another."""
        size = 1 + self._config.negatives
        teacher = [_NO_TEACHER if item.teacher_p_yes is None else item.teacher_p_yes for item in items]
        return RankingBatch(
            self._pack(items),
            torch.tensor([relevance_grade(item) or 0 for item in items]).view(-1, size),
            torch.tensor(teacher).view(-1, size),
        )

    def loss(self, network: Any, batch: RankingBatch) -> Loss:
        """Return the objective, averaged over the groups."""
        margins = self.margins(network, batch.prompts).view(batch.grades.shape)
        total, parts = self._objective(margins, batch)
        detached = margins.detach()
        answered = batch.grades[:, 0] >= 1
        in_order = (detached[:, :1] > detached[:, 1:]).float().mean(dim=1)[answered]
        return Loss(total, parts | ({"pair_accuracy": in_order.mean()} if len(in_order) else {}))

    def margins(self, network: Any, prompts: PackedBatch) -> Tensor:
        """Return (prompts,) logp(yes) - logp(no) where the answer begins, over every token that reads as the label."""
        rows, columns = prompts.ends.unbind(dim=1)
        kept, places = torch.unique(columns, return_inverse=True)
        logits = answer_logits(self._state, network, prompts.batch, positions=kept)[rows, places].float()
        yes, no = (logits[:, tokens].logsumexp(dim=1) for tokens in self._labels)
        return yes - no

    def scorer(self, network: Any) -> Callable[[Sequence[TrainingExample]], Sequence[float]]:
        """Score examples by their margins."""
        return lambda examples: self.margins(network, self._pack(examples).to(network.device)).tolist()

    def _pack(self, examples: Sequence[TrainingExample]) -> PackedBatch:
        return pack_prompts(*self._collator.rows([(example.query, video_path(example)) for example in examples]))

    def _tokenize(self, query: str, frames: Frames) -> PromptRow:
        return PromptRow(self._state.processor.prompt(self._config.spec.prompt(query, frames)))

    def _objective(self, margins: Tensor, batch: RankingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the configured objective; a group without a relevant video counts in all but the pairwise part."""
        config, labels = self._config, (batch.grades >= 1).long()
        if config.objective in _LISTWISE:
            groups = zip(margins, batch.grades, strict=True)
            return torch.stack([_LISTWISE[config.objective](*group) for group in groups]).mean(), {}
        if config.objective == "bce":
            return bce_yes_no(margins.flatten(), labels.flatten()), {}
        total, parts = ranking_loss(
            margins,
            labels,
            batch.teacher,
            tau_pair=config.tau_pair,
            tau_teacher=config.tau_teacher,
            tau_pointwise=config.tau_pointwise,
            lambda_teacher=config.lambda_teacher,
            lambda_pointwise=config.lambda_pointwise,
        )
        alone = {"pairwise": "pair", "pointwise": "pointwise"}.get(config.objective)
        return (parts[alone] if alone else total), parts


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """Return for each label every token that reads as it. Raises InputError for a label that no single token reads as."""
    tokens = token_ids_by_text(tokenizer)
    missing = [label for label in labels if normalize_label(label) not in tokens]
    if missing:
        raise InputError(f"no single token of the model reads as {', '.join(map(repr, missing))}: choose other labels")
    return [tokens[normalize_label(label)] for label in labels]
