"""A video in words: a caption, what is said and written in it, what its publisher says of it. The lines of captions.jsonl.

It knows no models. An archive is read where one is given; no media is opened.
"""

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
    """What is known of a video in words. None: nobody has looked for it; empty: there is none."""

    video_id: str = Field(min_length=1)
    path: str
    caption: str = Field(min_length=1)
    asr: str | None = None  # what is said
    ocr: str | None = None  # what is written on the screen
    metadata: str | None = None  # title and descriptions


class ArchiveWords(NamedTuple):
    """What an archive holds of a video."""

    asr: str
    ocr: str
    metadata: str


def read_video_texts(path: str | Path) -> dict[str, VideoText]:
    """The videos of a file, by id. Raises InputError, naming the line, for what is none, and for an id that comes twice."""
    found: dict[str, VideoText] = {}
    for video in read_records(path, VideoText, what="video in words"):
        check_word(video.video_id, "video id", path)
        if video.video_id in found:
            raise InputError(f"{path}: video {video.video_id!r} comes a second time: leave one of the two")
        found[video.video_id] = video
    return found


def archive_words(store: Store, content: str) -> ArchiveWords | None:
    """The words of the video with this content (the id that archives give it); None where the archive has no such video.

    Its title counts only where the file itself has one: the name of a file is nobody's description.
    """
    video = store.videos([content]).get(content)
    if video is None:
        return None
    spans = store.spans(content)
    described = " ".join([video.probe.title or "", _joined(spans, "description")])
    return ArchiveWords(_joined(spans, "speech"), _joined(spans, "on_screen"), clean(described))


def _joined(spans: Iterable[TextSpan], channel: TextChannel) -> str:
    """The words of a channel in order of time; what stands on the screen again and again is said once."""
    texts = [clean(span.text) for span in sorted(spans, key=lambda span: span.start) if span.channel == channel]
    return " ".join(dict.fromkeys(texts) if channel == "on_screen" else texts)
