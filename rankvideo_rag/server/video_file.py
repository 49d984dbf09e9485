"""Send an indexed video, whole or one byte range of it. Clients name videos by id; no path comes from a request."""

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
from rankvideo_rag.media.safe_open import modified_ns, open_regular
from rankvideo_rag.schema import Video
from rankvideo_rag.storage.store import Store

_VIDEO_ID = re.compile("[0-9a-f]{32}")
_RANGE = re.compile(r"bytes=\s*([0-9]{0,30})-([0-9]{0,30})\s*", re.IGNORECASE)
_CHUNK = 256 * 1024  # bytes
_SIGNATURE = 512  # bytes that the media type is read from

# Offset and pattern of a container's signature, and the media types with and without a video stream.
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


class ByteRange(NamedTuple):
    """Bytes [start, end) of a file."""

    start: int
    end: int


class IndexedFile(NamedTuple):
    """An open file whose size and modification time are those that were indexed. The caller closes the descriptor."""

    descriptor: int
    size: int  # bytes
    media_type: str


async def video_response(store: Store, request: Request) -> Response:
    """Return the video that the request names, or the range of it that it asks for.

    Raises HTTPException: 404 for an unknown or changed video, 416 for a range beyond its end. For a malformed range or several
    ranges, the whole file is sent.
    """
    video_id = request.path_params["video_id"]
    if not _VIDEO_ID.fullmatch(video_id):
        raise HTTPException(404, "There is no such video.")
    file = await run_in_threadpool(open_indexed, store, video_id)
    etag = f'"{video_id}"'  # an id is a hash of the content
    try:
        wanted = parse_range(request.headers.get("range"), file.size)
    except HTTPException:
        os.close(file.descriptor)
        raise
    if request.headers.get("if-range", etag) != etag:
        wanted = None
    start, end = wanted or (0, file.size)
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, max-age=3600",
        "Content-Length": str(end - start),
        "Content-Type": file.media_type,
        "ETag": etag,
    }
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    status = 206 if wanted else 200
    if request.method == "HEAD":
        os.close(file.descriptor)
        return Response(status_code=status, headers=headers)
    return _FileResponse(file.descriptor, ByteRange(start, end), status, headers)


def open_indexed(store: Store, video_id: str) -> IndexedFile:
    """Open an indexed video. Raises HTTPException 404 if it is not indexed, missing, or changed since it was indexed."""
    video = store.videos([video_id]).get(video_id)
    known = store.known_file(Path(video.path)) if video else None
    if video is None or known is None:
        raise HTTPException(404, "There is no such video.")
    try:
        descriptor = open_regular(video.path)
    except MediaError as error:
        raise HTTPException(404, f"This video can no longer be read ({error.code}).") from error
    try:
        status = os.fstat(descriptor)
        if (status.st_size, modified_ns(status)) != (known.size, known.mtime_ns):
            raise HTTPException(404, "This video's file has changed since it was indexed: index it again.")
        return IndexedFile(descriptor, status.st_size, detect_media_type(os.pread(descriptor, _SIGNATURE, 0), video))
    except BaseException:
        os.close(descriptor)
        raise


def detect_media_type(head: bytes, video: Video) -> str:
    """Return the media type by a file's first bytes, not its name: other content must not run in a browser."""
    for offset, signature, with_video, without_video in _CONTAINERS:
        if re.compile(signature, re.DOTALL).match(head, offset):
            return with_video if video.probe.video_codec else without_video
    return "application/octet-stream"


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Return the byte range of a Range header; None for the whole file: no header, a malformed one, or several ranges.

    Raises HTTPException 416 for a range beyond the end.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(size - int(match[2]), 0), size
    else:
        start, end = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size:
        raise HTTPException(416, "The range is beyond the end of the video.", {"Content-Range": f"bytes */{size}"})
    return ByteRange(start, end)


class _FileResponse(StreamingResponse):
    """A range of an open file, which is closed when it is sent or the client disconnects."""

    def __init__(self, descriptor: int, part: ByteRange, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_read_chunks(descriptor, part), status, headers)
        self._descriptor = descriptor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._descriptor)


async def _read_chunks(descriptor: int, part: ByteRange) -> AsyncIterator[bytes]:
    position = part.start
    while position < part.end:
        chunk = await run_in_threadpool(os.pread, descriptor, min(_CHUNK, part.end - position), position)
        if not chunk:
            return  # the file was truncated after it was opened; the server then closes the connection
        yield chunk
        position += len(chunk)
