"""Stage two of RankVideo (arXiv 2602.02444, section 3.2): from groups of one query's videos to a reranker's checkpoint.

The prompt, and the place where the verdict is read, are those of a PromptSpec, which goes with the checkpoint.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm.label_tokens import normalize_label, token_ids_by_text
from rankvideo_rag.training.batches import Collator, Written
from rankvideo_rag.training.checkpointing import Learner, answers, finish, start
from rankvideo_rag.training.config import RerankerConfig
from rankvideo_rag.training.contrastive_losses import infonce
from rankvideo_rag.training.graded_losses import lambdarank, listnet, ranknet
from rankvideo_rag.training.groups import QueryGroups
from rankvideo_rag.training.inputs import Footage, first_video, footage_of
from rankvideo_rag.training.losses import bce_yes_no, teacher_distillation, weighted_pointwise
from rankvideo_rag.training.model_selection import MEASURES, Pools, grade_of
from rankvideo_rag.training.packing import Packed, packed
from rankvideo_rag.training.trainer import Loss, run

logger = logging.getLogger(__name__)

_NO_TEACHER = -1.0
_GRADED: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"ranknet": ranknet, "lambdarank": lambdarank, "listnet": listnet}


def train_reranker(
    config: RerankerConfig, examples: Sequence[TrainingExample], *, footage: Footage | None = None, pools: Pools | None = None
) -> Path:
    """Train, and write the checkpoint: the folder that comes back, which backends load unless it is an adapter.

    `footage` gives a video's frames by its path, by default those of the file. With `pools` the best checkpoint is kept.
    """
    learner = start(config)
    frames = footage_of(config.spec.frames, footage, keep=config.keep_frames)
    task = RerankerTask(config, learner, examples, frames, pools)
    outcome = run(task, learner.network, config)
    return finish(learner, config, outcome, examples, config.spec)


class RankingBatch(NamedTuple):
    """Prompts, group after group, each with its relevant video first."""

    prompts: Packed
    grades: Tensor  # (groups, videos of a group)
    teacher: Tensor  # (groups, videos of a group) p(yes); below 0 where there is none

    def to(self, device: torch.device) -> "RankingBatch":
        """The batch on a device."""
        return RankingBatch(self.prompts.to(device), self.grades.to(device), self.teacher.to(device))


class RerankerTask:
    """Groups of one query's videos, and the objective that orders them."""

    def __init__(
        self,
        config: RerankerConfig,
        learner: Learner,
        examples: Sequence[TrainingExample],
        footage: Footage,
        pools: Pools | None,
    ) -> None:
        self.items = examples
        self.chosen_by = MEASURES[0] if pools else None
        self._config = config
        self._learner = learner
        self._pools = pools
        self._labels = label_tokens(learner.reader.processor.tokenizer, config.spec.labels)
        self._collator = Collator(learner.reader, footage, self._write, knows=learner.sight.knows)

    def batches(self, rank: int, world_size: int) -> QueryGroups:
        """Groups of one relevant video and some that are not."""
        groups = QueryGroups(
            self.items,
            negatives=self._config.negatives,
            groups_per_batch=self._config.groups_per_batch,
            shuffle=self._config.shuffle,
            unanswerable=self._config.unanswerable,
            seed=self._config.seed,
            rank=rank,
            world_size=world_size,
        )
        if any(groups.left_out):
            logger.info("left out: %s", groups.left_out)
        return groups

    def collate(self, items: Sequence[TrainingExample]) -> RankingBatch:
        """Groups, one after another."""
        size = 1 + self._config.negatives
        teacher = [_NO_TEACHER if item.teacher_p_yes is None else item.teacher_p_yes for item in items]
        return RankingBatch(
            packed(*self._collator.rows([(item.query, first_video(item)) for item in items])),
            torch.tensor([grade_of(item) or 0 for item in items]).view(-1, size),
            torch.tensor(teacher).view(-1, size),
        )

    def loss(self, network: Any, batch: RankingBatch) -> Loss:
        """The objective, averaged over the groups."""
        margins = self.margins(network, batch.prompts).view(batch.grades.shape)
        total, parts = self._objective(margins, batch)
        detached = margins.detach()
        answered = batch.grades[:, 0] >= 1
        in_order = (detached[:, :1] > detached[:, 1:]).float().mean(dim=1)[answered]
        return Loss(total, parts | ({"pair_accuracy": in_order.mean()} if len(in_order) else {}))

    def margins(self, network: Any, prompts: Packed) -> Tensor:
        """(prompts,) logp(yes) - logp(no) where the answer begins, over every token that reads as the label."""
        rows, columns = prompts.ends.unbind(dim=1)
        kept, places = torch.unique(columns, return_inverse=True)
        logits = answers(self._learner, network, prompts.batch, positions=kept)[rows, places].float()
        yes, no = (logits[:, tokens].logsumexp(dim=1) for tokens in self._labels)
        return yes - no

    def judge(self, network: Any) -> dict[str, float]:
        """How well the network orders the pools."""
        if self._pools is None:
            raise InputError("no pools were given to choose a checkpoint by")
        return self._pools.measured(
            lambda candidates: self._scores(network, candidates), batch_size=self._config.eval_batch_size
        )

    def _scores(self, network: Any, candidates: Sequence[TrainingExample]) -> list[float]:
        prompts = packed(*self._collator.rows([(candidate.query, first_video(candidate)) for candidate in candidates]))
        scores: list[float] = self.margins(network, prompts.to(network.device)).tolist()
        return scores

    def _write(self, query: str, frames: Frames) -> Written:
        return Written(self._learner.reader.prompt(self._config.spec.prompt(query, frames)))

    def _objective(self, margins: Tensor, batch: RankingBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective over all groups of a batch at once, where it is one of RankVideo's parts.

        Groups are of one size, so the mean over all videos is that over groups of their means; the teacher's part is averaged
        over all videos of the batch that it knows. A group without a relevant video has no order, and counts in the others.
        """
        config, labels = self._config, (batch.grades >= 1).long()
        if config.objective in _GRADED:
            groups = zip(margins, batch.grades, strict=True)
            return torch.stack([_GRADED[config.objective](*group) for group in groups]).mean(), {}
        if config.objective == "bce":
            return bce_yes_no(margins.flatten(), labels.flatten()), {}
        parts = {
            "pair": infonce(margins, labels.bool(), tau=config.tau_pair),
            "teacher": teacher_distillation(margins.flatten(), batch.teacher.flatten(), tau=config.tau_teacher),
            "pointwise": weighted_pointwise(margins.flatten(), labels.flatten(), tau=config.tau_pointwise),
        }
        weights = {"pair": 1.0, "teacher": config.lambda_teacher, "pointwise": config.lambda_pointwise}
        if config.objective != "ranking":
            weights = {"pair" if config.objective == "pairwise" else "pointwise": 1.0}
        return torch.stack([weight * parts[name] for name, weight in weights.items() if weight]).sum(), parts


def label_tokens(tokenizer: Any, labels: Sequence[str]) -> list[list[int]]:
    """For each label every token that reads as it. Raises InputError for a label that no single token reads as."""
    tokens = token_ids_by_text(tokenizer)
    missing = [label for label in labels if normalize_label(label) not in tokens]
    if missing:
        raise InputError(f"no single token of the model reads as {', '.join(map(repr, missing))}: choose other labels")
    return [tokens[normalize_label(label)] for label in labels]
