"""Describe the clips of an archive with a vision-language model: captions that the `description` channel is searched by.

Descriptions are committed in batches, so that an interrupted run continues where it was. They stay while their clip does:
updates keep those of unchanged clips.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.indexing.file_state import read_file_state
from rankvideo_rag.indexing.text_index import load_archive_text_embedder, update_text_index
from rankvideo_rag.media import Frames, MediaLimits
from rankvideo_rag.models.vlm import VLM, Generation, Prompt
from rankvideo_rag.models.vlm.captions import generate_captions, read_caption_frames
from rankvideo_rag.schema import Clip, FrameBudget, Record, TextSpan
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import resolve_settings
from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.vector_index import update_index_files
from rankvideo_rag.storage.writer import ArchiveWriter, open_writer
from rankvideo_rag.text import clean

SYSTEM = "You are a helpful assistant specialized in video understanding."
INSTRUCTION = (
    "Describe this video clip in one to three plain sentences, so that people can find it by text search: name the people, "
    "objects, actions, place and visible text. Describe only what is visible."
)


class UndescribedClip(Record):
    """A clip that could not be described, and why."""

    path: str
    start: float
    end: float
    reason: str  # "code: message"


class DescribeReport(Record):
    """The result of a run."""

    model: str
    described: int  # clips
    unchanged: int  # clips that this model had described before
    failed: tuple[UndescribedClip, ...]  # tried again by the next run
    seconds: float


class DescribeOptions(NamedTuple):
    """How clips are shown to the model."""

    frames: FrameBudget = FrameBudget()
    max_tokens: int = 256
    batch_size: int = 4  # clips
    limits: MediaLimits = MediaLimits()


_DEFAULTS = DescribeOptions()


class _ClipFile(NamedTuple):
    clip: Clip
    path: Path
    error: str | None  # "code: message" where the file cannot be used


def describe(
    folder: Path,
    vlm: VLM,
    options: DescribeOptions = _DEFAULTS,
    *,
    replace: bool = False,
    device: str | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> DescribeReport:
    """Describe every clip with a picture that has no description by this model, in one transaction per batch and video.

    The descriptions are embedded at the end, with the archive's text embedder.

    Args:
        folder: of the archive.
        replace: replace descriptions by other models.
        device: of the text embedder.
        progress: called after each batch with its number of clips.

    Raises InputError when another model has described clips and `replace` is not set, ArchiveLocked while another process
    writes the archive.
    """
    started = time.monotonic()
    with closing(Store.open(folder, migrate=True)) as store:
        settings = resolve_settings(folder, store.index_config, Settings.load(device=device))
        text_embedder = load_archive_text_embedder(store, settings)
        with open_writer(store) as writer:
            clips = list(_clips_with_picture(store))
            known = _described(store, vlm.name, replace=replace)
            pending = [item for item in clips if item.clip not in known]
            results = _describe_clips(writer, vlm, options, pending, progress)
        update_text_index(store, text_embedder)
        update_index_files(store)
    failed = tuple(result for result in results if isinstance(result, UndescribedClip))
    return DescribeReport(
        model=vlm.name,
        described=len(results) - len(failed),
        unchanged=len(clips) - len(pending),
        failed=failed,
        seconds=time.monotonic() - started,
    )


def _describe_clips(
    writer: ArchiveWriter, vlm: VLM, options: DescribeOptions, clips: Sequence[_ClipFile], progress: Callable[[int], None]
) -> list[TextSpan | UndescribedClip]:
    """Describe the clips in batches, each committed, while the frames of the next ones are decoded."""

    def read(item: _ClipFile) -> Frames | str:
        span = str(item.path), item.clip.start, item.clip.end
        return item.error or read_caption_frames(*span, budget=options.frames, limits=options.limits)

    results: list[TextSpan | UndescribedClip] = []
    with closing(prefetch_map(read, clips, ahead=2 * options.batch_size, threads=1)) as videos:
        for first in range(0, len(clips), options.batch_size):
            batch = clips[first : first + options.batch_size]
            captions = generate_captions(vlm, [next(videos) for _ in batch], _prompt, max_tokens=options.max_tokens)
            found = [_result(item, caption, vlm.name) for item, caption in zip(batch, captions, strict=True)]
            _commit(writer, batch, found)
            results += found
            progress(len(batch))
    return results


def _clips_with_picture(store: Store) -> Iterator[_ClipFile]:
    for video_id, video in store.videos().items():
        if video.probe.video_codec:
            path = Path(video.path)
            error = _file_error(store, path)
            yield from (_ClipFile(clip, path, error) for clip in store.clips_of(video_id))


def _file_error(store: Store, path: Path) -> str | None:
    """Return why a file cannot be described: it is not the one that was indexed."""
    try:
        state = read_file_state(path, subtitles=False)
    except MediaError as error:
        return f"{error.code}: {error}"
    known = store.known_file(path)
    if known and (known.size, known.mtime_ns) == (state.size, state.mtime_ns):
        return None
    return f"changed: {str(path)!r} has changed since it was indexed; run rankvideo update first"


def _described(store: Store, model: str, *, replace: bool) -> set[Clip]:
    """Return the clips that the model has described. Raises InputError for those of others, unless they are to be replaced."""
    known: set[Clip] = set()
    for video_id in store.videos():
        spans = [span for span in store.spans(video_id) if span.channel == "description"]
        others = sorted({span.source for span in spans} - {model})
        if others and not replace:
            raise InputError(
                f"the clips of {store.folder} are described by {others[0]}, not by {model}: give --replace to replace "
                "these descriptions, or the same model to continue"
            )
        times = {(span.start, span.end) for span in spans if span.source == model}
        known |= {clip for clip in store.clips_of(video_id) if (clip.start, clip.end) in times}
    return known


def _prompt(frames: Frames) -> Prompt:
    return Prompt(SYSTEM, (frames, INSTRUCTION))


def _result(item: _ClipFile, caption: Generation | str, model: str) -> TextSpan | UndescribedClip:
    """Return the description without the reasoning before it, if any."""
    clip = item.clip
    text = clean(caption.text.rpartition("</think>")[2]) if isinstance(caption, Generation) else ""
    if text:
        return TextSpan(channel="description", text=text, start=clip.start, end=clip.end, source=model)
    reason = caption if isinstance(caption, str) else "empty: the model generated no text"
    return UndescribedClip(path=str(item.path), start=clip.start, end=clip.end, reason=reason)


def _commit(writer: ArchiveWriter, batch: Sequence[_ClipFile], results: Sequence[TextSpan | UndescribedClip]) -> None:
    for video_id, pairs in groupby(zip(batch, results, strict=True), key=lambda pair: pair[0].clip.video_id):
        writer.put_descriptions(video_id, [result for _, result in pairs if isinstance(result, TextSpan)])
