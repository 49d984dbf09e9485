"""Any OpenAI-compatible endpoint as a judge, `http://host:port/v1#model`: best `vllm serve`, which tells labels by token id.

    vllm serve MODEL --trust-request-mm-kwargs --trust-request-chat-template --no-mm-device-do-normalize

The first flag lets frames keep their true times, the second lets the prompt have the form of RankVideo's training; without
the third, videos are normalised with the mean of pictures, which differs for some checkpoints. Whatever the endpoint does,
each prompt ends by its deadline, with numbers or with a reason.
"""

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.conversation import has_empty_video, prompt_videos, validate_generation
from rankvideo_rag.models.vlm.endpoint import Circuit, Endpoint, Failure, parse_address, run
from rankvideo_rag.models.vlm.openai_protocol import (
    GREEDY,
    MOST_LIKELY,
    VLLM_GREEDY,
    Ask,
    Reply,
    encode_frames,
    of_ids,
    of_texts,
    parse,
    refusal,
    request,
)
from rankvideo_rag.models.vlm.server_info import headers, introduce, rendered, spellings, tokens_of

_SETTING = "reranker_model"


def load(
    model: str | None, *, device: str | None = None, deadline: float = 120.0, load_deadline: float = 30.0, at_once: int = 8
) -> "ServerVLM":
    """Connect to `http://host:port/v1#model`; the model's name may be left out where the endpoint serves one only.

    A prompt has `deadline` seconds for its answer, retries included; `at_once` prompts are asked side by side. A key is taken
    from the variable RANKVIDEO_SERVER_KEY.
    """
    if not model:
        raise InputError(f"backend 'server' needs an address: set {_SETTING} to http://host:port/v1#model")
    if device is not None:
        raise InputError(f"device = {device!r}: a server runs the model where it likes, leave the device out")
    if min(deadline, load_deadline) <= 0 or at_once < 1:
        raise InputError(f"deadline = {deadline}, load_deadline = {load_deadline}, at_once = {at_once}: all must be above 0")
    address = parse_address(model)
    ask = run(introduce(address, due=time.monotonic() + load_deadline))
    return ServerVLM(address.base_url, ask, deadline=deadline, at_once=at_once)


