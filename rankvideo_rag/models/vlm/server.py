"""Models behind an OpenAI-compatible server, `http://host:port/v1#model`: best vLLM, which returns tokens by id.

    vllm serve MODEL --trust-request-mm-kwargs --trust-request-chat-template --no-mm-device-do-normalize

The first flag lets frames keep their true times, the second lets a request choose the chat template; without the third, vLLM
normalizes videos with the mean of pictures, which differs for some checkpoints. Whatever the server does, each prompt ends by
its deadline, with numbers or with a reason.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from openai.types.chat import ChatCompletion

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import abstain_from_empty, validate_generation
from rankvideo_rag.models.vlm.endpoint import Address, CircuitBreaker, Endpoint, RequestError, parse_address, run
from rankvideo_rag.models.vlm.openai_protocol import (
    LabelIds,
    ServerInfo,
    encode_videos,
    explain_unsupported,
    greedy_request,
    label_request,
    parse_completion,
    read_logprobs,
)
from rankvideo_rag.models.vlm.server_info import fetch_server_info, spellings, tokenize, tokenize_prompt

KEY_VARIABLE = "RANKVIDEO_SERVER_KEY"
_SETTING = "reranker_model"


def load(
    model: str | None, *, device: str | None = None, deadline: float = 120.0, load_deadline: float = 30.0, concurrency: int = 8
) -> "ServerVLM":
    """Connect to `http://host:port/v1#model`; the model may be omitted where the server has only one.

    A prompt has `deadline` seconds for its answer, retries included; `concurrency` prompts are sent at a time. Finding out what
    the server supports, and the ids of labels, may take `load_deadline` seconds each. The key is taken from the environment
    variable RANKVIDEO_SERVER_KEY.
    """
    if not model:
        raise InputError(f"backend 'server' needs an address: set {_SETTING} to http://host:port/v1#model")
    if device is not None:
        raise InputError(f"device = {device!r}: the server decides where its model runs, omit the device")
    if min(deadline, load_deadline) <= 0 or concurrency < 1:
        raise InputError(
            f"deadline = {deadline}, load_deadline = {load_deadline}, concurrency = {concurrency}: must be above 0"
        )
    address, breaker = parse_address(model), CircuitBreaker()

    async def connect() -> ServerInfo:
        async with _open(address, breaker) as endpoint:
            return await fetch_server_info(endpoint, address, due=time.monotonic() + load_deadline)

    limits = _Limits(deadline, load_deadline, concurrency)
    return ServerVLM(address, run(connect()), breaker, limits)


class _Limits(NamedTuple):
    deadline: float  # seconds for a prompt
    load_deadline: float  # seconds for what is asked of the server besides prompts
    concurrency: int


class _LabelQuery(NamedTuple):
    """What is asked of every prompt."""

    labels: Sequence[str]
    ids: LabelIds


class ServerVLM:
    """A model behind a server. Safe to use from several threads; holds no connection between calls."""

    def __init__(self, address: Address, info: ServerInfo, breaker: CircuitBreaker, limits: _Limits) -> None:
        self._address = address
        self._info = info
        self._breaker = breaker
        self._limits = limits
        self._label_ids: dict[str, list[int]] = {}  # of the labels asked for so far

    @property
    def name(self) -> str:
        """Backend, model and address. Servers do not tell the revision of the weights."""
        return f"server:{self._info.model}@{self._address.base_url}"

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt, return the log-probability of each label as the next token, or a reason why there is none."""
        return run(self._label_logprobs(prompts, labels))

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt, generate at most `max_tokens` tokens greedily. Raises ModelError."""
        validate_generation(prompts, max_tokens=max_tokens)
        return run(self._generate(prompts, max_tokens))

    def token_ids(self, prompt: Prompt) -> list[int] | None:
        """Return the prompt as the model reads it; None where the server does not tell."""
        return run(self._token_ids(prompt)) if self._info.is_vllm else None

    async def _label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        reasons = {index: explain_unsupported(self._info, prompt) for index, prompt in enumerate(prompts)}
        answers = {index: LabelLogprobs(None, reason) for index, reason in reasons.items() if reason}
        answers |= abstain_from_empty(prompts)
        pending = [index for index in range(len(prompts)) if index not in answers]
        async with _open(self._address, self._breaker) as endpoint:
            try:
                query = _LabelQuery(labels, await self._ids_of(endpoint, labels))
            except RequestError as error:
                return [answers.get(index, LabelLogprobs(None, str(error))) for index in range(len(prompts))]
            for batch in _batches(pending, self._limits.concurrency):
                due = time.monotonic() + self._limits.deadline
                replies = await self._ask_all(endpoint, [prompts[index] for index in batch], query, due)
                for index, reply in zip(batch, replies, strict=True):
                    answers[index] = LabelLogprobs(None, str(reply)) if isinstance(reply, RequestError) else reply
        return [answers[index] for index in range(len(prompts))]

    async def _ask_all(
        self, endpoint: Endpoint, prompts: Sequence[Prompt], query: _LabelQuery, due: float
    ) -> list[LabelLogprobs | RequestError]:
        """Send all prompts at once. Those under which the model may have died are sent again by halves, so that one prompt
        that kills it does not cost other prompts their numbers."""
        images = encode_videos(prompts)
        replies = await asyncio.gather(*(self._ask(endpoint, prompt, images, query, due) for prompt in prompts))
        broken = [index for index, reply in enumerate(replies) if isinstance(reply, RequestError) and reply.died]
        if len(prompts) == 1 or not broken:
            return replies
        middle = (len(broken) + 1) // 2
        for part in (broken[:middle], broken[middle:]):
            again = await self._ask_all(endpoint, [prompts[i] for i in part], query, due) if part else []
            for index, reply in zip(part, again, strict=True):
                replies[index] = reply
        return replies

    async def _ask(
        self, endpoint: Endpoint, prompt: Prompt, images: Mapping[int, list[str]], query: _LabelQuery, due: float
    ) -> LabelLogprobs | RequestError:
        try:
            completion = await self._complete(endpoint, label_request(self._info, prompt, images, query.ids), due)
            return read_logprobs(completion, query.labels, query.ids)
        except RequestError as error:
            return error

    async def _complete(self, endpoint: Endpoint, body: dict[str, Any], due: float) -> ChatCompletion:
        number = uuid.uuid4().hex
        if self._info.is_vllm:
            body["request_id"] = number
        completion = parse_completion(await endpoint.request("/chat/completions", body, due=due))
        if self._info.is_vllm and not completion.id.endswith(number):
            raise RequestError(f"the reply cannot be used: it is to request {completion.id!r}, this was {number!r}")
        return completion

    async def _generate(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Generation]:
        for prompt in prompts:
            if reason := explain_unsupported(self._info, prompt):
                raise ModelError(f"{self.name}: {reason}")
        texts: list[Generation] = []
        async with _open(self._address, self._breaker) as endpoint:
            for batch in _batches(range(len(prompts)), self._limits.concurrency):
                images = encode_videos([prompts[index] for index in batch])
                bodies = [greedy_request(self._info, prompts[index], images, max_tokens=max_tokens) for index in batch]
                due = time.monotonic() + self._limits.deadline
                completions = await asyncio.gather(*(self._complete(endpoint, body, due) for body in bodies))
                texts += [_generation(completion, is_vllm=self._info.is_vllm) for completion in completions]
        return texts

    async def _token_ids(self, prompt: Prompt) -> list[int]:
        async with _open(self._address, self._breaker) as endpoint:
            return await tokenize_prompt(endpoint, self._info, prompt, due=time.monotonic() + self._limits.load_deadline)

    async def _ids_of(self, endpoint: Endpoint, labels: Sequence[str]) -> dict[str, list[int]]:
        """Return the ids of every spelling of each label that is one token. Raises RequestError for a label without any."""
        if not self._info.is_vllm:
            return {}
        due = time.monotonic() + self._limits.load_deadline
        for label in labels:
            if label not in self._label_ids:
                asked = (tokenize(endpoint, self._info, text, due=due) for text in spellings(label))
                self._label_ids[label] = sorted({tokens[0] for tokens in await asyncio.gather(*asked) if len(tokens) == 1})
            if not self._label_ids[label]:
                raise RequestError(f"no single token of {self.name} reads as {label!r}")
        return {label: self._label_ids[label] for label in labels}


def _open(address: Address, breaker: CircuitBreaker) -> Endpoint:
    return Endpoint(address.base_url, breaker, key=os.environ.get(KEY_VARIABLE))


def _batches(indices: Sequence[int], size: int) -> list[list[int]]:
    return [list(indices[at : at + size]) for at in range(0, len(indices), size)]


def _generation(completion: ChatCompletion, *, is_vllm: bool) -> Generation:
    [choice] = completion.choices
    if choice.message.content is None or completion.usage is None:
        raise RequestError("the reply cannot be used: it has no text, or does not say how many tokens it has")
    # vLLM counts the token that ends a turn; other servers do not say.
    ended = is_vllm and choice.finish_reason == "stop"
    return Generation(choice.message.content, max(0, completion.usage.completion_tokens - ended))
