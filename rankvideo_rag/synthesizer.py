"""VideoAnswerSynthesizer: LlamaIndex's response synthesizer for video, with verified claims and citations."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from llama_index.core.base.response.schema import RESPONSE_TYPE, AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload
from llama_index.core.instrumentation.events.synthesis import SynthesizeEndEvent, SynthesizeStartEvent
from llama_index.core.llms import LLM, MockLLM
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.mixin import PromptDictType
from llama_index.core.response_synthesizers import BaseSynthesizer
from llama_index.core.schema import NodeWithScore, QueryBundle, QueryType, TextNode
from llama_index.core.types import TokenAsyncGen, TokenGen
from llama_index_instrumentation import get_dispatcher

from rankvideo_rag.answering.abstention import is_unanswerable
from rankvideo_rag.answering.evidence import Evidence
from rankvideo_rag.answering.evidence_subsets import select_best, split_evidence
from rankvideo_rag.answering.extractive import quote_evidence
from rankvideo_rag.answering.generation import AnswerGenerator, LLMError, Tokenizer
from rankvideo_rag.answering.node_evidence import TextLookup, nodes_to_evidence
from rankvideo_rag.answering.options import AnswerOptions
from rankvideo_rag.answering.outcome import conclude, conclude_error
from rankvideo_rag.answering.parsing import ParsedClaim
from rankvideo_rag.answering.prompt_evidence import PromptEvidence
from rankvideo_rag.answering.prompts import PROSE_TEMPLATE
from rankvideo_rag.answering.streaming import StreamingVerifier
from rankvideo_rag.answering.verification import VerificationContext
from rankvideo_rag.errors import InputError
from rankvideo_rag.models.nli import NliModel
from rankvideo_rag.schema import Answer

dispatcher = get_dispatcher(__name__)
logger = logging.getLogger(__name__)

_Reply = list[ParsedClaim] | LLMError
ANSWER_KEY = "answer"  # of Response.metadata: the Answer as a dict, beside the metadata of each node by its id


class VideoAnswerSynthesizer(BaseSynthesizer):
    """Answer from clips, with verified claims that cite a video and a time span.

    With an LLM, the clips become numbered evidence that the LLM cites: by function calling where it supports that, else in
    prose or JSON. A claim is shown if it cites a clip of the prompt and a time in it, its quotes occur in the stored text, and
    that text supports the claim; others are removed and reported. If the LLM says that the evidence does not answer, the
    archive does not answer. If it fails, the answer quotes text and says why. Without an LLM, the best matching sentences are
    quoted. There is no default LLM, so nothing leaves the machine unless an LLM that sends it is passed in.

    Args:
        llm: any LlamaIndex LLM; None quotes instead. `answering.openai_like.load_openai_like` connects to a local server.
        text_lookup: (video_id, start, end) -> timed text of a clip; None: a node's text counts as spoken during its whole clip.
        template: prompt for an LLM that writes prose, with {context_str}, {query_str} and optionally {boundary}.
        tokenizer: counts tokens; None: the LLM's own tokenizer if it has one, else an estimate.
        nli: model that decides claims which rules leave unchecked, such as paraphrases and translations.
        callback_manager: as in LlamaIndex.
        streaming: return a response whose text is released claim by claim, as each is verified.
        **options: fields of `AnswerOptions`.

    `synthesize` returns a Response whose metadata["answer"] is the Answer as a dict; with `streaming`, once the stream has
    ended. Raises InputError for invalid options.
    """

    def __init__(
        self,
        llm: LLM | None = None,
        *,
        text_lookup: TextLookup | None = None,
        template: BasePromptTemplate = PROSE_TEMPLATE,
        tokenizer: Tokenizer | None = None,
        nli: NliModel | None = None,
        callback_manager: CallbackManager | None = None,
        streaming: bool = False,
        **options: Any,
    ) -> None:
        self._options = AnswerOptions(**options)
        if llm is None and (self._options.frames or self._options.evidence_subsets > 1):
            raise InputError("frames and evidence_subsets need an LLM, and there is no llm: without one, text is quoted")
        # Without an LLM the base class would load LlamaIndex's default, which is a remote one.
        super().__init__(llm=llm or MockLLM(), callback_manager=callback_manager, streaming=streaming)
        self._generator = AnswerGenerator(llm, template, self._options, tokenizer) if llm else None
        self._text_lookup = text_lookup
        self._nli = nli

    def _get_prompts(self) -> PromptDictType:
        return dict(self._generator.templates) if self._generator else {}

    def _update_prompts(self, prompts: PromptDictType) -> None:
        if self._generator:
            templates = self._generator.templates
            templates |= {name: prompts[name] for name in templates if name in prompts}

    @dispatcher.span
    def synthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        with self._emit_events(query) as responses:
            task = self._prepare(_query_text(query), nodes, additional_source_nodes or (), response_kwargs)
            responses.append(task.respond(self._stream(task) if self._streaming else self._answer(task)))
        return responses[0]

    @dispatcher.span
    async def asynthesize(
        self,
        query: QueryType,
        nodes: list[NodeWithScore],
        additional_source_nodes: Sequence[NodeWithScore] | None = None,
        **response_kwargs: Any,
    ) -> RESPONSE_TYPE:
        with self._emit_events(query) as responses:
            others = additional_source_nodes or ()
            task = await asyncio.to_thread(self._prepare, _query_text(query), nodes, others, response_kwargs)
            responses.append(task.respond(self._astream(task) if self._streaming else await self._aanswer(task)))
        return responses[0]

    def get_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> str:
        return self._answer(self._prepare(query_str, _as_nodes(text_chunks), (), response_kwargs)).text

    async def aget_response(self, query_str: str, text_chunks: Sequence[str], **response_kwargs: Any) -> str:
        return (await self._aanswer(self._prepare(query_str, _as_nodes(text_chunks), (), response_kwargs))).text

    def _prepare(
        self, question: str, nodes: Sequence[NodeWithScore], others: Sequence[NodeWithScore], variables: dict[str, Any]
    ) -> "_Task":
        evidence = nodes_to_evidence(nodes, self._text_lookup, self._options.limits)
        abstain = not evidence or is_unanswerable(
            question, evidence, min_margin=self._options.min_margin, extractor=self._options.extractor
        )
        sources = [*nodes, *others]
        metadata: dict[str, Any] = {hit.node.node_id: hit.node.metadata for hit in sources}
        return _Task(question, evidence, None if abstain else self._generator, variables, sources, metadata)

    def _answer(self, task: "_Task") -> Answer:
        prompts = self._prompts_of(task)
        return self._select(task, prompts, [_reply(task, prompt) for prompt in prompts])

    async def _aanswer(self, task: "_Task") -> Answer:
        prompts = await asyncio.to_thread(self._prompts_of, task)
        return self._select(task, prompts, await asyncio.gather(*(_areply(task, prompt) for prompt in prompts)))

    def _prompts_of(self, task: "_Task") -> list[PromptEvidence]:
        """Return a prompt for each subset of the evidence; none if no language model is to be called."""
        if task.generator is None:
            return []
        subsets = split_evidence(task.evidence, self._options.evidence_subsets)
        return [task.generator.fit_evidence(task.question, subset) for subset in subsets]

    def _select(self, task: "_Task", prompts: Sequence[PromptEvidence], replies: Sequence[_Reply]) -> Answer:
        if not prompts:
            return quote_evidence(
                task.question,
                task.evidence,
                min_margin=self._options.min_margin,
                extractor=self._options.extractor,
            )
        answers = [self._conclude(task, prompt, reply) for prompt, reply in zip(prompts, replies, strict=True)]
        return select_best(answers, task.evidence)

    def _conclude(self, task: "_Task", prompt: PromptEvidence, reply: _Reply) -> Answer:
        context = self._context(task, prompt)
        answer = conclude_error(self._keep(reply), context) if isinstance(reply, LLMError) else conclude(reply, context)
        return answer.model_copy(update={"prompt": prompt.usage})

    def _keep(self, error: LLMError) -> str:
        """Return the message of an error that is reported in the answer; raise it if the options say so."""
        if self._options.on_error == "raise":
            raise error
        logger.warning("%s", error)
        return str(error)

    def _stream(self, task: "_Task") -> TokenGen:
        if task.generator is None or self._options.evidence_subsets > 1:
            yield task.store(self._answer(task))
            return
        (prompt,) = self._prompts_of(task)
        verifier, error = StreamingVerifier(self._context(task, prompt)), None
        try:
            for token in task.generator.stream(prompt, task.variables):
                if text := verifier.feed(token):
                    yield text
                if verifier.is_full:
                    break
        except LLMError as caught:
            error = self._keep(caught)
        yield task.finish(prompt, verifier, error)

    async def _astream(self, task: "_Task") -> TokenAsyncGen:
        if task.generator is None or self._options.evidence_subsets > 1:
            yield task.store(await self._aanswer(task))
            return
        (prompt,) = await asyncio.to_thread(self._prompts_of, task)
        verifier, error = StreamingVerifier(self._context(task, prompt)), None
        try:
            async for token in task.generator.astream(prompt, task.variables):
                if text := verifier.feed(token):
                    yield text
                if verifier.is_full:
                    break
        except LLMError as caught:
            error = self._keep(caught)
        yield task.finish(prompt, verifier, error)

    def _context(self, task: "_Task", prompt: PromptEvidence) -> VerificationContext:
        return VerificationContext(
            question=task.question,
            shown=prompt.evidence,
            retrieved=task.evidence,
            options=self._options,
            clips_with_frames=frozenset(frame.number for frame in prompt.frames),
            instructions=task.generator.instructions if task.generator else "",
            nli=self._nli,
        )

    @contextmanager
    def _emit_events(self, query: QueryType) -> Iterator[list[RESPONSE_TYPE]]:
        """Report the start and, if nothing is raised, the end to both of LlamaIndex's event systems."""
        responses: list[RESPONSE_TYPE] = []
        dispatcher.event(SynthesizeStartEvent(query=query))
        start: dict[str, Any] = {EventPayload.QUERY_STR: _query_text(query)}
        with self._callback_manager.event(CBEventType.SYNTHESIZE, payload=start) as event:
            yield responses
            event.on_end(payload={EventPayload.RESPONSE: responses[0]})
        dispatcher.event(SynthesizeEndEvent(query=query, response=responses[0]))