class ServerVLM:
    """A model behind an endpoint. Safe to use from several threads; holds no connection between calls."""

    def __init__(self, base_url: str, ask: Ask, *, deadline: float, at_once: int) -> None:
        self._base_url = base_url
        self._ask = ask
        self._deadline = deadline
        self._at_once = at_once
        self._circuit = Circuit()
        self._tokens: dict[str, list[int]] = {}  # label -> vocabulary ids, as far as they were asked for

    @property
    def name(self) -> str:
        """Backend, model and address. The revision of the weights is the server's secret."""
        return f"server:{self._ask.model}@{self._base_url}"

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        """For each prompt the log-probability of each label as the next token, or a reason why there is none."""
        return run(self._label_logprobs(prompts, labels))

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        """For each prompt the text that follows it, at most `max_tokens` long, chosen greedily. Raises ModelError."""
        validate_generation(prompts, max_tokens=max_tokens)
        return run(self._generate(prompts, max_tokens))

    def token_ids(self, prompt: Prompt) -> list[int] | None:
        """The prompt as the model reads it; None where the endpoint does not tell."""
        return run(self._token_ids(prompt)) if self._ask.is_vllm else None

    async def _label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        answers = {i: reason for i, prompt in enumerate(prompts) if (reason := self._known(prompt)) is not None}
        rest = [index for index in range(len(prompts)) if index not in answers]
        async with self._endpoint() as endpoint:
            try:
                asked = await self._ids_of(endpoint, labels) if self._ask.is_vllm and rest else {}
            except Failure as failure:
                return [answers.get(index, LabelLogprobs(None, str(failure))) for index in range(len(prompts))]
            how = _Labels(tuple(labels), asked)
            for batch in _batches(rest, self._at_once):
                due = time.monotonic() + self._deadline
                replies = await self._replies(endpoint, [prompts[index] for index in batch], how, due)
                answers |= dict(zip(batch, map(_verdict, replies), strict=True))
        return [answers[index] for index in range(len(prompts))]

    def _known(self, prompt: Prompt) -> LabelLogprobs | None:
        """What can be said of a prompt without asking."""
        if has_empty_video(prompt):
            return LabelLogprobs(None, "the prompt shows no frame", abstained=True)
        reason = refusal(self._ask, prompt)
        return LabelLogprobs(None, reason) if reason else None

    async def _replies(
        self, endpoint: Endpoint, prompts: Sequence[Prompt], how: "_Labels", due: float
    ) -> list[LabelLogprobs | Failure]:
        """What the endpoint says to each prompt, all asked at once. Those under which the model may have died are asked again
        by halves, so that one prompt that kills it costs no other its number."""
        pictures = {id(frames): encode_frames(frames, as_video=self._ask.is_vllm) for frames in prompt_videos(prompts)}
        replies = await asyncio.gather(*(self._verdict(endpoint, prompt, pictures, how, due) for prompt in prompts))
        broken = [index for index, reply in enumerate(replies) if isinstance(reply, Failure) and reply.died]
        if len(prompts) == 1 or not broken:
            return replies
        middle = (len(broken) + 1) // 2
        for part in (broken[:middle], broken[middle:]):
            if part:
                for index, reply in zip(part, await self._replies(endpoint, [prompts[i] for i in part], how, due), strict=True):
                    replies[index] = reply
        return replies

    async def _verdict(
        self, endpoint: Endpoint, prompt: Prompt, pictures: Mapping[int, str], how: "_Labels", due: float
    ) -> LabelLogprobs | Failure:
        options: dict[str, object] = {"max_tokens": 1, "logprobs": True, **self._greedy}
        if self._ask.is_vllm:
            ids = sorted({token for tokens in how.asked.values() for token in tokens})
            options |= {"logprob_token_ids": ids, "return_tokens_as_token_ids": True}
        else:
            options |= {"top_logprobs": MOST_LIKELY}
        try:
            reply = await self._complete(endpoint, prompt, pictures, options, due)
            return of_ids(reply, how.asked) if self._ask.is_vllm else of_texts(reply, how.labels)
        except Failure as failure:
            return failure

    async def _complete(
        self, endpoint: Endpoint, prompt: Prompt, pictures: Mapping[int, str], options: Mapping[str, object], due: float
    ) -> Reply:
        body = request(self._ask, prompt, pictures, **options)
        number = uuid.uuid4().hex
        if self._ask.is_vllm:
            body["request_id"] = number
        reply = parse(Reply, await endpoint.ask("/chat/completions", body, due=due))
        if self._ask.is_vllm and not reply.id.endswith(number):
            raise Failure(f"the reply cannot be used: it is to request {reply.id!r}, this was {number!r}")
        return reply

    async def _generate(self, prompts: Sequence[Prompt], max_tokens: int) -> list[Generation]:
        for prompt in prompts:
            if reason := refusal(self._ask, prompt):
                raise ModelError(f"{self.name}: {reason}")
        options: dict[str, object] = {"max_tokens": max_tokens, **self._greedy}
        written: dict[int, Generation] = {}
        async with self._endpoint() as endpoint:
            for batch in _batches(range(len(prompts)), self._at_once):
                shown = [prompts[index] for index in batch]
                pictures = {id(frames): encode_frames(frames, as_video=self._ask.is_vllm) for frames in prompt_videos(shown)}
                due = time.monotonic() + self._deadline
                asked = [self._complete(endpoint, prompt, pictures, options, due) for prompt in shown]
                replies = await asyncio.gather(*asked)
                written |= {i: _generation(reply, is_vllm=self._ask.is_vllm) for i, reply in zip(batch, replies, strict=True)}
        return [written[index] for index in range(len(prompts))]

    async def _token_ids(self, prompt: Prompt) -> list[int]:
        async with self._endpoint() as endpoint:
            return await rendered(endpoint, self._ask, prompt, due=time.monotonic() + self._deadline)

    async def _ids_of(self, endpoint: Endpoint, labels: Sequence[str]) -> dict[str, list[int]]:
        """Vocabulary ids of every spelling of each label that is one token. Raises Failure for a label that has none."""
        due = time.monotonic() + self._deadline
        for label in labels:
            if label not in self._tokens:
                lists = await asyncio.gather(*(tokens_of(endpoint, self._ask, text, due=due) for text in spellings(label)))
                self._tokens[label] = sorted({tokens[0] for tokens in lists if len(tokens) == 1})
            if not self._tokens[label]:
                raise Failure(f"no single token of {self.name} reads as {label!r}")
        return {label: self._tokens[label] for label in labels}

    @property
    def _greedy(self) -> Mapping[str, float]:
        return VLLM_GREEDY if self._ask.is_vllm else GREEDY

    def _endpoint(self) -> Endpoint:
        return Endpoint(self._base_url, self._circuit, headers=headers())


class _Labels(NamedTuple):
    """What is asked of every prompt."""

    labels: tuple[str, ...]
    asked: Mapping[str, Sequence[int]]  # vocabulary ids; empty where only the likeliest tokens can be had


def _batches(indices: Sequence[int], size: int) -> list[list[int]]:
    return [list(indices[at : at + size]) for at in range(0, len(indices), size)]


def _verdict(reply: LabelLogprobs | Failure) -> LabelLogprobs:
    return LabelLogprobs(None, str(reply)) if isinstance(reply, Failure) else reply


def _generation(reply: Reply, *, is_vllm: bool) -> Generation:
    [choice] = reply.choices
    if choice.message.content is None or reply.usage is None:
        raise Failure("the reply cannot be used: it has no text, or does not say how many tokens it is long")
    # vLLM counts the token that ends a turn; others do not say.
    ended = is_vllm and choice.finish_reason == "stop"
    return Generation(choice.message.content, max(0, reply.usage.completion_tokens - ended))
