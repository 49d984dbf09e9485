"""A language model is shown the evidence and writes: any LLM of LlamaIndex, at once, in pieces, or by calling a function.

What it wrote is not checked here.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ImageBlock, MessageRole, TextBlock
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate
from llama_index.core.types import TokenAsyncGen, TokenGen

from rankvideo_rag.answering.budget import ESTIMATE, Count, estimate, fit
from rankvideo_rag.answering.evidence import Evidence, as_data
from rankvideo_rag.answering.evidence_frames import Looked, Picture, look
from rankvideo_rag.answering.parsing import ParsedClaim, claims_from_json, limit_claims, parse_claims
from rankvideo_rag.answering.prompts import CLAIMS_TEMPLATE, TEMPLATE, CitedAnswer, boundary
from rankvideo_rag.errors import InputError
from rankvideo_rag.schema import PromptUsage
from rankvideo_rag.text import timestamp

Tokenizer = Callable[[str], Sequence[Any]]
"""From a text to its tokens."""

_LEAST_OUTPUT = 512  # tokens that are kept free for the answer where the LLM does not say how many it writes
_FOR_FRAMES = 0.5  # share of the budget that frames may have
_TOOL = get_function_tool(CitedAnswer)


class Shown(NamedTuple):
    """The evidence as one prompt shows it."""

    question: str
    evidence: list[Evidence]  # with the words that are shown
    pictures: list[Picture]
    use: PromptUsage


class _Prompt(NamedTuple):
    template: BasePromptTemplate
    variables: dict[str, Any]


class Writer:
    """A language model and how it is asked.

    Args:
        llm: with `frames` it must be one that chats and sees.
        template: what one that writes prose is told; with {context_str} and {query_str}, and {boundary} if wanted.
        frames: how many of each clip are shown.
        budget: tokens for evidence; None: what the LLM's context window leaves.
        tokenizer: counts them; None: the LLM's own where it has one, else an estimate.
    """

    def __init__(
        self,
        llm: LLM,
        *,
        template: BasePromptTemplate = TEMPLATE,
        frames: int = 0,
        budget: int | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        if frames and not llm.metadata.is_chat_model:
            raise InputError(
                f"frames = {frames}, and {llm.metadata.model_name} is no chat model: only these can be shown pictures"
            )
        self.llm = llm
        self.templates: dict[str, BasePromptTemplate] = {"text_qa_template": template, "claims_template": CLAIMS_TEMPLATE}
        self._frames = frames
        self._budget = budget
        self._count, self._counted_by = _counter(llm, tokenizer)

    @property
    def calls_functions(self) -> bool:
        """Whether the LLM answers by filling in a function's arguments."""
        return isinstance(self.llm, FunctionCallingLLM) and self.llm.metadata.is_function_calling_model

    @property
    def instructions(self) -> str:
        """What the model is told beside evidence and question."""
        return f"{self.llm.system_prompt or ''}\n{self._template().get_template(llm=self.llm)}"

    def show(self, question: str, evidence: Sequence[Evidence]) -> Shown:
        """The evidence, cut to the budget. Raises InputError where not even one clip fits."""
        budget = self._left_for_evidence(question) if self._budget is None else self._budget
        looked = look(evidence, frames=self._frames, budget=int(budget * _FOR_FRAMES)) if self._frames else Looked([], [])
        for_frames = sum(picture.tokens for picture in looked.pictures)
        fitted = fit(question, evidence, budget=budget - for_frames, count=self._count)
        if not fitted.evidence:
            raise InputError(
                f"{budget} tokens for evidence are too few for a single clip: give the LLM its true context_window "
                f"(it says {self.llm.metadata.context_window}), or a larger budget"
            )
        numbers = {piece.number for piece in fitted.evidence}
        pictures = [picture for picture in looked.pictures if picture.number in numbers]
        use = PromptUsage(
            budget=budget,
            used=fitted.used + sum(picture.tokens for picture in pictures),
            counted_by=self._counted_by,
            frames=len(pictures),
            omitted=(*fitted.omitted, *looked.omitted),
        )
        return Shown(question, fitted.evidence, pictures, use)

    def write(self, shown: Shown, options: Mapping[str, Any]) -> list[ParsedClaim]:
        """The answer in one go. `options` are more variables of the template."""
        if isinstance(self.llm, FunctionCallingLLM) and self.calls_functions:
            messages = self._messages(shown, options)
            return _called(self.llm, self.llm.chat_with_tools([_TOOL], chat_history=messages, tool_required=True))
        prompt = self._prompt(shown, options)
        return parse_claims(self.llm.predict(prompt.template, **prompt.variables))

    async def awrite(self, shown: Shown, options: Mapping[str, Any]) -> list[ParsedClaim]:
        """As `write`."""
        if isinstance(self.llm, FunctionCallingLLM) and self.calls_functions:
            messages = self._messages(shown, options)
            return _called(self.llm, await self.llm.achat_with_tools([_TOOL], chat_history=messages, tool_required=True))
        prompt = self._prompt(shown, options)
        return parse_claims(await self.llm.apredict(prompt.template, **prompt.variables))

    def stream(self, shown: Shown, options: Mapping[str, Any]) -> TokenGen:
        """The answer as prose, in pieces."""
        prompt = self._prompt(shown, options)
        return self.llm.stream(prompt.template, **prompt.variables)

    async def astream(self, shown: Shown, options: Mapping[str, Any]) -> TokenAsyncGen:
        """As `stream`."""
        prompt = self._prompt(shown, options)
        return await self.llm.astream(prompt.template, **prompt.variables)

    def _prompt(self, shown: Shown, options: Mapping[str, Any]) -> _Prompt:
        template = self.templates["text_qa_template"]
        variables = _variables(shown.question, shown.evidence) | dict(options)
        if not shown.pictures:
            return _Prompt(template, variables)
        messages = template.format_messages(llm=self.llm, **variables)
        # All variables are filled in: a brace in the evidence is no variable any more, and stays.
        return _Prompt(ChatPromptTemplate(message_templates=_with_pictures(messages, shown.pictures)), {})

    def _messages(self, shown: Shown, options: Mapping[str, Any]) -> list[ChatMessage]:
        variables = _variables(shown.question, shown.evidence) | dict(options)
        messages = self.templates["claims_template"].format_messages(llm=self.llm, **variables)
        system = [ChatMessage(role=MessageRole.SYSTEM, content=self.llm.system_prompt)] if self.llm.system_prompt else []
        return [*system, *_with_pictures(messages, shown.pictures)]

    def _template(self) -> BasePromptTemplate:
        return self.templates["claims_template" if self.calls_functions else "text_qa_template"]

    def _left_for_evidence(self, question: str) -> int:
        says = self.llm.metadata
        empty = self._template().format(llm=self.llm, **_variables(question, []))
        tool = json.dumps(CitedAnswer.model_json_schema()) if self.calls_functions else ""
        told = sum(self._count(text) for text in (self.llm.system_prompt or "", empty, tool) if text)
        return says.context_window - told - max(says.num_output, _LEAST_OUTPUT if says.num_output < 1 else 0)


