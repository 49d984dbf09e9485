"""RankVideoRerank: a LlamaIndex node postprocessor that scores clips by picture and text and reorders them."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import BaseNode, NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher

from rankvideo_rag.answering.node_evidence import TextLookup, timed_text
from rankvideo_rag.answering.questions import split_question
from rankvideo_rag.backends import check_backend
from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.models.vlm import VLM, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import NO_CONTEXT, ClipContext, get_prompt_spec, resolve_prompt_spec
from rankvideo_rag.nodes import MODALITIES, VideoResolver, copy_with_score, node_to_clip
from rankvideo_rag.ranking.cache import ScoreCache, default_cache_path
from rankvideo_rag.ranking.passage_scorer import PassageScorer, TermScorer
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.reasoning import NO_REASONING, MarginBand, Reasoning, reasoned_share
from rankvideo_rag.ranking.relevance import Platt, Relevance, picture_calibration
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rank_by_score
from rankvideo_rag.ranking.text_evidence import TextScore, score_texts
from rankvideo_rag.ranking.windows import NO_WINDOWS, Windowing
from rankvideo_rag.schema import Score
from rankvideo_rag.settings import EvidenceKind
from rankvideo_rag.storage.passages import split_passages

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


OutOfDomain = Callable[[BaseNode, str], str | None]
"""A node and a question -> why the model cannot judge this picture for it; None where it can."""


class _Finding(NamedTuple):
    """What is known of one clip."""

    picture: Score | None  # None: not asked for
    text: TextScore | None
    relevance: Relevance
    score: float | None  # what the clip is ranked by

    @property
    def reasons(self) -> dict[str, str]:
        """Why a modality that was asked for has no score: "abstained: …" or "failed: …"."""
        found = {}
        if self.picture is not None and self.picture.margin is None:
            found["unscored_picture"] = f"{self.picture.status}: {self.picture.reason}"
        if self.text is not None and self.text.reason is not None:
            found["unscored_text"] = self.text.reason
        return found

    @property
    def status(self) -> str:
        """ "ok", or why the clip has no score; a failure goes before an abstention."""
        if self.score is None:
            return max(self.reasons.values(), key=lambda reason: reason.startswith("failed"))
        reason = self.picture.reason if self.picture and self.picture.margin is not None else None
        return "ok" if reason is None else f"ok: {reason}"


class RankVideoRerank(BaseNodePostprocessor):
    """Reorder video clips by RankVideo's margin logp(yes) - logp(no), which is above 0 for relevant clips (arXiv 2602.02444).

    Works on any node that names a video: the archive's own, a TextNode whose metadata has file_path (and, if it stands for a
    part, start and end in seconds), a Node with a video_resource. Returns copies: `score` is the margin; metadata hold
    `retrieval_score`, `rerank_score`, `rerank_p_yes`, `rerank_status` and `rerank_model`; with windows also `rerank_start` and
    `rerank_end`, the seconds of the best window; with reasoning `rerank_rationale`, `rerank_tokens` and the list's
    `rerank_reasoned_share`. All of these are hidden from LLMs and embedders.

    With evidence "both" the clip's text is scored too, and `score` is the probability that picture or text answers the
    question; with "text" it is that of the text alone, and no VLM is loaded. Metadata hold these probabilities as `relevance`,
    `relevance_picture` and `relevance_text`. Where a modality has none, `unscored_picture` or `unscored_text` says why.

    A clip that no modality can score gets the score None and is ranked last, in the order given; its `rerank_status` says why:
    "abstained: …" when there is nothing to score (no picture), "failed: …" when there was an error. Raises RankVideoError
    when every clip failed in one of the modalities.

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
    score_threshold: float | None = Field(None, description="Drop clips with a lower score; those without a score are kept.")
    evidence: EvidenceKind = Field("picture", description="What clips are scored by: picture, text or both.")
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
    text_lookup: TextLookup | None = Field(
        None, exclude=True, description="Returns the timed text of a span of a video; by default the node's text is scored."
    )
    passage_scorer: PassageScorer | None = Field(
        None, exclude=True, description="Scores passages of text; by default by the words that they share with the question."
    )
    calibration: Platt | None = Field(
        None, description="Turns margins into probabilities; by default that of the model, else the model's own decision."
    )
    out_of_domain: OutOfDomain | None = Field(
        None,
        exclude=True,
        description="Returns why the model cannot judge a picture for a question; it is not scored.",
    )

    _cache: ScoreCache | None = PrivateAttr(None)
    _model: _LazyModel = PrivateAttr(default_factory=_LazyModel)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.evidence != "text":
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
        vlm = None if self.evidence == "text" else self._model.load(self.backend, self.model, self.device)
        pictures = [None] * len(nodes) if vlm is None else self._score_pictures(vlm, nodes, question)
        texts = [None] * len(nodes) if self.evidence == "picture" else self._score_texts(nodes, question)
        findings = [self._combine(picture, text) for picture, text in zip(pictures, texts, strict=True)]
        self._check(findings)
        shared = {
            "rerank_model": "text" if vlm is None else vlm.name,
            "rerank_reasoned_share": self._share_reasoned([picture for picture in pictures if picture]),
        }
        ranked = rank_by_score([finding.score for finding in findings])
        best = [(nodes[i], findings[i]) for i in ranked if not self._is_dropped(findings[i])]
        return [self._annotate(hit, finding, shared) for hit, finding in best[: self.top_n]]

    def _score_pictures(self, vlm: VLM, nodes: Sequence[NodeWithScore], question: str) -> list[Score]:
        spec = resolve_prompt_spec(self.prompt, self.model)
        spans = [self._span(hit, question) for hit in nodes]
        contexts = [self._context(hit) if spec.context else NO_CONTEXT for hit in nodes]
        clips = zip(spans, contexts, strict=True)
        pairs = [Pair(question, span, context) for span, context in clips if isinstance(span, VideoSpan)]
        scores = iter(score_pairs(vlm, spec, pairs, self._options()))
        return [next(scores) if isinstance(span, VideoSpan) else span for span in spans]

    def _context(self, hit: NodeWithScore) -> ClipContext:
        """Return a clip's text and its scores in each channel of retrieval."""
        transcript = " ".join(span.text for span in timed_text(hit, self.text_lookup))
        scores = {key.removeprefix("score_"): score for key, score in hit.node.metadata.items() if key.startswith("score_")}
        return ClipContext(transcript, ", ".join(f"{channel} {100 * score:.0f}" for channel, score in scores.items()))

    def _score_texts(self, nodes: Sequence[NodeWithScore], question: str) -> list[TextScore]:
        passages = [[part.text for part in split_passages(timed_text(hit, self.text_lookup))] for hit in nodes]
        scorer = self.passage_scorer or TermScorer()
        by_part = [score_texts(scorer, part, passages) for part in split_question(question)]
        return [max(scores, key=lambda score: score.probability or 0.0) for scores in zip(*by_part, strict=True)]

    def _combine(self, picture: Score | None, text: TextScore | None) -> _Finding:
        margin = None if picture is None else picture.margin
        calibration = self.calibration or picture_calibration(self.model)
        relevance = Relevance(
            picture=None if margin is None else calibration.probability(margin),
            text=None if text is None else text.probability,
        )
        return _Finding(picture, text, relevance, margin if self.evidence == "picture" else relevance.combined)

    def _options(self) -> ScoringOptions:
        return ScoringOptions(
            windows=self.windows,
            reasoning=Reasoning(mode=self.reasoning, band=self.reasoning_band, max_tokens=self.reasoning_tokens),
            cache=self._cache,
            deadline=None if self.deadline is None else time.monotonic() + self.deadline,
            limits=self.limits,
            batch_size=self.batch_size,
        )

    def _span(self, hit: NodeWithScore, question: str) -> VideoSpan | Score:
        if self.out_of_domain and (reason := self.out_of_domain(hit.node, question)):
            return Score(status="abstained", reason=f"out_of_domain: {reason}")
        try:
            return node_to_clip(hit.node, self.video_resolver).span
        except InputError as error:
            return Score(status="failed", reason=f"no_file: {error}")

    def _check(self, findings: Sequence[_Finding]) -> None:
        """Raise RankVideoError if every clip failed in one of the modalities, or any did and on_error is "raise"."""
        for modality in MODALITIES:
            reasons = [finding.reasons.get(f"unscored_{modality}", "") for finding in findings]
            failures = [reason.removeprefix("failed: ") for reason in reasons if reason.startswith("failed: ")]
            if failures and (self.on_error == "raise" or len(failures) == len(findings)):
                reason, count = Counter(failures).most_common(1)[0]
                raise RankVideoError(f"{len(failures)} of {len(findings)} clips could not be scored; {count} of them: {reason}")

    def _annotate(self, hit: NodeWithScore, finding: _Finding, shared: dict[str, str | float | None]) -> NodeWithScore:
        picture, (relevance_picture, relevance_text) = finding.picture or Score(), finding.relevance
        metadata = shared | {
            "retrieval_score": hit.score if self.keep_retrieval_score else None,
            "relevance": finding.relevance.combined,
            "relevance_picture": relevance_picture,
            "relevance_text": relevance_text,
            "unscored_picture": finding.reasons.get("unscored_picture"),
            "unscored_text": finding.reasons.get("unscored_text"),
            "rerank_score": picture.margin,
            "rerank_p_yes": picture.p_yes,
            "rerank_status": finding.status,
            "rerank_start": picture.start,
            "rerank_end": picture.end,
            "rerank_rationale": picture.rationale,
            "rerank_tokens": None if self.reasoning == "never" else picture.tokens,
        }
        return copy_with_score(hit, finding.score, metadata)

    def _is_dropped(self, finding: _Finding) -> bool:
        return self.score_threshold is not None and finding.score is not None and finding.score < self.score_threshold

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
