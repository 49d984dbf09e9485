"""One HTTP endpoint asked for JSON, without ever waiting past a deadline: retries, a circuit breaker, bounded replies.

Knows nothing of models: bytes go out, bytes or a Failure come back. It follows no redirect and uses no proxy.
"""

import asyncio
import json
import random
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import httpx

from rankvideo_rag.errors import InputError, ModelError

Result = TypeVar("Result")

_WAITS = (0.2, 0.8)  # seconds before each retry, on average; each is drawn from half to one and a half of it
_BUSY = frozenset({429, 502, 503})
_LARGEST_REPLY = 4 << 20  # bytes
_CONNECTIONS = 16  # at once
_QUOTED = 300  # letters of a reply that an error repeats
_FAILURES_IN_A_ROW = 5  # that open the circuit
_REST = 15.0  # seconds for which an open circuit asks nobody


class Failure(ModelError):
    """A request that came to nothing. `again`: it may go well in a moment. `died`: the model may have died under it."""

    def __init__(self, message: str, *, again: bool = False, died: bool = False, after: float = 0.0) -> None:
        super().__init__(message)
        self.again = again
        self.died = died
        self.after = after  # seconds for which the server asked to be left alone


class Circuit:
    """Counts failures in a row; after too many, nobody is asked for a while, so that the rest fails at once.

    Requests that were under way together fail together, and count once: the model's death is one event.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._counted = 0.0  # moment of the last failure that was counted
        self._open_until = 0.0
        self._last = ""

    def check(self) -> None:
        """Raise Failure while the endpoint is left alone."""
        rest = self._open_until - time.monotonic()
        if rest > 0:
            raise Failure(f"{self._failures} failures in a row: not asked again for {rest:.0f} s. The last: {self._last}")

    def succeeded(self) -> None:
        """A request went well."""
        self._failures = 0

    def failed(self, failure: Failure, *, began: float) -> None:
        """A request that began at that moment of `time.monotonic()` failed for the server's sake."""
        if began <= self._counted:
            return
        self._counted = time.monotonic()
        self._failures += 1
        self._last = str(failure)
        if self._failures >= _FAILURES_IN_A_ROW:
            self._open_until = time.monotonic() + _REST


class Address(NamedTuple):
    """Where an endpoint is and whom it serves."""

    base_url: str  # without a slash at its end
    model: str | None


def parse_address(text: str) -> Address:
    """`http://host:port/v1#model`. Raises InputError for anything else, and for passwords, which an address would give away.

    >>> parse_address("http://localhost:8000/v1#hltcoe/RankVideo")
    Address(base_url='http://localhost:8000/v1', model='hltcoe/RankVideo')
    """
    base_url, _, model = text.partition("#")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InputError(f"{text!r} is no address ({error}): give http://host:port/v1#model") from error
    if url.scheme not in ("http", "https") or not url.host or url.query:
        raise InputError(f"{text!r} is no address: give http://host:port/v1#model")
    if url.userinfo:
        raise InputError("an address must not hold a user or password: it is written beside every score")
    return Address(base_url.rstrip("/"), model or None)


class Endpoint:
    """Use as an asynchronous context manager, in one event loop; the circuit outlives it and is shared between uses."""

    def __init__(self, base_url: str, circuit: Circuit, *, headers: Mapping[str, str]) -> None:
        self._base_url = base_url
        self._circuit = circuit
        plain = {"accept": "application/json", "accept-encoding": "identity"}
        self._client = httpx.AsyncClient(
            headers=plain | dict(headers),
            timeout=None,  # `ask` has one for the whole
            limits=httpx.Limits(max_connections=_CONNECTIONS),
            verify=base_url.startswith("https:"),  # reading the certificates takes a moment, and plain HTTP has no use for them
            trust_env=False,
            follow_redirects=False,
        )

    async def __aenter__(self) -> "Endpoint":
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._client.__aexit__(*error)

    async def ask(self, path: str, body: object = None, *, due: float, below_version: bool = True) -> bytes:
        """The JSON that the endpoint sends, as bytes, by `due`, a moment of `time.monotonic()`. POST where there is a body.

        Raises Failure. Only what a second try may mend is tried again: no connection, and statuses 429, 502 and 503.
        `below_version` False asks for a path beside the base's /v1 instead of one below it.
        """
        where = (self._base_url if below_version else self._base_url.removesuffix("/v1")) + path
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, due - began)):
                reply = await self._with_retries(where, body)
        except TimeoutError as error:
            failure = Failure(f"{where}: no whole reply within the time allowed")
            self._circuit.failed(failure, began=began)
            raise failure from error
        self._circuit.succeeded()
        return reply

    async def _with_retries(self, where: str, body: object) -> bytes:
        for wait in (*_WAITS, None):
            self._circuit.check()
            began = time.monotonic()
            try:
                return await self._once(where, body)
            except Failure as failure:
                if failure.again or failure.died:
                    self._circuit.failed(failure, began=began)
                if not failure.again or wait is None:
                    raise
                pause = max(failure.after, random.uniform(0.5, 1.5) * wait)
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _once(self, where: str, body: object) -> bytes:
        content = None if body is None else json.dumps(body, allow_nan=False).encode()
        request = self._client.build_request(
            "GET" if body is None else "POST", where, content=content, headers={"content-type": "application/json"}
        )
        try:
            reply = await self._client.send(request, stream=True)
            try:
                text = await _read(reply, where)
            finally:
                await reply.aclose()
        except httpx.ConnectError as error:
            raise Failure(f"{where}: no connection ({error})", again=True) from error
        except httpx.TransportError as error:
            raise Failure(f"{where}: the connection broke ({type(error).__name__}: {error})", died=True) from error
        _check(reply, text, where)
        return text


async def _read(reply: httpx.Response, where: str) -> bytes:
    parts, size = [], 0
    async for part in reply.aiter_raw():  # as sent: a packed reply could unpack to any size
        size += len(part)
        if size > _LARGEST_REPLY:
            raise Failure(f"{where}: the reply is longer than {_LARGEST_REPLY >> 20} MiB")
        parts.append(part)
    return b"".join(parts)


def _check(reply: httpx.Response, text: bytes, where: str) -> None:
    quoted = text[:_QUOTED].decode("utf-8", "replace")
    if reply.status_code != 200:
        message = f"{where}: status {reply.status_code}: {quoted}"
        status = reply.status_code
        raise Failure(message, again=status in _BUSY, died=status == 500, after=_retry_after(reply))
    kind = reply.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise Failure(f"{where}: the reply is {kind or 'of no kind'}, JSON was expected: {quoted}")


def _retry_after(reply: httpx.Response) -> float:
    """Seconds that the server asks for; a date, the other form that the header may have, counts as nothing asked."""
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """The coroutine's result, from an event loop of its own: the caller may stand in one already."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
