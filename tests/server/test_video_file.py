"""Videos are sent by id, whole or by byte range."""

import asyncio
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import pytest
from support.server import MP4_HEAD, IndexedArchive, index_bytes

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.server import create_app


async def test_a_video_is_sent_whole(indexed: IndexedArchive) -> None:
    async with indexed.client() as client:
        reply = await client.get(indexed.address)
        head = await client.head(indexed.address)
    assert (reply.status_code, reply.content) == (200, indexed.content)
    assert reply.headers["Content-Type"] == "video/mp4"
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == reply.headers["Content-Length"] == "300000"


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, 300_000),
        ("bytes=262143-262145", 262_143, 262_146),
        ("bytes=299999-", 299_999, 300_000),
        ("bytes=1000-999999999", 1_000, 300_000),
        ("bytes=-4", 299_996, 300_000),
        ("bytes=-999999999", 0, 300_000),
        ("Bytes= 5-9", 5, 10),
    ],
)
async def test_a_byte_range_is_sent(indexed: IndexedArchive, header: str, start: int, end: int) -> None:
    async with indexed.client() as client:
        reply = await client.get(indexed.address, headers={"Range": header})
        head = await client.head(indexed.address, headers={"Range": header})
    assert (reply.status_code, reply.content) == (206, indexed.content[start:end])
    assert reply.headers["Content-Range"] == f"bytes {start}-{end - 1}/300000"
    assert int(reply.headers["Content-Length"]) == end - start
    assert (head.status_code, head.headers["Content-Range"]) == (206, reply.headers["Content-Range"])


@pytest.mark.parametrize("header", ["bytes=300000-", "bytes=300000-300001", "bytes=-0", "bytes=99999999999999999999999-"])
async def test_a_range_beyond_the_end_is_rejected(indexed: IndexedArchive, header: str) -> None:
    async with indexed.client() as client:
        reply = await client.get(indexed.address, headers={"Range": header})
    assert reply.status_code == 416
    assert reply.headers["Content-Range"] == "bytes */300000"


@pytest.mark.parametrize(
    "header",
    [
        "bytes=0-1,5-6",
        "bytes=" + ",".join(f"{i}-{i}" for i in range(400)),
        "bytes=9-5",
        "bytes=",
        "bytes=-",
        "bytes=--1",
        "bytes=a-b",
        "bytes=0x0-0x9",
        "bytes=1.5-2",
        "bytes=" + "9" * 5_000 + "-",
        "items=0-1",
        "0-1",
        "",
    ],
    ids=lambda header: header[:20],
)
async def test_malformed_or_several_ranges_get_the_whole_file_once(indexed: IndexedArchive, header: str) -> None:
    async with indexed.client() as client:
        reply = await client.get(indexed.address, headers={"Range": header})
    assert (reply.status_code, reply.content) == (200, indexed.content)