def _variables(question: str, evidence: Sequence[Evidence]) -> dict[str, Any]:
    context = "\n\n".join(piece.block() for piece in evidence)
    return {"context_str": context, "query_str": as_data(question), "boundary": boundary(context)}


def _with_pictures(messages: Sequence[ChatMessage], pictures: Sequence[Picture]) -> list[ChatMessage]:
    """The messages, the pictures added to the last, each after its number and time."""
    if not pictures:
        return list(messages)
    blocks = [
        block
        for picture in pictures
        for block in (TextBlock(text=f"[{picture.number}] seen @ {timestamp(picture.time)}:"), ImageBlock(image=picture.png))
    ]
    last = messages[-1]
    return [*messages[:-1], ChatMessage(role=last.role, blocks=[*last.blocks, *blocks])]


def _called(llm: FunctionCallingLLM, response: ChatResponse) -> list[ParsedClaim]:
    """The statements in a function call; of a model that called none, those in its prose. No function is ever run."""
    calls = llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
    if not calls:
        return parse_claims(response.message.content or "")
    ours = [call.tool_kwargs.get("claims") for call in calls if call.tool_name == _TOOL.metadata.name]
    others = [ParsedClaim(f"(a call of {call.tool_name})", ()) for call in calls if call.tool_name != _TOOL.metadata.name]
    return limit_claims([*(draft for claims in ours for draft in claims_from_json(claims)), *others])


def _counter(llm: LLM, tokenizer: Tokenizer | None) -> tuple[Count, str]:
    if tokenizer is not None:
        return (lambda text: len(tokenizer(text))), "the given tokenizer"
    # LlamaIndex has no public name for it; its OpenAI, OpenAILike and HuggingFace classes share this one.
    own = getattr(llm, "_tokenizer", None)
    if own is not None and hasattr(own, "encode"):
        return (lambda text: len(own.encode(text))), "the LLM's tokenizer"
    return estimate, ESTIMATE
