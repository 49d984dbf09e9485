"""What the text of an hour of speech takes in an archive: passages, bytes, and seconds to embed it."""

import time
from contextlib import closing
from pathlib import Path

from rankvideo_rag.errors import InputError
from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.indexing.text_index import update_text_index
from rankvideo_rag.media.subtitles import read_subtitles
from rankvideo_rag.models.embedders import EmbedderInfo
from rankvideo_rag.models.text_embedders import TextEmbedder
from rankvideo_rag.schema import FileOutcome, FrameBudget, Probe, Record, TextSpan, Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.gc import disk_usage
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import KnownFile, Store
from rankvideo_rag.storage.vector_index import update_index_files
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer

CLIP_SECONDS = 30.0
_NO_EMBEDDER = EmbedderInfo(
    backend="none",
    model=None,
    revision=None,
    dim=1,
    pooling="none",
    normalized=True,
    query_prompt="",
    document_prompt="",
    modalities=(),
    frames=FrameBudget(),
)


class TextIndexReport(Record):
    """Sizes and times for each hour of speech."""

    text_embedder: str
    hours: float  # of the transcripts
    passages: float  # per hour, as all that follow
    text_bytes: float  # of the database with timed text, passages and full-text index
    vector_bytes: float  # that vectors add to the database
    index_bytes: float  # of the index files; a flat index is held in memory whole
    seconds: float  # to embed the passages and write their vectors


def benchmark_text_index(folder: Path, transcripts: Path, embedder: TextEmbedder) -> TextIndexReport:
    """Measure an archive of the subtitle files in `transcripts`, which is created in `folder`.

    Raises InputError if there are no subtitle files.
    """
    config = IndexConfig.from_settings(Settings.load(), _NO_EMBEDDER, text_embedder=embedder.info)
    with closing(Store.create(folder, config.model_dump(mode="json"))) as store:
        hours = _write_transcripts(store, transcripts) / 3600
        before = disk_usage(folder).database
        began = time.perf_counter()
        update_text_index(store, embedder)
        seconds = time.perf_counter() - began
        with open_writer(store) as writer:
            writer.compact()
        update_index_files(store)
        after, passages = disk_usage(folder), store.counts()["passages"]
    return TextIndexReport(
        text_embedder=str(embedder.info),
        hours=hours,
        passages=passages / hours,
        text_bytes=before / hours,
        vector_bytes=(after.database - before) / hours,
        index_bytes=after.vector_index / hours,
        seconds=seconds / hours,
    )


def _write_transcripts(store: Store, transcripts: Path) -> float:
    """Write a video for each subtitle file, and return their length in seconds."""
    read = {path: read_subtitles(str(path.with_suffix(".mp4"))) for path in sorted(transcripts.glob("*.[sv][rt]t"))}
    if not any(read.values()):
        raise InputError(f"{transcripts} holds no subtitle files: .srt or .vtt")
    with open_writer(store) as writer:
        seconds = sum(_put(writer, number, path, spans) for number, (path, spans) in enumerate(read.items()) if spans)
        writer.compact()
    return seconds


def _put(writer: ArchiveWriter, number: int, path: Path, spans: list[TextSpan]) -> float:
    video_id, seconds = f"{number:032x}", max(span.end for span in spans)
    video = Video(video_id=video_id, path=str(path), title=path.stem, probe=Probe(duration=seconds))
    clips = segment(video_id, seconds, clip_seconds=CLIP_SECONDS)
    outcome = FileOutcome(path=str(path), outcome="ok", clips=len(clips), video_id=video_id)
    writer.put_video(video, clips, spans, {}, file=KnownFile(1, 0, "generated", outcome))
    return seconds
