"""The bytes of an indexed video, whole or one range of them. The only name a client can give is a video's id.

Nothing is decoded here, and no path comes from a request.
"""

import os
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.safe_open import open_regular
from rankvideo_rag.schema import Video
from rankvideo_rag.storage.store import Store

_VIDEO_ID = re.compile("[0-9a-f]{32}")
_ONE_RANGE = re.compile(r"bytes=\s*([0-9]{0,30})-([0-9]{0,30})\s*", re.IGNORECASE)
_CHUNK = 256 * 1024  # bytes
_HEAD = 512  # bytes

# Where a container's mark stands, the mark, and what to call the file with and without a picture.
_CONTAINERS = (
    (4, rb"ftypqt  |moov|mdat|wide|free|skip", "video/quicktime", "audio/mp4"),
    (4, rb"ftyp", "video/mp4", "audio/mp4"),
    (0, rb"\x1aE\xdf\xa3[\s\S]{0,60}webm", "video/webm", "audio/webm"),
    (0, rb"\x1aE\xdf\xa3", "video/x-matroska", "audio/x-matroska"),
    (0, rb"OggS", "video/ogg", "audio/ogg"),
    (0, rb"RIFF....AVI ", "video/x-msvideo", "video/x-msvideo"),
    (0, rb"RIFF....WAVE", "audio/wav", "audio/wav"),
    (0, rb"G[\s\S]{187}G", "video/mp2t", "video/mp2t"),
    (4, rb"G[\s\S]{191}G", "video/mp2t", "video/mp2t"),
    (0, rb"\x00\x00\x01\xba", "video/mpeg", "audio/mpeg"),
    (0, rb"FLV\x01", "video/x-flv", "video/x-flv"),
    (0, rb"fLaC", "audio/flac", "audio/flac"),
    (0, rb"\xff[\xf0\xf1\xf8\xf9]", "audio/aac", "audio/aac"),
    (0, rb"ID3|\xff[\xe2-\xff]", "audio/mpeg", "audio/mpeg"),
)


class Span(NamedTuple):
    """Bytes from `start` up to, not including, `end`."""

    start: int
    end: int


class IndexedFile(NamedTuple):
    """An open file whose size and time are those that were indexed. Whoever holds it closes the descriptor."""

    descriptor: int
    size: int  # bytes
    media_type: str


async def video_response(store: Store, request: Request) -> Response:
    """The video that the request names, or 404; 416 for a range beyond its end. Several ranges get the whole file."""
    video_id = request.path_params["video_id"]
    if not _VIDEO_ID.fullmatch(video_id):
        raise HTTPException(404, "There is no such video.")
    file = await run_in_threadpool(open_indexed, store, video_id)
    etag = f'"{video_id}"'  # an id is the content's hash
    try:
        span = requested_span(request.headers.get("range"), file.size)
        if request.headers.get("if-range", etag) != etag:
            span = None
    except HTTPException:
        os.close(file.descriptor)
        raise
    start, end = span or (0, file.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Length": str(end - start),
        "Content-Type": file.media_type,
        "ETag": etag,
    }
    if span:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        os.close(file.descriptor)
        return Response(status_code=status, headers=headers)
    return _Bytes(file.descriptor, Span(start, end), status, headers)


def open_indexed(store: Store, video_id: str) -> IndexedFile:
    """Open an indexed video for reading. Raises HTTPException 404 when it is not indexed, gone, or not what was indexed."""
    video = store.videos([video_id]).get(video_id)
    known = store.known_file(Path(video.path)) if video else None
    if video is None or known is None:
        raise HTTPException(404, "There is no such video.")
    try:
        descriptor = open_regular(video.path)
    except MediaError as error:
        raise HTTPException(404, f"This video cannot be read any more ({error.code}).") from error
    try:
        status = os.fstat(descriptor)
        if (status.st_size, status.st_mtime_ns) != (known.size, known.mtime_ns):
            raise HTTPException(404, "This video's file has changed since it was indexed: index it again.")
        return IndexedFile(descriptor, status.st_size, media_type(os.pread(descriptor, _HEAD, 0), video))
    except BaseException:
        os.close(descriptor)
        raise


def media_type(head: bytes, video: Video) -> str:
    """What a file is by its first bytes, never by its name; bytes that no container begins with are no media to a browser."""
    for offset, mark, with_picture, without in _CONTAINERS:
        if re.compile(mark, re.DOTALL).match(head, offset):
            return with_picture if video.probe.video_codec else without
    return "application/octet-stream"


def requested_span(header: str | None, size: int) -> Span | None:
    """The one range that a header asks for; None, for the whole file, without a header or with one that makes no sense.

    Raises HTTPException 416 for a range that begins beyond the end.
    """
    match = _ONE_RANGE.fullmatch(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size:
        raise HTTPException(416, "The video ends before that.", {"Content-Range": f"bytes */{size}"})
    return Span(start, end)


class _Bytes(StreamingResponse):
    """A span of an open file, which is closed once it is sent or the client has gone."""

    def __init__(self, descriptor: int, span: Span, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_chunks(descriptor, span), status, headers)
        self._descriptor = descriptor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def _chunks(descriptor: int, span: Span) -> AsyncIterator[bytes]:
    at = span.start
    while at < span.end:
        chunk = await run_in_threadpool(os.pread, descriptor, min(_CHUNK, span.end - at), at)
        if not chunk:
            return  # cut short since it was opened; the server then breaks the connection off
        yield chunk
        at += len(chunk)
