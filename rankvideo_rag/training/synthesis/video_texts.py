"""The text of videos: a caption, speech, on-screen text and metadata. The lines of captions.jsonl."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import check_word, read_records
from rankvideo_rag.schema import Record, TextChannel, TextSpan
from rankvideo_rag.storage.store import Store
from rankvideo_rag.text import clean


class VideoText(Record):
    """The text of a video. None: not extracted; empty: there is none."""

    video_id: str = Field(min_length=1)
    path: str
    caption: str = Field(min_length=1)
    asr: str | None = None
    ocr: str | None = None
    metadata: str | None = None  # title and descriptions


class ArchiveText(NamedTuple):
    """The text of a video in an archive."""

    asr: str
    ocr: str
    metadata: str


def read_video_texts(path: str | Path) -> dict[str, VideoText]:
    """Read a file of VideoText lines, by video id. Raises InputError, naming the line, for a bad line or a repeated id."""
    found: dict[str, VideoText] = {}
    for video in read_records(path, VideoText, what="video text"):
        check_word(video.video_id, "video id", path)
        if video.video_id in found:
            raise InputError(f"{path}: video {video.video_id!r} comes a second time: remove one of the two")
        found[video.video_id] = video
    return found


def read_archive_text(store: Store, video_id: str) -> ArchiveText | None:
    """Return the text of a video in an archive; None where the archive does not hold it.

    The title counts only where the file's metadata has one: a file name is not a description.
    """
    video = store.videos([video_id]).get(video_id)
    if video is None:
        return None
    spans = store.spans(video_id)
    metadata = " ".join([video.probe.title or "", _join(spans, "description")])
    return ArchiveText(_join(spans, "speech"), _join(spans, "on_screen"), clean(metadata))


def _join(spans: Iterable[TextSpan], channel: TextChannel) -> str:
    """Return the texts of a channel in order of time; repeated on-screen text is kept once."""
    texts = [clean(span.text) for span in sorted(spans, key=lambda span: span.start) if span.channel == channel]
    return " ".join(dict.fromkeys(texts) if channel == "on_screen" else texts)
