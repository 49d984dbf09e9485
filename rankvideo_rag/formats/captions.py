"""Read caption sets as retrieval tasks: each caption is a query, its video is relevant, and its time, if any, is a moment.

    msrvtt        key,vid_key,video_id,sentence (the 1k-A test), or {"sentences": [{"sen_id": …, "video_id": …, "caption": …}]}
    didemo        [{"annotation_id": …, "video": …, "description": …, "times": [[first, last], …]}], in segments of 5 seconds
    activitynet   {video: {"duration": …, "timestamps": [[start, end], …], "sentences": […]}}
    pairs         [{"video": …, "caption": text or [texts]}]: the retrieval files that many papers share

A video's id is its file's name without the suffix.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.dataset import RetrievalDataset
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.strict import (
    as_id,
    as_list,
    as_number,
    as_object,
    as_text,
    check_word,
    first_line,
    is_json,
    preview,
    read_csv,
    read_json,
)

Layout = Literal["msrvtt", "didemo", "activitynet", "pairs"]
_DIDEMO_SECONDS = 5.0  # length of a segment; the last may be shorter


class _Caption(NamedTuple):
    query: str
    file: str
    text: str
    spans: tuple[tuple[float, float], ...] = ()  # seconds; more than one where annotators differ

    @property
    def video(self) -> str:
        return PurePosixPath(self.file).stem


def read_captions(path: str | Path, layout: Layout, *, paragraphs: bool = False) -> RetrievalDataset:
    """Read a caption set, with moments where captions have times.

    With `paragraphs`, all captions of a video are one query, as in most work on DiDeMo and ActivityNet. Raises InputError
    for another layout, an empty caption, and a repeated query id.
    """
    captions = list(_READERS[layout](path))
    if not captions:
        raise InputError(f"{path} holds no caption")
    found, empty = RetrievalDataset(), 0
    for caption in _joined(captions) if paragraphs else captions:
        if caption.query in found.queries:
            raise InputError(f"{path}: the caption {caption.query!r} comes a second time: leave one of the two")
        found.queries[caption.query] = caption.text
        found.qrels[caption.query] = {caption.video: 1}
        spans = [Moment(caption.video, start, end) for start, end in caption.spans if start < end]
        empty += len(caption.spans) - len(spans)
        if spans:
            found.moments[caption.query] = dict.fromkeys((span.document_id for span in spans), 1)
    files = {caption.file: caption.video for caption in captions}  # DiDeMo has some videos as .mov and as .mp4
    counts = {
        "spans that do not end after they begin, left out": empty,
        "videos with two file names, taken as one": len(files) - len(set(files.values())),
    }
    found.add_counts(path, counts)
    return found


def _joined(captions: list[_Caption]) -> list[_Caption]:
    by_video: dict[str, list[str]] = {}
    for caption in captions:
        by_video.setdefault(caption.video, []).append(caption.text)
    return [_Caption(video, video, " ".join(texts)) for video, texts in by_video.items()]


def _msrvtt(path: str | Path) -> Iterator[_Caption]:
    if not is_json(path):
        # Copies of the 1k-A file differ in the name of their last column.
        column = "sentences" if first_line(path).rstrip().endswith(",sentences") else "sentence"
        for place, cells in read_csv(path, ["key", "video_id", column]):
            yield _Caption(as_id(cells["key"], "key", place), _file(cells["video_id"], place), _text(cells[column], place))
        return
    for place, row in _listed(as_object(read_json(path), "sentences", path).get("sentences"), path):
        query = as_id(row.get("sen_id"), "sen_id", place)
        yield _Caption(query, _file(row.get("video_id"), place), _text(row.get("caption"), place))


def _didemo(path: str | Path) -> Iterator[_Caption]:
    for place, row in _listed(read_json(path), path):
        times = [_pair(time, place) for time in as_list(row.get("times"), "times", place)]
        spans = {(first * _DIDEMO_SECONDS, (last + 1) * _DIDEMO_SECONDS): None for first, last in times}
        query = as_id(row.get("annotation_id"), "annotation_id", place)
        yield _Caption(query, _file(row.get("video"), place), _text(row.get("description"), place), tuple(spans))


def _activitynet(path: str | Path) -> Iterator[_Caption]:
    for video, value in as_object(read_json(path), "videos", path).items():
        place = f"{path}, {video!r}"
        about = as_object(value, "timestamps and sentences", place)
        sentences, times = (as_list(about.get(name), name, place) for name in ("sentences", "timestamps"))
        if len(sentences) != len(times):
            raise InputError(f"{place} has {len(sentences)} sentences and {len(times)} timestamps: each needs the other")
        for n, (sentence, time) in enumerate(zip(sentences, times, strict=True)):
            yield _Caption(f"{video}.{n}", _file(video, place), _text(sentence, place), (_pair(time, place),))


def _pairs(path: str | Path) -> Iterator[_Caption]:
    captions = Counter[str]()  # of each video so far
    for place, row in _listed(read_json(path), path):
        file, given = _file(row.get("video"), place), row.get("caption")
        video = PurePosixPath(file).stem
        for caption in given if isinstance(given, list) else [given]:
            yield _Caption(f"{video}.{captions[video]}", file, _text(caption, place))
            captions[video] += 1


_READERS: dict[Layout, Callable[[str | Path], Iterator[_Caption]]] = {
    "msrvtt": _msrvtt,
    "didemo": _didemo,
    "activitynet": _activitynet,
    "pairs": _pairs,
}


def _listed(value: Any, path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for n, row in enumerate(as_list(value, "the captions", path), start=1):
        place = f"{path}, entry {n}"
        yield place, as_object(row, "a caption", place)


def _pair(value: Any, place: str) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise InputError(f"{place}: {preview(value)} is not a pair of a start and an end")
    start, end = (as_number(one, "a time", place) for one in value)
    if start < 0:
        raise InputError(f"{place}: a time of {start:g} lies before the video")
    return start, end


def _file(value: Any, place: str) -> str:
    return check_word(as_text(value, "the video", place), "video id", place)


def _text(value: Any, place: str) -> str:
    return " ".join(as_text(value, "the caption", place).split())
