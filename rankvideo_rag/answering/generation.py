"""Generate answers with any LlamaIndex LLM: at once, as a stream, or by function calling. Nothing is verified here."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate

from rankvideo_rag.answering.declining import DECLINED
from rankvideo_rag.answering.evidence import Evidence, sanitize_for_prompt
from rankvideo_rag.answering.options import AnswerOptions
from rankvideo_rag.answering.parsing import ParsedClaim, claims_from_json, limit_claims, parse_claims
from rankvideo_rag.answering.prompt_evidence import (
    ESTIMATE,
    EvidenceFrame,
    PromptEvidence,
    TokenCounter,
    estimate_tokens,
    fit_evidence,
)
from rankvideo_rag.answering.prompts import CLAIMS_TEMPLATE, CitedAnswer, make_boundary
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.text import clean, timestamp

Tokenizer = Callable[[str], Sequence[Any]]
"""Returns the tokens of a text."""

_DEFAULT_OUTPUT = 512  # tokens reserved for the answer if the LLM does not declare num_output
_MAX_ERROR = 500  # characters of an error's message: a server may repeat the prompt in it
_TOOL = get_function_tool(CitedAnswer)


class LLMError(ModelError):
    """A language model failed, whatever it raised."""


@contextmanager
def _llm_errors() -> Iterator[None]:
    """Turn every exception of the block into an LLMError that names it and its causes."""
    try:
        yield
    except Exception as error:  # of any LLM and any server
        causes: list[str] = []
        cause: BaseException | None = error
        while cause is not None:
            causes.append(clean(str(cause), max_length=_MAX_ERROR).rstrip(".") or type(cause).__name__)
            cause = cause.__cause__
        raise LLMError(f"the language model failed: {type(error).__name__}: {': '.join(dict.fromkeys(causes))}") from error


class AnswerGenerator:
    """A language model with its prompts. Methods that call the model raise LLMError for whatever it raises.

    Args:
        llm: a multimodal chat model if `options.frames` is set.
        template: prompt for prose, with {context_str}, {query_str} and optionally {boundary}.
        options: `frames` and `evidence_tokens` are used.
        tokenizer: counts tokens; None: the LLM's own tokenizer if it has one, else an estimate.
    """

    def __init__(
        self, llm: LLM, template: BasePromptTemplate, options: AnswerOptions, tokenizer: Tokenizer | None = None
    ) -> None:
        if options.frames and not llm.metadata.is_chat_model:
            raise InputError(
                f"frames = {options.frames}, and {llm.metadata.model_name} is no chat model: only chat models accept images"
            )
        self.llm = llm
        self.templates: dict[str, BasePromptTemplate] = {"text_qa_template": template, "claims_template": CLAIMS_TEMPLATE}
        self._options = options
        self._counter = _token_counter(llm, tokenizer)
        self._tool_llm = llm if isinstance(llm, FunctionCallingLLM) and llm.metadata.is_function_calling_model else None

    @property
    def instructions(self) -> str:
        """The prompt without evidence and question, with the system prompt."""
        return f"{self.llm.system_prompt or ''}\n{self._template.get_template(llm=self.llm)}"

    def fit_evidence(self, question: str, evidence: Sequence[Evidence]) -> PromptEvidence:
        """Return the evidence that fits the prompt. Raises InputError if not even one clip fits."""
        limit = self._options.evidence_tokens
        budget = self._available_tokens(question) if limit is None else limit
        prompt = fit_evidence(question, evidence, options=self._options, budget=budget, counter=self._counter)
        if not prompt.evidence:
            raise InputError(
                f"{budget} tokens for evidence are too few for a single clip: give the LLM its true context_window "
                f"(now {self.llm.metadata.context_window}), or increase evidence_tokens"
            )
        return prompt

    def generate(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> list[ParsedClaim]:
        """Return the claims of the answer. `variables` are further variables of the template."""
        with _llm_errors():
            if self._tool_llm:
                return self._parse_tool_calls(self._tool_llm.chat_with_tools(**self._tool_arguments(prompt, variables)))
            template, values = self._prose_prompt(prompt, variables)
            return parse_claims(self.llm.predict(template, **values))

    async def agenerate(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> list[ParsedClaim]:
        """Return the claims of the answer, like `generate`."""
        with _llm_errors():
            if self._tool_llm:
                return self._parse_tool_calls(await self._tool_llm.achat_with_tools(**self._tool_arguments(prompt, variables)))
            template, values = self._prose_prompt(prompt, variables)
            return parse_claims(await self.llm.apredict(template, **values))

    def stream(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> Iterator[str]:
        """Stream the answer as prose."""
        with _llm_errors():
            template, values = self._prose_prompt(prompt, variables)
            yield from self.llm.stream(template, **values)

    async def astream(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> AsyncIterator[str]:
        """Stream the answer as prose."""
        with _llm_errors():
            template, values = self._prose_prompt(prompt, variables)
            async for token in await self.llm.astream(template, **values):
                yield token

    @property
    def _template(self) -> BasePromptTemplate:
        return self.templates["claims_template" if self._tool_llm else "text_qa_template"]

    def _prose_prompt(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> tuple[BasePromptTemplate, dict[str, Any]]:
        template = self.templates["text_qa_template"]
        values = _template_values(prompt.question, prompt.evidence) | dict(variables)
        if not prompt.frames:
            return template, values
        messages = template.format_messages(llm=self.llm, **values)
        # All variables are filled in already: braces in the evidence are not parsed again.
        return ChatPromptTemplate(message_templates=_with_frames(messages, prompt.frames)), {}

    def _tool_arguments(self, prompt: PromptEvidence, variables: Mapping[str, Any]) -> dict[str, Any]:
        values = _template_values(prompt.question, prompt.evidence) | dict(variables)
        messages = self.templates["claims_template"].format_messages(llm=self.llm, **values)
        system = [ChatMessage(role=MessageRole.SYSTEM, content=self.llm.system_prompt)] if self.llm.system_prompt else []
        return {"tools": [_TOOL], "chat_history": [*system, *_with_frames(messages, prompt.frames)], "tool_required": True}

    def _parse_tool_calls(self, response: ChatResponse) -> list[ParsedClaim]:
        """Return the claims in a function call; without a call, those in the text. No function is ever run."""
        assert self._tool_llm
        calls = self._tool_llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
        if not calls:
            return parse_claims(response.message.content or "")
        own = [call for call in calls if call.tool_name == _TOOL.metadata.name]
        if own == calls and all(call.tool_kwargs.get("claims") == [] for call in own):
            return [ParsedClaim(DECLINED, ())]
        claims = [claim for call in own for claim in claims_from_json(call.tool_kwargs.get("claims"))]
        others = [ParsedClaim(f"(a call of {call.tool_name})", ()) for call in calls if call not in own]
        return limit_claims([*claims, *others])

    def _available_tokens(self, question: str) -> int:
        """Return what the context window leaves for evidence."""
        metadata = self.llm.metadata
        empty = self._template.format(llm=self.llm, **_template_values(question, []))
        tool = json.dumps(CitedAnswer.model_json_schema()) if self._tool_llm else ""
        fixed = sum(self._counter.count(text) for text in (self.llm.system_prompt or "", empty, tool) if text)
        output = metadata.num_output if metadata.num_output > 0 else _DEFAULT_OUTPUT
        return metadata.context_window - fixed - output


def _template_values(question: str, evidence: Sequence[Evidence]) -> dict[str, Any]:
    context = "\n\n".join(piece.format() for piece in evidence)
    return {"context_str": context, "query_str": sanitize_for_prompt(question), "boundary": make_boundary(context)}


def _with_frames(messages: Sequence[ChatMessage], frames: Sequence[EvidenceFrame]) -> list[ChatMessage]:
    """Add frames to the last message, each after its number and time."""
    if not frames:
        return list(messages)
    *first, last = messages
    blocks: list[Any] = list(last.blocks)
    for frame in frames:
        blocks.append(TextBlock(text=f"[{frame.number}] seen @ {timestamp(frame.time)}:"))
        blocks.append(ImageBlock(image=frame.png))
    return [*first, ChatMessage(role=last.role, blocks=blocks)]


def _token_counter(llm: LLM, tokenizer: Tokenizer | None) -> TokenCounter:
    if tokenizer is not None:
        return TokenCounter(lambda text: len(tokenizer(text)), "the given tokenizer")
    # There is no public name for it: LlamaIndex's OpenAI, OpenAILike and HuggingFace classes share this one.
    own = getattr(llm, "_tokenizer", None)
    if own is not None and hasattr(own, "encode"):
        return TokenCounter(lambda text: len(own.encode(text)), "the LLM's tokenizer")
    return TokenCounter(estimate_tokens, ESTIMATE)
