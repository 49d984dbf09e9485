"""Send requests to one OpenAI-compatible endpoint by a deadline: retries, a circuit breaker, replies of limited size.

The openai client does the transport. Its retries are off, since it also repeats requests under which a model may have died,
and its timeouts restart with every byte that arrives, so that deadline and retries are handled here.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import httpx
from openai import APIConnectionError, APIStatusError, AsyncOpenAI

from rankvideo_rag.errors import InputError, ModelError

Result = TypeVar("Result")

_WAITS = (0.2, 0.8)  # seconds before each retry, on average; each is drawn from half to one and a half of it
_BUSY = frozenset({429, 502, 503})
_MAX_REPLY = 4 << 20  # bytes
_CONNECTIONS = 16
_QUOTED = 300  # characters of a reply that an error repeats
_NO_KEY = "none"  # the client requires a key
_MAX_FAILURES = 5  # in a row, before requests are paused
_PAUSE = 15.0  # seconds
_SENT_HEADERS = frozenset("host accept accept-encoding authorization connection content-length content-type user-agent".split())


class RequestError(ModelError):
    """A request failed."""

    def __init__(self, message: str, *, retryable: bool = False, died: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retryable = retryable
        self.died = died  # the model may have died under this request
        self.retry_after = retry_after  # seconds


class CircuitBreaker:
    """Pause requests after too many failures in a row, so that the rest fails at once.

    Requests that were in flight together fail together, and count once: the death of a model is one event.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._counted_at = 0.0  # `time.monotonic()` of the last failure that was counted
        self._paused_until = 0.0
        self._last_error = ""

    def check(self) -> None:
        """Raise RequestError while requests are paused."""
        rest = self._paused_until - time.monotonic()
        if rest > 0:
            raise RequestError(
                f"{self._failures} failures in a row: not asked again for {rest:.0f} s. Last: {self._last_error}"
            )

    def succeeded(self) -> None:
        """Record a request that succeeded."""
        self._failures = 0

    def failed(self, error: RequestError, *, began: float) -> None:
        """Record a failure of the server in a request that began at that moment of `time.monotonic()`."""
        if began <= self._counted_at:
            return
        self._counted_at = time.monotonic()
        self._failures += 1
        self._last_error = str(error)
        if self._failures >= _MAX_FAILURES:
            self._paused_until = time.monotonic() + _PAUSE


class Address(NamedTuple):
    """Where an endpoint is, and which of its models to use."""

    base_url: str  # without a slash at its end
    model: str | None


def parse_address(text: str) -> Address:
    """Parse `http://host:port/v1#model`. Raises InputError for anything else, and for passwords, which would be recorded.

    >>> parse_address("http://localhost:8000/v1#hltcoe/RankVideo")
    Address(base_url='http://localhost:8000/v1', model='hltcoe/RankVideo')
    """
    base_url, _, model = text.partition("#")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise InputError(f"{text!r} is not an address ({error}): give http://host:port/v1#model") from error
    if url.scheme not in ("http", "https") or not url.host or url.query:
        raise InputError(f"{text!r} is not an address: give http://host:port/v1#model")
    if url.userinfo:
        raise InputError("an address must not contain a user or password: it is stored with every score")
    return Address(base_url.rstrip("/"), model or None)


