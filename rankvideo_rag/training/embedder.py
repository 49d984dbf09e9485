"""An embedder of queries and videos, by InfoNCE over the videos of a batch, with a teacher's view of hard negatives.

As in OmniEmbed (Tevatron), with the soft labels of UniME-V2 (arXiv 2510.13515). The result is a sentence-transformers model;
the backend of that name gives the same vectors as training.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from rankvideo_rag.formats.rankvideo import read_scores
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames
from rankvideo_rag.training.batches import Batch, Collator, PromptRow, make_batch
from rankvideo_rag.training.checkpointing import write_training_record
from rankvideo_rag.training.config import EmbedderConfig
from rankvideo_rag.training.groups import GroupTask
from rankvideo_rag.training.inputs import FrameSource, make_frame_source, video_path
from rankvideo_rag.training.losses import infonce, symmetric_kl
from rankvideo_rag.training.model_selection import CandidatePools, labels_to_qrels
from rankvideo_rag.training.trainable_embedder import TrainableEmbedder, load_trainable_embedder
from rankvideo_rag.training.trainer import Loss, on_main_process, train

TeacherScores = Mapping[tuple[str, str], float]  # (query id, document id) -> the teacher's p(yes)

Relevance = Callable[[str, str], bool]
"""Returns whether a document (second) is relevant to a query (first), by their ids."""

_EXCLUDED = -1e4  # a similarity that has no share in any softmax, and no gradient


def train_embedder(
    config: EmbedderConfig,
    examples: Sequence[TrainingExample],
    *,
    frame_source: FrameSource | None = None,
    pools: CandidatePools | None = None,
    relevance: Relevance | None = None,
) -> Path:
    """Train an embedder, save it and return its folder, which the sentence_transformers backend loads.

    It starts from a sentence-transformers model, or from a checkpoint of stage one. `frame_source` returns a video's frames by
    its path; by default files are read. With `pools` the best checkpoint is kept. The videos of other queries in a batch are
    negatives, unless `relevance` says otherwise.
    """
    model = load_trainable_embedder(config)
    frames = make_frame_source(model.embedder.info.frames, frame_source, keep=config.keep_frames)
    task = EmbedderTask(config, model, examples, frames, pools, relevance)
    result = train(task, model.network, config)
    folder = Path(config.output) / "model"

    def write() -> None:
        if config.adapter != "none":
            model.network.merge_and_unload()
        model.model.to(model.dtype).save_pretrained(str(folder), create_model_card=False)
        write_training_record(folder, model.checkpoint, config, result, examples)

    on_main_process(write)
    return folder


class EmbeddingBatch(NamedTuple):
    """Queries and videos, and what is known of each pair of them."""

    queries: Batch
    documents: Batch  # each once
    positives: Tensor  # (queries, documents) bool: relevant
    teacher: Tensor  # (queries, documents) the teacher's p(yes); NaN where it is unknown

    def to(self, device: torch.device) -> "EmbeddingBatch":
        """Return the batch on a device."""
        return EmbeddingBatch(
            self.queries.to(device), self.documents.to(device), self.positives.to(device), self.teacher.to(device)
        )


class EmbedderTask(GroupTask):
    """Groups of one query's videos; all videos of a batch are compared with all of its queries."""

    def __init__(
        self,
        config: EmbedderConfig,
        model: TrainableEmbedder,
        examples: Sequence[TrainingExample],
        frame_source: FrameSource,
        pools: CandidatePools | None,
        relevance: Relevance | None = None,
    ) -> None:
        super().__init__(config, examples, pools)
        self._config = config
        self._model = model
        self._relevance = relevance
        self._relevant = {
            (query, document)
            for query, grades in labels_to_qrels(examples).items()
            for document, grade in grades.items()
            if grade
        }
        self._teacher = teacher_scores(config, examples)
        self._query_rows: dict[str, PromptRow] = {}
        self._collator = Collator(model.processor, frame_source, self._tokenize, is_cached=model.vision.is_cached)

    def collate(self, items: Sequence[TrainingExample]) -> EmbeddingBatch:
        """Return each query and each video of the groups once."""
        queries = {item.query_id: item.query for item in items}
        documents = {item.doc_id: video_path(item) for item in items}
        pairs = [[(query, document) for document in documents] for query in queries]
        return EmbeddingBatch(
            self._query_batch(list(queries.values())),
            self._video_batch(list(documents.values())),
            torch.tensor([[self._is_relevant(*pair) for pair in row] for row in pairs]),
            torch.tensor([[self._teacher.get(pair, math.nan) for pair in row] for row in pairs]),
        )

    def _is_relevant(self, query: str, document: str) -> bool:
        known = self._relevance is not None and self._relevance(query, document)
        return known or (query, document) in self._relevant

    def loss(self, network: Any, batch: EmbeddingBatch) -> Loss:
        """Return InfoNCE without the negatives that the teacher finds relevant, plus its scores as soft labels."""
        similarity = self.vectors(network, batch.queries) @ self.vectors(network, batch.documents).T
        filtered = similarity.masked_fill(self._false_negatives(batch), _EXCLUDED)
        parts = {"infonce": infonce(filtered, batch.positives, tau=self._config.tau)}
        total = parts["infonce"]
        if self._config.lambda_judge:
            known = ~batch.teacher.isnan()
            parts["judge"] = symmetric_kl(similarity, batch.teacher.nan_to_num(), known, tau=self._config.tau)
            total = total + self._config.lambda_judge * parts["judge"]
        best = filtered.detach().argmax(dim=1, keepdim=True)
        return Loss(total, parts | {"first_is_relevant": batch.positives.gather(1, best).float().mean()})

    def vectors(self, network: Any, batch: Batch) -> Tensor:
        """Return (rows, dim) unit vectors: the state of the last token."""
        states = network(
            input_ids=batch.tokens,
            attention_mask=batch.mask,
            position_ids=batch.positions,
            mm_encoder_outputs={"video": self._model.vision.features(batch)},
            use_cache=False,
        ).last_hidden_state
        return normalize(states[:, -1].float(), dim=1)

    def scorer(self, network: Any) -> Callable[[Sequence[TrainingExample]], Sequence[float]]:
        """Score examples by cosine; queries and videos of the pools are embedded once."""
        candidates = self._pools.candidates if self._pools else ()
        queries = self._embed(network, self._query_batch, (candidate.query for candidate in candidates))
        videos = self._embed(network, self._video_batch, map(video_path, candidates))
        return lambda examples: [float(queries[one.query] @ videos[video_path(one)]) for one in examples]

    def _embed(self, network: Any, batch: Callable[[Sequence[str]], Batch], inputs: Iterable[str]) -> dict[str, Tensor]:
        distinct, size = list(dict.fromkeys(inputs)), self._config.eval_batch_size
        rows = [
            self.vectors(network, batch(distinct[begin : begin + size]).to(network.device)).cpu()
            for begin in range(0, len(distinct), size)
        ]
        return dict(zip(distinct, torch.cat(rows), strict=True))

    def _false_negatives(self, batch: EmbeddingBatch) -> Tensor:
        """Return a (queries, documents) bool mask: unlabelled, and to the teacher nearly as good as the best positive."""
        if self._config.drop_within is None:
            return torch.zeros_like(batch.positives)
        best = batch.teacher.masked_fill(~batch.positives | batch.teacher.isnan(), -math.inf).amax(dim=1, keepdim=True)
        near = batch.teacher > best - self._config.drop_within
        return near & ~batch.positives & best.isfinite()  # without a scored positive nothing is excluded

    def _query_batch(self, queries: Sequence[str]) -> Batch:
        for query in queries:
            if query not in self._query_rows:
                self._query_rows[query] = PromptRow(self._model.query_tokens(query))
        return make_batch([self._query_rows[query] for query in queries], self._model.processor, {})

    def _video_batch(self, videos: Sequence[str]) -> Batch:
        return self._collator.batch([("", video) for video in videos])

    def _tokenize(self, _: str, frames: Frames) -> PromptRow:
        return PromptRow(self._model.video_tokens(frames))


def teacher_scores(config: EmbedderConfig, examples: Sequence[TrainingExample]) -> TeacherScores:
    """Return p(yes) of each scored pair: from a reranker's files (`judge`), else from the examples' teacher."""
    if config.judge is not None:
        scores = read_scores(config.judge)
        margins = {(query, video): score.margin for query, videos in scores.items() for video, score in videos.items()}
    else:
        margins = {(example.query_id, example.doc_id): example.teacher_logit_delta for example in examples}
    return {pair: _sigmoid(margin) for pair, margin in margins.items() if margin is not None}


def _sigmoid(margin: float) -> float:
    return 1 / (1 + math.exp(-margin)) if margin >= 0 else math.exp(margin) / (1 + math.exp(margin))
