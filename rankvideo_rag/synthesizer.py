"""VideoAnswerSynthesizer: LlamaIndex's response synthesizer for video, with statements and citations that were checked."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

from llama_index.core.base.response.schema import RESPONSE_TYPE, AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.synthesis import SynthesizeEndEvent, SynthesizeStartEvent
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType, TextNode
from llama_index.core.types import TokenAsyncGen, TokenGen
from llama_index_instrumentation import get_dispatcher

from rankvideo_rag.answering.abstention import is_unanswerable
from rankvideo_rag.answering.citations import VerificationRules, build_answer, verify_claim
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.evidence_subsets import best, deal
from rankvideo_rag.answering.extractive import extract
from rankvideo_rag.answering.generation import Shown, Tokenizer, Writer
from rankvideo_rag.answering.node_evidence import Words, evidence_of
from rankvideo_rag.answering.parsing import ParsedClaim
from rankvideo_rag.answering.prompts import TEMPLATE
from rankvideo_rag.answering.streaming import Teller
from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import Answer

dispatcher = get_dispatcher(__name__)

ANSWER_KEY = "answer"  # Response.metadata[ANSWER_KEY] is the Answer as a dict, beside the metadata of each node by its id


class VideoAnswerSynthesizer(BaseSynthesizer):
    """Answers from clips, with statements and citations to video and second that were checked.

    With an LLM, any of LlamaIndex's, the clips become numbered evidence blocks and the LLM cites them, by calling a function
    where it can, else in prose or JSON. A statement is shown where a citation of it names a shown clip and a time in it, its
    quotes stand in the stored words and these words bear it out; the others are removed and reported. Without an LLM the best
    sentences are quoted. There is no default LLM, so nothing leaves the machine unless an LLM that sends it is passed in.

    Args:
        llm: writes the answer; None quotes instead. `served.served_llm` gives one that a vLLM server on this machine serves.
        words: (video_id, start, end) -> timed words of a clip; None takes each node's text as spoken during the whole clip.
        template: the prompt for an LLM that writes prose, with {context_str} and {query_str}, and {boundary} if wanted.
        min_margin: RankVideo's margin from which on a clip is taken to show what is asked. 0 is the model's own verdict;
            `abstention.calibrate_margin` takes one from labelled questions. Where every clip is below it and no words hold half
            of what is asked, the archive does not answer, and no LLM is asked.
        unsupported: what becomes of a statement that nothing bears out: it is dropped, or shown with a mark.
        frames: of each clip, shown to an LLM that chats and sees.
        evidence_subsets: so many selections of the clips are answered from; the best supported answer is given.
        budget: tokens for evidence; None: what the LLM's context window leaves.
        tokenizer: counts tokens; None: the LLM's own where it has one, else an estimate.

    `synthesize` returns a Response whose metadata["answer"] is the Answer as a dict. With `streaming=True` (as in LlamaIndex's
    own) statements are told as they are written and checked, and metadata["answer"] is there when the stream has ended.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        words: Words | None = None,
        template: BasePromptTemplate = TEMPLATE,
        min_margin: float = 0.0,
        unsupported: Literal["drop", "mark"] = "drop",
        frames: int = 0,
        evidence_subsets: int = 1,
        budget: int | None = None,
        tokenizer: Tokenizer | None = None,
        **kwargs: Any,
    ) -> None:
        if frames < 0 or evidence_subsets < 1:
            raise InputError(
                f"frames = {frames}, evidence_subsets = {evidence_subsets}: at least 0 frames and 1 subset are needed"
            )
        if llm is None and (frames or evidence_subsets > 1):
            raise InputError(f"frames = {frames}, evidence_subsets = {evidence_subsets}, and no llm: both options need one")
        # Given no LLM, the base class would reach for LlamaIndex's default, which is a remote one.
        super().__init__(llm=llm or MockLLM(), **kwargs)
        self._writer = Writer(llm, template=template, frames=frames, budget=budget, tokenizer=tokenizer) if llm else None
        self._words = words
        self._min_margin = min_margin
        self._unsupported = unsupported
        self._evidence_subsets = evidence_subsets

    def _get_prompts(self) -> PromptDictType:
        return dict(self._writer.templates) if self._writer else {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        if self._writer:
            self._writer.templates |= {name: prompts[name] for name in self._writer.templates if name in prompts}

    @dispatcher.span
    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        sources = [*nodes, *(additional_source_nodes or [])]
        with self._reported(query) as finished:
            asked = self._asked(_text(query), nodes)
            if self._streaming:
                metadata = _metadata(sources)
                finished.append(StreamingResponse(self._tell(asked, response_kwargs, metadata), sources, metadata))
            else:
                finished.append(_response(self._answer(asked, response_kwargs), sources))
        return finished[0]

    @dispatcher.span
    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        sources = [*nodes, *(additional_source_nodes or [])]
        with self._reported(query) as finished:
            asked = await asyncio.to_thread(self._asked, _text(query), nodes)
            if self._streaming:
                metadata = _metadata(sources)
                finished.append(AsyncStreamingResponse(self._atell(asked, response_kwargs, metadata), sources, metadata))
            else:
                finished.append(_response(await self._aanswer(asked, response_kwargs), sources))
        return finished[0]

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> str:
        return self._answer(self._asked(query_str, _as_nodes(text_chunks)), response_kwargs).text

    async def aget_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> str:
        return (await self._aanswer(self._asked(query_str, _as_nodes(text_chunks)), response_kwargs)).text

    def _asked(self, question: str, nodes: Sequence[NodeWithScore]) -> "_Asked":
        evidence = evidence_of(nodes, self._words)
        is_settled = not evidence or is_unanswerable(question, evidence, min_margin=self._min_margin)
        return _Asked(question, evidence, None if is_settled else self._writer)

    def _answer(self, asked: "_Asked", options: dict[str, Any]) -> Answer:
        if asked.writer is None:
            return extract(asked.question, asked.evidence, min_margin=self._min_margin)
        shown = [asked.writer.show(asked.question, plan) for plan in deal(asked.evidence, self._evidence_subsets)]
        written = [asked.writer.write(plan, options) for plan in shown]
        return self._best(asked, shown, written)

    async def _aanswer(self, asked: "_Asked", options: dict[str, Any]) -> Answer:
        if asked.writer is None:
            return extract(asked.question, asked.evidence, min_margin=self._min_margin)
        plans = deal(asked.evidence, self._evidence_subsets)
        shown = [await asyncio.to_thread(asked.writer.show, asked.question, plan) for plan in plans]
        written = await asyncio.gather(*(asked.writer.awrite(plan, options) for plan in shown))
        return self._best(asked, shown, written)

    def _best(self, asked: "_Asked", shown: Sequence[Shown], written: Sequence[Sequence[ParsedClaim]]) -> Answer:
        answers = [self._checked(asked, plan, drafts) for plan, drafts in zip(shown, written, strict=True)]
        return best(answers, asked.evidence)

    def _checked(self, asked: "_Asked", shown: Shown, drafts: Sequence[ParsedClaim]) -> Answer:
        rules = self._rules(asked, shown)
        outcomes = [verify_claim(asked.question, draft, shown.evidence, rules) for draft in drafts]
        return build_answer(asked.question, outcomes, asked.evidence, rules).model_copy(update={"prompt": shown.use})

    def _tell(self, asked: "_Asked", options: dict[str, Any], metadata: dict[str, Any]) -> TokenGen:
        if asked.writer is None or self._evidence_subsets > 1:
            yield _kept(self._answer(asked, options), metadata).text
            return
        shown = asked.writer.show(asked.question, asked.evidence)
        teller = self._teller(asked, shown)
        for token in asked.writer.stream(shown, options):
            if told := teller.hear(token):
                yield told
            if teller.is_full:
                break
        yield _ended(teller, shown, metadata)

    async def _atell(self, asked: "_Asked", options: dict[str, Any], metadata: dict[str, Any]) -> TokenAsyncGen:
        if asked.writer is None or self._evidence_subsets > 1:
            yield _kept(await self._aanswer(asked, options), metadata).text
            return
        shown = await asyncio.to_thread(asked.writer.show, asked.question, asked.evidence)
        teller = self._teller(asked, shown)
        async for token in await asked.writer.astream(shown, options):
            if told := teller.hear(token):
                yield told
            if teller.is_full:
                break
        yield _ended(teller, shown, metadata)

    def _teller(self, asked: "_Asked", shown: Shown) -> Teller:
        return Teller(asked.question, shown.evidence, asked.evidence, self._rules(asked, shown))

    def _rules(self, asked: "_Asked", shown: Shown) -> VerificationRules:
        return VerificationRules(
            unsupported=self._unsupported,
            min_margin=self._min_margin,
            pictured=frozenset(picture.number for picture in shown.pictures),
            instructions=asked.writer.instructions if asked.writer else "",
            at_hand=tuple(asked.evidence),
        )

    @contextmanager
    def _reported(self, query: QueryType) -> Iterator[list[RESPONSE_TYPE]]:
        """Both of LlamaIndex's event systems hear of the start and, unless it raises, of the end."""
        finished: list[RESPONSE_TYPE] = []
        dispatcher.event(SynthesizeStartEvent(query=query))
        start: dict[str, Any] = {EventPayload.QUERY_STR: _text(query)}
        with self._callback_manager.event(CBEventType.SYNTHESIZE, payload=start) as event:
            yield finished
            event.on_end(payload={EventPayload.RESPONSE: finished[0]})
        dispatcher.event(SynthesizeEndEvent(query=query, response=finished[0]))


class _Asked(NamedTuple):
    """A question with its evidence."""

    question: str
    evidence: list[Evidence]
    writer: Writer | None  # None: no language model is asked


def _text(query: QueryType) -> str:
    return query.query_str if isinstance(query, QueryBundle) else query


def _as_nodes(texts: Sequence[str]) -> list[NodeWithScore]:
    nodes = [
        TextNode(text=text, metadata={"file_path": f"text {i}", "start": 0.0, "end": 0.0})
        for i, text in enumerate(texts, start=1)
    ]
    return [NodeWithScore(node=node) for node in nodes]


def _metadata(nodes: Sequence[NodeWithScore]) -> dict[str, Any]:
    return {hit.node.node_id: hit.node.metadata for hit in nodes}


def _response(answer: Answer, nodes: Sequence[NodeWithScore]) -> Response:
    metadata = _metadata(nodes)
    return Response(_kept(answer, metadata).text, source_nodes=list(nodes), metadata=metadata)


def _kept(answer: Answer, metadata: dict[str, Any]) -> Answer:
    metadata[ANSWER_KEY] = answer.model_dump(mode="json")
    return answer


def _ended(teller: Teller, shown: Shown, metadata: dict[str, Any]) -> str:
    """What is still to be told at the end."""
    ending = teller.end()
    _kept(ending.answer.model_copy(update={"prompt": shown.use}), metadata)
    return ending.rest