async def test_a_range_of_another_version_gets_the_whole_file(indexed: IndexedArchive) -> None:
    async with indexed.client() as client:
        etag = (await client.head(indexed.address)).headers["ETag"]
        same = await client.get(indexed.address, headers={"Range": "bytes=0-9", "If-Range": etag})
        other = await client.get(indexed.address, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
    assert (same.status_code, other.status_code) == (206, 200)


class RawReply(NamedTuple):
    status: int
    body: bytes


async def get_raw(archive: VideoArchive, address: str, *, stays: bool = True) -> RawReply:
    """GET an address that clients would normalise. `stays=False` disconnects at once."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if stays:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        await asyncio.sleep(0)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": unquote(address), "query_string": b"", "headers": headers}
    await create_app(archive)(scope, receive, send)
    return RawReply(sent[0]["status"], b"".join(message.get("body", b"") for message in sent))


TRAVERSALS = [
    "..",
    "../../etc/hostname",
    "..%2f..%2fetc%2fhostname",
    "..%252f..%252fetc%252fhostname",
    "%2e%2e/%2e%2e/etc/hostname",
    "..%5c..%5cetc%5chostname",
    "....//....//etc/hostname",
    "/etc/hostname",
    "//etc/hostname",
    "%2fetc%2fhostname",
    "file:///etc/hostname",
    "film.mp4",
    "./film.mp4",
    "archive.db",
    "%00",
    "0" * 32,
    "0" * 31,
    "f" * 5_000,
    "%ff%fe",
    "%ED%A0%80",
    "*",
    "%25",
    "' OR 1=1 --",
    '["a"]',
    "",
]


@pytest.mark.parametrize("prefix", ["/video/", "/", "/video/{id}/", "/video/{id}"])
async def test_only_an_indexed_id_reaches_a_file(indexed: IndexedArchive, prefix: str) -> None:
    for given in TRAVERSALS:
        address = prefix.format(id=indexed.video_id) + given
        if address in ("/", indexed.address):
            continue
        reply = await get_raw(indexed.archive, address)
        assert reply.status in {307, 404}, address
        assert indexed.content not in reply.body
        assert str(indexed.path.parent).encode() not in reply.body


async def test_an_id_in_capitals_is_not_found(indexed: IndexedArchive) -> None:
    async with indexed.client() as client:
        assert (await client.get(indexed.address.upper().replace("VIDEO", "video"))).status_code == 404


def replace_by_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def write_one_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"\1")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))


@pytest.mark.parametrize("change", [Path.unlink, replace_by_link, replace_by_folder, replace_by_pipe, write_one_byte])
async def test_a_file_that_changed_after_indexing_is_not_served(indexed: IndexedArchive, change: Any) -> None:
    change(indexed.path)
    async with indexed.client() as client:
        reply = await client.get(indexed.address)
    assert reply.status_code == 404
    assert str(indexed.path) not in reply.text


async def test_serving_videos_leaves_no_file_open(indexed: IndexedArchive) -> None:
    async with indexed.client() as client:
        await client.get(indexed.address)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            await client.get(indexed.address)
            await client.head(indexed.address)
            await client.get(indexed.address, headers={"Range": "bytes=1-2"})
            await client.get(indexed.address, headers={"Range": "bytes=999999-"})
        assert len(os.listdir("/proc/self/fd")) == before


async def test_a_client_that_disconnects_leaves_no_file_open(indexed: IndexedArchive) -> None:
    await get_raw(indexed.archive, indexed.address)
    before = len(os.listdir("/proc/self/fd"))
    reply = await get_raw(indexed.archive, indexed.address, stays=False)
    assert len(reply.body) < len(indexed.content)
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("content", "video_codec", "expected"),
    [
        (MP4_HEAD, "h264", "video/mp4"),
        (MP4_HEAD, None, "audio/mp4"),
        (b"\0\0\0\x14ftypqt  ", "h264", "video/quicktime"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "vp9", "video/webm"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x88matroska", "h264", "video/x-matroska"),
        (b"OggS\0\2", None, "audio/ogg"),
        (b"RIFF\x24\0\0\0WAVEfmt ", None, "audio/wav"),
        (b"ID3\4\0\0", None, "audio/mpeg"),
        (b"G" + bytes(187) + b"G", "h264", "video/mp2t"),
        (b"<!doctype html><script>alert(1)</script>", "h264", "application/octet-stream"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", None, "application/octet-stream"),
    ],
)
async def test_the_media_type_is_detected_from_the_first_bytes(
    tmp_path: Path, content: bytes, video_codec: str | None, expected: str
) -> None:
    made = index_bytes(tmp_path, content, video_codec=video_codec)
    async with made.client() as client:
        reply = await client.get(made.address)
    made.archive.close()
    assert reply.headers["Content-Type"] == expected


async def test_a_file_name_that_is_not_unicode_is_found_and_sent(tmp_path: Path) -> None:
    made = index_bytes(tmp_path, MP4_HEAD, name=os.fsdecode(b"caf\xe9.mp4"))
    async with made.client() as client:
        found = await client.post("/api/search", json={"question": "Where do the seals sleep?"})
        played = await client.get(made.address)
    made.archive.close()
    assert os.fsencode(found.json()[0]["path"]) == os.fsencode(made.path)
    assert played.content == MP4_HEAD