class _Task(NamedTuple):
    question: str
    evidence: list[Evidence]
    generator: AnswerGenerator | None  # None: no language model is called
    variables: dict[str, Any]  # further ones of the prompt's template
    sources: list[NodeWithScore]
    metadata: dict[str, Any]  # of the response

    def store(self, answer: Answer) -> str:
        """Add the answer to the response's metadata and return its text."""
        self.metadata[ANSWER_KEY] = answer.model_dump(mode="json")
        return answer.text

    def finish(self, prompt: PromptEvidence, verifier: StreamingVerifier, error: str | None) -> str:
        """Store the answer of a stream, and return the part of its text that was not released yet."""
        answer, rest = verifier.finish(error)
        self.store(answer.model_copy(update={"prompt": prompt.usage}))
        return rest

    def respond(self, answer: Answer | TokenGen | TokenAsyncGen) -> RESPONSE_TYPE:
        """Return LlamaIndex's response for an answer or a stream of its text."""
        if isinstance(answer, Answer):
            return Response(self.store(answer), self.sources, self.metadata)
        kind: Any = StreamingResponse if isinstance(answer, Iterator) else AsyncStreamingResponse
        response: RESPONSE_TYPE = kind(answer, self.sources, self.metadata)
        return response


def _reply(task: _Task, prompt: PromptEvidence) -> _Reply:
    assert task.generator
    try:
        return task.generator.generate(prompt, task.variables)
    except LLMError as error:
        return error


async def _areply(task: _Task, prompt: PromptEvidence) -> _Reply:
    assert task.generator
    try:
        return await task.generator.agenerate(prompt, task.variables)
    except LLMError as error:
        return error


def _query_text(query: QueryType) -> str:
    return query.query_str if isinstance(query, QueryBundle) else query


def _as_nodes(texts: Sequence[str]) -> list[NodeWithScore]:
    nodes = [
        TextNode(text=text, metadata={"file_path": f"text {i}", "start": 0.0, "end": 0.0})
        for i, text in enumerate(texts, start=1)
    ]
    return [NodeWithScore(node=node) for node in nodes]
