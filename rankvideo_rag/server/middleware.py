"""Security headers, error responses and a limit of concurrent work."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # other sites cannot embed the videos
    "Cross-Origin-Opener-Policy": "same-origin",
}
RETRY_SECONDS = 5


class AsciiJsonResponse(Response):
    """JSON in ASCII, so that file names that are not valid Unicode are kept as escapes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode("ascii")


class SecurityMiddleware:
    """Add the security headers, and answer unexpected exceptions with status 500 and an id that is logged.

    The exception's message is only logged, as it may contain paths.
    """

    def __init__(self, app: ASGIApp, *, policy: str) -> None:
        self._app = app
        self._headers = {**HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            return
        except Exception as error:
            if started:
                raise
            await _internal_error(error)(scope, receive, send_with_headers)


class ConcurrencyLimit:
    """Run up to `running` requests at once, queue up to `waiting` others, and reject the rest with status 503."""

    def __init__(self, *, running: int, waiting: int) -> None:
        self._semaphore = asyncio.Semaphore(running)
        self._free = running + waiting

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises HTTPException 503 at once if the queue is full."""
        if not self._free:
            retry = {"Retry-After": str(RETRY_SECONDS)}
            raise HTTPException(503, "The server is busy: try again in a few seconds.", retry)
        self._free -= 1
        try:
            async with self._semaphore:
                yield
        finally:
            self._free += 1


def _internal_error(error: Exception) -> AsciiJsonResponse:
    error_id = uuid.uuid4().hex[:12]
    logger.error("error %s", error_id, exc_info=error)
    message = f"An internal error occurred. The server's log has the details under error {error_id}."
    return AsciiJsonResponse({"error": message, "error_id": error_id}, 500)
