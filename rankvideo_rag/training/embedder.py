"""An embedder of questions and videos: last-token pooling, InfoNCE, hard negatives that a judge has looked at.

OmniEmbed's way (Tevatron) with UniME-V2's judge (arXiv 2510.13515). What is written is a sentence-transformers model, whose
backend here gives the very vectors that were trained.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.rankvideo import read_scores
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.training.batches import Batch, Collator, Row, Written, batch_of
from rankvideo_rag.training.checkpointing import write_record
from rankvideo_rag.training.config import EmbedderConfig
from rankvideo_rag.training.contrastive_losses import infonce, symmetric_kl
from rankvideo_rag.training.groups import QueryGroups
from rankvideo_rag.training.inputs import Footage, first_video, footage_of
from rankvideo_rag.training.model_selection import MEASURES, Pools, labels_of
from rankvideo_rag.training.trainable_embedder import Pupil, start
from rankvideo_rag.training.trainer import Loss, run, write_once

Judgements = Mapping[tuple[str, str], float]  # (query id, document id) -> the judge's p(yes)

_OUT_OF_REACH = -1e4  # a cosine that has no share in any softmax, and no gradient


Relevance = Callable[[str, str], bool]
"""Whether a document (second) is relevant to a query (first), by their ids."""


def train_embedder(
    config: EmbedderConfig,
    examples: Sequence[TrainingExample],
    *,
    footage: Footage | None = None,
    pools: Pools | None = None,
    relevance: Relevance | None = None,
) -> Path:
    """Train, and write the model: the folder that comes back, which the sentence_transformers backend loads.

    It begins with a sentence-transformers model, or with a checkpoint of stage one. `footage` gives a video's frames by its
    path, by default those of the file. With `pools` the best checkpoint is kept. The videos of other queries in a batch are
    negatives, unless `relevance` knows better than the examples.
    """
    pupil = start(config)
    frames = footage_of(pupil.embedder.info.frames, footage, keep=config.keep_frames)
    task = EmbedderTask(config, pupil, examples, frames, pools, relevance)
    outcome = run(task, pupil.network, config)
    folder = Path(config.output) / "model"

    def write() -> None:
        if config.adapter != "none":
            pupil.network.merge_and_unload()
        pupil.model.to(pupil.dtype).save_pretrained(str(folder), create_model_card=False)
        write_record(folder, pupil.checkpoint, config, outcome, examples)

    write_once(write)
    return folder


class EmbeddingBatch(NamedTuple):
    """Questions and videos, and what is known of each pair of them."""

    queries: Batch
    documents: Batch  # each once
    positives: Tensor  # (queries, documents) bool: relevant
    judged: Tensor  # (queries, documents) the judge's p(yes); nan where it was not asked

    def to(self, device: torch.device) -> "EmbeddingBatch":
        """The batch on a device."""
        return EmbeddingBatch(
            self.queries.to(device), self.documents.to(device), self.positives.to(device), self.judged.to(device)
        )


class EmbedderTask:
    """Groups of one query's videos, all videos of a batch side by side, and the objective that brings like to like."""

    def __init__(
        self,
        config: EmbedderConfig,
        pupil: Pupil,
        examples: Sequence[TrainingExample],
        footage: Footage,
        pools: Pools | None,
        relevance: Relevance | None = None,
    ) -> None:
        self.items = examples
        self.chosen_by = MEASURES[0] if pools else None
        self._config = config
        self._pupil = pupil
        self._pools = pools
        self._relevant = {
            (query, document) for query, grades in labels_of(examples).items() for document, grade in grades.items() if grade
        }
        self._relevance = relevance
        self._judged = judged_by(config, examples)
        self._questions: dict[str, Row] = {}
        self._collator = Collator(pupil.reader, footage, self._write, knows=pupil.sight.knows)

    def batches(self, rank: int, world_size: int) -> QueryGroups:
        """Groups of one relevant video and some that are not."""
        config = self._config
        return QueryGroups(
            self.items,
            negatives=config.negatives,
            groups_per_batch=config.groups_per_batch,
            shuffle=config.shuffle,
            seed=config.seed,
            rank=rank,
            world_size=world_size,
        )

    def collate(self, items: Sequence[TrainingExample]) -> EmbeddingBatch:
        """Each question and each video of the groups once."""
        queries = {item.query_id: item.query for item in items}
        documents = {item.doc_id: first_video(item) for item in items}
        pairs = [[(query, document) for document in documents] for query in queries]
        return EmbeddingBatch(
            self._asked(list(queries.values())),
            self._shown(list(documents.values())),
            torch.tensor([[self._is_relevant(*pair) for pair in row] for row in pairs]),
            torch.tensor([[self._judged.get(pair, math.nan) for pair in row] for row in pairs]),
        )

    def _is_relevant(self, query: str, document: str) -> bool:
        known = self._relevance is not None and self._relevance(query, document)
        return known or (query, document) in self._relevant

    def loss(self, network: Any, batch: EmbeddingBatch) -> Loss:
        """InfoNCE without the negatives that the judge takes for relevant, and its opinion as soft labels."""
        similarity = self.vectors(network, batch.queries) @ self.vectors(network, batch.documents).T
        reached = similarity.masked_fill(self._false_negatives(batch), _OUT_OF_REACH)
        parts = {"infonce": infonce(reached, batch.positives, tau=self._config.tau)}
        total = parts["infonce"]
        if self._config.lambda_judge:
            known = ~batch.judged.isnan()
            parts["judge"] = symmetric_kl(similarity, batch.judged.nan_to_num(), known, tau=self._config.tau)
            total = total + self._config.lambda_judge * parts["judge"]
        best = reached.detach().argmax(dim=1, keepdim=True)
        return Loss(total, parts | {"first_is_relevant": batch.positives.gather(1, best).float().mean()})

    def vectors(self, network: Any, batch: Batch) -> Tensor:
        """(rows, dim) of length 1: the state of the last token."""
        states = network(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            mm_encoder_outputs={"video": self._pupil.sight.see(batch)},
            use_cache=False,
        ).last_hidden_state
        return normalize(states[:, -1].float(), dim=1)

    def judge(self, network: Any) -> dict[str, float]:
        """How well the network orders the pools."""
        if self._pools is None:
            raise InputError("no pools were given to choose a checkpoint by")
        candidates = self._pools.candidates
        queries = self._table(network, self._asked, dict.fromkeys(candidate.query for candidate in candidates))
        videos = self._table(network, self._shown, dict.fromkeys(first_video(candidate) for candidate in candidates))
        return self._pools.measured(
            lambda some: [float(queries[one.query] @ videos[first_video(one)]) for one in some],
            batch_size=self._config.eval_batch_size,
        )

    def _table(self, network: Any, batch: Callable[[Sequence[str]], Batch], names: Mapping[str, None]) -> dict[str, Tensor]:
        every, size = list(names), self._config.eval_batch_size
        rows = [
            self.vectors(network, batch(every[begin : begin + size]).to(network.device)).cpu()
            for begin in range(0, len(every), size)
        ]
        return dict(zip(every, torch.cat(rows), strict=True))

    def _false_negatives(self, batch: EmbeddingBatch) -> Tensor:
        """(queries, documents) bool: not known to be relevant, and to the judge nearly as good as what is."""
        if self._config.drop_within is None:
            return torch.zeros_like(batch.positives)
        best = batch.judged.masked_fill(~batch.positives | batch.judged.isnan(), -math.inf).amax(dim=1, keepdim=True)
        near = batch.judged > best - self._config.drop_within
        return near & ~batch.positives & best.isfinite()  # nothing is near to what the judge has not seen

    def _asked(self, questions: Sequence[str]) -> Batch:
        for question in questions:
            if question not in self._questions:
                self._questions[question] = Row(self._pupil.question(question))
        return batch_of([self._questions[question] for question in questions], self._pupil.reader, {})

    def _shown(self, videos: Sequence[str]) -> Batch:
        return self._collator.batch([("", video) for video in videos])

    def _write(self, _: str, frames: Frames) -> Written:
        return Written(self._pupil.video(frames))


def judged_by(config: EmbedderConfig, examples: Sequence[TrainingExample]) -> Judgements:
    """p(yes) of each pair that a judge has looked at: a reranker's files, else the teacher of the examples."""
    if config.judge is not None:
        verdicts = read_scores(config.judge)
        margins = {(query, video): score.margin for query, scores in verdicts.items() for video, score in scores.items()}
    else:
        margins = {(example.query_id, example.doc_id): example.teacher_logit_delta for example in examples}
    return {pair: _sigmoid(margin) for pair, margin in margins.items() if margin is not None}


def _sigmoid(margin: float) -> float:
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))
