"""Clients of the HTTP API, and an archive with one hand-made file."""

from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.schema import Clip, FileOutcome, Probe, TextSpan, Video
from rankvideo_rag.server import create_app
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.writer import open_writer
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder

TEXT_QUESTION = "When was the railway to Brandt closed?"


VISUAL_QUESTION = "a red circle moving left"


def client_of(archive: VideoArchive, *, base_url: str = "http://localhost:8000", **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(archive, **options)), base_url=base_url)


class IndexedArchive(NamedTuple):
    """An archive that holds one hand-made file."""

    archive: VideoArchive
    path: Path
    video_id: str
    content: bytes

    def client(self) -> httpx.AsyncClient:
        return client_of(self.archive)

    @property
    def address(self) -> str:
        return f"/video/{self.video_id}"


MP4_HEAD = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def index_bytes(folder: Path, content: bytes, *, name: str = "film.mp4", video_codec: str | None = "h264") -> IndexedArchive:
    """Return an archive of one file with this content, which need not be a video."""
    path, video_id = folder / name, sha256(content).hexdigest()[:32]
    path.write_bytes(content)
    config = IndexConfig.from_settings(Settings.load(), ScriptedEmbedder.info)
    store = Store.create(folder / "archive", config.model_dump(mode="json"))
    status = path.stat()
    outcome = FileOutcome(path=str(path), outcome="ok", clips=1, video_id=video_id)
    with open_writer(store) as writer:
        writer.put_video(
            Video(video_id=video_id, path=str(path), title="A <b>film</b>", probe=Probe(duration=5.0, video_codec=video_codec)),
            [Clip(clip_id="clip", video_id=video_id, start=0.0, end=5.0)],
            [TextSpan(channel="speech", text="Seals sleep here.", start=1.0, end=2.0, source="subtitles")],
            {"clip": np.eye(6, dtype=np.float16)[0]},
            file=KnownFile(status.st_size, status.st_mtime_ns, config.fingerprint, outcome),
        )
    store.close()
    return IndexedArchive(VideoArchive.open(folder / "archive"), path, video_id, content)
