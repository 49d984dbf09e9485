"""RankVideoRerank: the LlamaIndex node postprocessor that watches clips and re-orders them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle
from llama_index_instrumentation import get_dispatcher

from rankvideo_rag.backends import check_name
from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.nodes import VideoResolver, clip_of, copy_with
from rankvideo_rag.ranking.pointwise import Footage, judge, order
from rankvideo_rag.schema import Score
from rankvideo_rag.vlm import VLM, load_vlm
from rankvideo_rag.vlm.prompts import prompt_spec

dispatcher = get_dispatcher(__name__)


class RankVideoRerank(BaseNodePostprocessor):
    """Re-orders video clips by watching them: RankVideo's margin logp(yes) - logp(no), relevant above 0 (arXiv 2602.02444).

    Works on any node that names a video: the archive's own, a TextNode whose metadata has file_path (and, if it stands for a
    part, start and end in seconds), a Node with a video_resource. Returns copies: `score` is the margin, metadata hold
    `retrieval_score`, `rerank_score`, `rerank_p_yes`, `rerank_status` and `rerank_model`, hidden from LLMs and embedders.

    A clip that cannot be judged gets the score None, stands last in the order in which it came, and its `rerank_status` says
    why: "abstained: …" when the judge has nothing to say (no picture), "failed: …" when something broke. When every clip
    failed, RankVideoError is raised: an order that nobody made is no ranking.

    The model is loaded at the first question. Safe under concurrent queries.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    model: str | None = Field("hltcoe/RankVideo", description="hub name or local path of a Qwen3-VL style checkpoint")
    backend: str = Field("transformers", description="a file of rankvideo_rag/vlm/, or package.module:function")
    device: str | None = Field(None, description="cpu, cuda, cuda:1; None picks the best there is")
    prompt: str = Field("rankvideo", description="the name of a PromptSpec")
    top_n: int = Field(5, ge=1, description="clips returned")
    batch_size: int = Field(4, ge=1, description="clips watched at once")
    on_error: Literal["keep", "raise"] = Field("keep", description="keep a clip that failed, last; or raise for it")
    video_resolver: VideoResolver | None = Field(None, exclude=True, description="from a node to the path of its video")

    _vlm: VLM | None = PrivateAttr(None)
    _loading: Any = PrivateAttr(default_factory=threading.Lock)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        check_name("rankvideo_rag.vlm", self.backend)
        prompt_spec(self.prompt)

    @classmethod
    def class_name(cls) -> str:
        return "RankVideoRerank"

    def __getstate__(self) -> dict[str, Any]:
        # A loaded model and a lock stay behind: the copy loads its own.
        state = super().__getstate__()
        state["__pydantic_private__"] = None
        return state

    def _postprocess_nodes(self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None) -> list[NodeWithScore]:
        question = _question(query_bundle)
        if not nodes:
            return []
        with self._reported(nodes, question) as finished:
            finished += self._rerank(nodes, question)
        return finished

    @dispatcher.span
    async def _apostprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        question = _question(query_bundle)
        if not nodes:
            return []
        with self._reported(nodes, question) as finished:
            finished += await asyncio.to_thread(self._rerank, nodes, question)
        return finished

    def _rerank(self, nodes: Sequence[NodeWithScore], question: str) -> list[NodeWithScore]:
        footage = [self._footage(hit) for hit in nodes]
        watchable = [clip for clip in footage if isinstance(clip, Footage)]
        vlm = self._loaded()
        judged = iter(judge(vlm, prompt_spec(self.prompt), question, watchable, batch_size=self.batch_size))
        scores = [next(judged) if isinstance(clip, Footage) else clip for clip in footage]
        self._check(scores)
        hits = [_judged(hit, score, vlm.name) for hit, score in zip(nodes, scores, strict=True)]
        return [hits[i] for i in order(scores)][: self.top_n]

    def _footage(self, hit: NodeWithScore) -> Footage | Score:
        try:
            return clip_of(hit.node, self.video_resolver).footage
        except InputError as error:
            return Score(status="failed", reason=f"no_file: {error}")

    def _check(self, scores: Sequence[Score]) -> None:
        failures = [score.reason for score in scores if score.status == "failed"]
        if failures and (self.on_error == "raise" or len(failures) == len(scores)):
            reason, count = Counter(failures).most_common(1)[0]
            raise RankVideoError(f"{len(failures)} of {len(scores)} clips could not be judged; {count} of them: {reason}")

    def _loaded(self) -> VLM:
        with self._loading:
            if self._vlm is None:
                self._vlm = load_vlm(self.backend, self.model, device=self.device)
            return self._vlm

    @contextmanager
    def _reported(self, nodes: list[NodeWithScore], question: str) -> Iterator[list[NodeWithScore]]:
        """Both of LlamaIndex's event systems hear of the start and, unless it raises, of the end."""
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


def _judged(hit: NodeWithScore, score: Score, model: str) -> NodeWithScore:
    status = score.status if score.reason is None else f"{score.status}: {score.reason}"
    metadata = {
        "retrieval_score": hit.score,
        "rerank_score": score.margin,
        "rerank_p_yes": score.p_yes,
        "rerank_status": status,
        "rerank_model": model,
    }
    return copy_with(hit, score.margin, metadata)
