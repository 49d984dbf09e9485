"""HTTP transports that give up some seconds after a request is sent, however slowly its reply arrives.

httpx itself limits the wait for each part of a reply, and so does not limit the whole.
"""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

_CONNECT_RETRIES = 2  # of the connection only: what a server may have received is never sent twice
# A kept connection would belong to the event loop of the request that opened it.
_LIMITS = httpx.Limits(max_keepalive_connections=0)


class DeadlineTransport(httpx.HTTPTransport):
    """Raises httpx.ReadTimeout when a reply is not complete within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(retries=_CONNECT_RETRIES, limits=_LIMITS, trust_env=False)
        self._seconds = seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        deadline = _Deadline(self._seconds)
        with deadline.named():
            response = super().handle_request(request)
        response.stream = _Body(response.stream, deadline)
        return response


class AsyncDeadlineTransport(httpx.AsyncHTTPTransport):
    """Raises httpx.ReadTimeout when a reply is not complete within `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(retries=_CONNECT_RETRIES, limits=_LIMITS, trust_env=False)
        self._seconds = seconds

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        deadline = _Deadline(self._seconds)
        with deadline.named():
            response = await super().handle_async_request(request)
        response.stream = _Body(response.stream, deadline)
        return response


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._message = f"no complete answer within {seconds:g} s (llm_timeout)"
        self._due = time.monotonic() + seconds

    def check(self) -> None:
        if time.monotonic() > self._due:
            raise httpx.ReadTimeout(self._message)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the time limit in the timeouts of the block."""
        try:
            yield
        except httpx.ReadTimeout as error:
            raise httpx.ReadTimeout(self._message) from error


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, stream: Any, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def __iter__(self) -> Iterator[bytes]:
        with self._deadline.named():
            for part in self._stream:
                self._deadline.check()
                yield part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._deadline.named():
            async for part in self._stream:
                self._deadline.check()
                yield part

    def close(self) -> None:
        self._stream.close()

    async def aclose(self) -> None:
        await self._stream.aclose()
