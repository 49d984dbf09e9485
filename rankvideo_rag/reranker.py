"""RankVideoRerank: a LlamaIndex node postprocessor that scores clips from their frames and reorders them."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher

from rankvideo_rag.backends import check_backend
from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import VLM, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import get_prompt_spec, resolve_prompt_spec
from rankvideo_rag.nodes import VideoResolver, copy_with_score, node_to_clip
from rankvideo_rag.ranking.cache import ScoreCache, default_cache_path
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.reasoning import NO_REASONING, MarginBand, Reasoning, reasoned_share
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rank_by_margin
from rankvideo_rag.ranking.windows import NO_WINDOWS, Windowing
from rankvideo_rag.schema import Score

dispatcher = get_dispatcher(__name__)


class _LazyModel:
    """A model that is loaded at its first use. Its pickle and its copies are empty: they load their own."""

    def __init__(self) -> None:
        self._vlm: VLM | None = None
        self._loading = threading.Lock()

    def __reduce__(self) -> tuple[type["_LazyModel"], tuple[()]]:
        return _LazyModel, ()

    def load(self, backend: str, model: str | None, device: str | None) -> VLM:
        with self._loading:
            if self._vlm is None:
                self._vlm = load_vlm(backend, model, device=device)
            return self._vlm


class RankVideoRerank(BaseNodePostprocessor):
    """Reorder video clips by RankVideo's margin logp(yes) - logp(no), which is above 0 for relevant clips (arXiv 2602.02444).

    Works on any node that names a video: the archive's own, a TextNode whose metadata has file_path (and, if it stands for a
    part, start and end in seconds), a Node with a video_resource. Returns copies: `score` is the margin; metadata hold
    `retrieval_score`, `rerank_score`, `rerank_p_yes`, `rerank_status` and `rerank_model`; with windows also `rerank_start` and
    `rerank_end`, the seconds of the best window; with reasoning `rerank_rationale`, `rerank_tokens` and the list's
    `rerank_reasoned_share`. All of these are hidden from LLMs and embedders.

    A clip that cannot be scored gets the score None and is ranked last, in the order given; its `rerank_status` says why:
    "abstained: …" when the model has nothing to score (no picture), "failed: …" when there was an error. Raises RankVideoError
    when every clip failed.

    The model is loaded at the first question, and `deadline` counts from then. Safe under concurrent queries.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str | None = Field("hltcoe/RankVideo", description="Hub name or local path of a Qwen3-VL style checkpoint.")
    backend: str = Field(
        "transformers", description="Name of a backend in rankvideo_rag.models.vlm, or package.module:function."
    )
    device: str | None = Field(None, description="cpu, cuda or cuda:1; by default a GPU if there is one.")
    prompt: str | None = Field(None, description="Name of a PromptSpec; by default the checkpoint's own, else rankvideo.")
    top_n: int = Field(5, ge=1, description="Clips returned.")
    batch_size: int = Field(4, ge=1, description="Clips in one call to the model.")
    score_threshold: float | None = Field(None, description="Drop clips with a lower margin; those without a margin are kept.")
    keep_order_below: float | None = Field(
        None, description="Keep the order given where no clip's margin reaches this value, in nats."
    )
    keep_retrieval_score: bool = Field(True, description="Keep the node's score before reranking as retrieval_score.")
    on_error: Literal["keep", "raise"] = Field("keep", description="Rank a failed clip last, or raise RankVideoError.")
    deadline: float | None = Field(None, gt=0, description="Seconds after which clips that were not begun fail with timeout.")
    windows: Windowing = Field(NO_WINDOWS, description="How long clips are divided, and how the windows' margins are combined.")
    reasoning: Literal["auto", "always", "never"] = Field(
        "never", description="Generate a rationale before scoring; auto does so where the margin is in doubt."
    )
    reasoning_band: MarginBand = Field(NO_REASONING.band, description="Margins between these two are in doubt.")
    reasoning_tokens: int = Field(NO_REASONING.max_tokens, ge=1, description="Maximum length of a rationale.")
    cache: str | bool = Field(
        False, description="File that keeps scores; True: rankvideo/scores.db in the user's cache folder."
    )
    limits: MediaLimits = Field(MediaLimits(), description="Time and memory limits for reading a clip.")
    video_resolver: VideoResolver | None = Field(None, exclude=True, description="Returns the path of a node's video.")

    _cache: ScoreCache | None = PrivateAttr(None)
    _model: _LazyModel = PrivateAttr(default_factory=_LazyModel)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        check_backend("rankvideo_rag.models.vlm", self.backend)
        if self.prompt is not None:
            get_prompt_spec(self.prompt)
        if self.cache is not False:
            self._cache = ScoreCache(default_cache_path() if self.cache is True else Path(self.cache).expanduser())

    @classmethod
    def class_name(cls) -> str:
        return "RankVideoRerank"

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None) -> list[NodeWithScore]:
        question = _question(query_bundle)
        if not nodes:
            return []
        with self._report_events(nodes, question) as finished:
            finished += self._rerank(nodes, question)
        return finished

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question = _question(query_bundle)
        if not nodes:
            return []
        with self._report_events(nodes, question) as finished:
            finished += await asyncio.to_thread(self._rerank, nodes, question)
        return finished

    def _rerank(self, nodes: Sequence[NodeWithScore], question: str) -> list[NodeWithScore]:
        vlm = self._model.load(self.backend, self.model, self.device)
        scores = self._score(vlm, nodes, question)
        self._check(scores)
        shared = {"rerank_model": vlm.name, "rerank_reasoned_share": self._share_reasoned(scores)}
        ranked = rank_by_margin(scores, keep_below=self.keep_order_below)
        best = [(nodes[i], scores[i]) for i in ranked if not self._is_dropped(scores[i])]
        return [self._annotate(hit, score, shared) for hit, score in best[: self.top_n]]

    def _score(self, vlm: VLM, nodes: Sequence[NodeWithScore], question: str) -> list[Score]:
        spans = [self._span(hit) for hit in nodes]
        pairs = [Pair(question, span) for span in spans if isinstance(span, VideoSpan)]
        scores = iter(score_pairs(vlm, resolve_prompt_spec(self.prompt, self.model), pairs, self._options()))
        return [next(scores) if isinstance(span, VideoSpan) else span for span in spans]

    def _options(self) -> ScoringOptions:
        return ScoringOptions(
            windows=self.windows,
            reasoning=Reasoning(mode=self.reasoning, band=self.reasoning_band, max_tokens=self.reasoning_tokens),
            cache=self._cache,
            deadline=None if self.deadline is None else time.monotonic() + self.deadline,
            limits=self.limits,
            batch_size=self.batch_size,
        )

    def _span(self, hit: NodeWithScore) -> VideoSpan | Score:
        try:
            return node_to_clip(hit.node, self.video_resolver).span
        except InputError as error:
            return Score(status="failed", reason=f"no_file: {error}")

    def _check(self, scores: Sequence[Score]) -> None:
        failures = [score.reason for score in scores if score.status == "failed"]
        if failures and (self.on_error == "raise" or len(failures) == len(scores)):
            reason, count = Counter(failures).most_common(1)[0]
            raise RankVideoError(f"{len(failures)} of {len(scores)} clips could not be scored; {count} of them: {reason}")

    def _annotate(self, hit: NodeWithScore, score: Score, shared: dict[str, str | float | None]) -> NodeWithScore:
        metadata = shared | {
            "retrieval_score": hit.score if self.keep_retrieval_score else None,
            "rerank_score": score.margin,
            "rerank_p_yes": score.p_yes,
            "rerank_status": score.status if score.reason is None else f"{score.status}: {score.reason}",
            "rerank_start": score.start,
            "rerank_end": score.end,
            "rerank_rationale": score.rationale,
            "rerank_tokens": None if self.reasoning == "never" else score.tokens,
        }
        return copy_with_score(hit, score.margin, metadata)

    def _is_dropped(self, score: Score) -> bool:
        return self.score_threshold is not None and score.margin is not None and score.margin < self.score_threshold

    def _share_reasoned(self, scores: Sequence[Score]) -> float | None:
        return None if self.reasoning == "never" else reasoned_share(scores)

    @contextmanager
    def _report_events(self, nodes: list[NodeWithScore], question: str) -> Iterator[list[NodeWithScore]]:
        """Report the start and, unless the block raises, the end to both of LlamaIndex's event systems."""
        model = self.model or self.backend
        finished: list[NodeWithScore] = []
        dispatcher.event(ReRankStartEvent(query=question, nodes=nodes, top_n=self.top_n, model_name=model))
        start: dict[str, Any] = {
            EventPayload.NODES: nodes,
            EventPayload.MODEL_NAME: model,
            EventPayload.QUERY_STR: question,
            EventPayload.TOP_K: self.top_n,
        }
        with self.callback_manager.event(CBEventType.RERANKING, payload=start) as event:
            yield finished
            event.on_end(payload={EventPayload.NODES: finished})
        dispatcher.event(ReRankEndEvent(nodes=finished))


def _question(query_bundle: QueryBundle | None) -> str:
    if query_bundle is None:
        raise InputError("RankVideoRerank needs the question: pass query_bundle= or query_str=")
    return query_bundle.query_str
