"""Fixtures of the server tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from support.server import MP4_HEAD, IndexedArchive, client_of, index_bytes
from support.world import World

from rankvideo_rag.archive import VideoArchive


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    with VideoArchive.open(world.archive) as archive:
        async with client_of(archive) as client:
            yield client


@pytest.fixture
def indexed(tmp_path: Path) -> Iterator[IndexedArchive]:
    """One file of 300,000 bytes, more than one chunk."""
    made = index_bytes(tmp_path, MP4_HEAD + bytes(range(256)) * 1_171 + b"tail" * 50)
    assert len(made.content) == 300_000
    yield made
    made.archive.close()