class Endpoint:
    """An asynchronous context manager for one event loop; the circuit breaker is shared between its uses."""

    def __init__(self, base_url: str, breaker: CircuitBreaker, *, key: str | None) -> None:
        self._base_url = base_url
        self._breaker = breaker
        # Reading the certificates takes a moment, and plain HTTP has no use for them.
        limits, is_secure = httpx.Limits(max_connections=_CONNECTIONS), base_url.startswith("https:")
        transport = _BoundedTransport(verify=is_secure, trust_env=False, limits=limits)
        self._client = AsyncOpenAI(
            api_key=key or _NO_KEY,
            base_url=base_url,
            max_retries=0,
            timeout=None,  # `request` has one for the whole
            default_headers={"accept-encoding": "identity"},
            http_client=httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False),
        )

    async def __aenter__(self) -> "Endpoint":
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._client.close()

    async def request(self, path: str, body: object = None, *, due: float, below_version: bool = True) -> bytes:
        """Return the JSON that the endpoint sends by `due`, a moment of `time.monotonic()`. POST where there is a body.

        Retries only what a second attempt may fix: no connection, and statuses 429, 502 and 503. Raises RequestError.
        With `below_version` False the path is beside the base URL's /v1, not below it.
        """
        url = (self._base_url if below_version else self._base_url.removesuffix("/v1")) + path
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, due - began)):
                reply = await self._retry(url, body)
        except TimeoutError as error:
            failure = RequestError(f"{url}: no complete reply within the time allowed")
            self._breaker.failed(failure, began=began)
            raise failure from error
        self._breaker.succeeded()
        return reply

    async def _retry(self, url: str, body: object) -> bytes:
        for wait in (*_WAITS, None):
            self._breaker.check()
            began = time.monotonic()
            try:
                return await self._send(url, body)
            except RequestError as error:
                if error.retryable or error.died:
                    self._breaker.failed(error, began=began)
                if not error.retryable or wait is None:
                    raise
                pause = max(error.retry_after, random.uniform(0.5, 1.5) * wait)
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def _send(self, url: str, body: object) -> bytes:
        try:
            if body is None:
                reply = await self._client.get(url, cast_to=httpx.Response)
            else:
                reply = await self._client.post(url, body=body, cast_to=httpx.Response)
        except APIStatusError as error:
            raise _status_error(error.response, url) from error
        except APIConnectionError as error:
            raise _connection_error(error.__cause__ or error, url) from error
        kind = reply.headers.get("content-type", "").partition(";")[0].strip()
        if reply.status_code != 200:
            raise _status_error(reply, url)
        if kind != "application/json":
            raise RequestError(f"{url}: the reply is {kind or 'of no type'}, JSON was expected: {_quote(reply)}")
        return reply.content


class _BoundedTransport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # The client adds headers that describe this machine, others from environment variables meant for OpenAI, and a key
        # where there is none.
        for name in set(request.headers) - _SENT_HEADERS:
            del request.headers[name]
        if request.headers.get("authorization") == f"Bearer {_NO_KEY}":
            del request.headers["authorization"]
        response = await super().handle_async_request(request)
        response.headers.pop("content-encoding", None)  # read as sent: a compressed reply could decompress to any size
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _BoundedStream(response.stream, str(request.url))
        return response


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, url: str) -> None:
        self._stream = stream
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._stream:
            size += len(part)
            if size > _MAX_REPLY:
                raise RequestError(f"{self._url}: the reply is longer than {_MAX_REPLY >> 20} MiB")
            yield part

    async def aclose(self) -> None:
        await self._stream.aclose()


def _status_error(reply: httpx.Response, url: str) -> RequestError:
    status, wait = reply.status_code, reply.headers.get("retry-after", "")
    return RequestError(
        f"{url}: status {status}: {_quote(reply)}",
        retryable=status in _BUSY,
        died=status == 500,
        retry_after=float(wait) if wait.isascii() and wait.isdigit() else 0.0,  # the header's other form, a date, is ignored
    )


def _connection_error(cause: BaseException, url: str) -> RequestError:
    if isinstance(cause, RequestError):
        return cause
    if isinstance(cause, httpx.ConnectError):
        return RequestError(f"{url}: no connection ({cause})", retryable=True)
    return RequestError(f"{url}: the connection broke ({type(cause).__name__}: {cause})", died=True)


def _quote(reply: httpx.Response) -> str:
    return reply.content[:_QUOTED].decode("utf-8", "replace")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine in an event loop of its own, in another thread: the caller may be inside a loop already."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        return thread.submit(asyncio.run, coroutine).result()
