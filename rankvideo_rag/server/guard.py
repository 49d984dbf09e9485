"""What holds for every response: headers that keep other sites out, and one form for what nobody foresaw.

It knows nothing of archives.
"""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger(__name__)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",  # no other site shows these videos in a page of its own
    "Cross-Origin-Opener-Policy": "same-origin",
}
RETRY_SECONDS = 5


class Json(Response):
    """A value as JSON in ASCII: file names that are no valid Unicode survive as escapes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode("ascii")


class Guard:
    """Wraps an app: adds the headers, and turns an exception into status 500 with an id that the log has too.

    The message of the exception stays in the log: it may name paths.
    """

    def __init__(self, app: ASGIApp, *, policy: str) -> None:
        self._app = app
        self._headers = {**HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _add(MutableHeaders(scope=message), self._headers)
            await send(message)

        try:
            await self._app(scope, receive, send_guarded)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:
            if begun:
                raise
            await _unforeseen(error)(scope, receive, send_guarded)


class Turns:
    """A bound on work: so many at once, so many more that wait, and 503 for everybody else."""

    def __init__(self, *, at_once: int, waiting: int) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._places = at_once + waiting

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it. Raises HTTPException 503 at once when too many wait already."""
        if not self._places:
            raise HTTPException(
                503, "Too many questions at once: try again in a few seconds.", {"Retry-After": str(RETRY_SECONDS)}
            )
        self._places -= 1
        try:
            async with self._turn:
                yield
        finally:
            self._places += 1


def _add(headers: MutableHeaders, more: Mapping[str, str]) -> None:
    for name, value in more.items():
        headers.setdefault(name, value)
    headers.setdefault("Cache-Control", "no-store")


def _unforeseen(error: Exception) -> Json:
    error_id = uuid.uuid4().hex[:12]
    logger.error("error %s", error_id, exc_info=error)
    message = f"Something went wrong on the server. Its log says what, under error {error_id}."
    return Json({"error": message, "error_id": error_id}, 500)
