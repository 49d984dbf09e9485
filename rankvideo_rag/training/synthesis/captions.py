"""Step one: a model watches videos and captions them. The wording is stage one's, so captions can train perception too.

The next videos are decoded while the model writes. A video without a readable caption has a counted outcome and no line.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, NamedTuple

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.files import file_hash
from rankvideo_rag.formats.strict import check_video_id
from rankvideo_rag.media import Frames, MediaLimits
from rankvideo_rag.media.discover import discover
from rankvideo_rag.models.vlm import VLM, Generation
from rankvideo_rag.models.vlm.captions import generate_captions, read_caption_frames
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.storage.store import Store
from rankvideo_rag.training.synthesis.parsing import Unreadable, thought
from rankvideo_rag.training.synthesis.prompts import CAPTION
from rankvideo_rag.training.synthesis.step_output import Result, StepOutput, SynthesisReport, failed, process
from rankvideo_rag.training.synthesis.video_texts import ArchiveWords, VideoText, archive_words

Ids = Literal["name", "content"]
"""What a video is called: its file's name without the suffix, or the id that archives give its content."""

FRAMES = FrameBudget()  # what RankVideo is shown when it judges
_ID_LENGTH = 32  # hex digits of the content's hash, as in archives
_DECODERS = 2


def caption(
    vlm: VLM,
    videos: Sequence[Path],
    *,
    output: str | Path,
    archive: str | Path | None = None,
    ids: Ids = "name",
    frames: FrameBudget = FRAMES,
    max_tokens: int = 512,
    batch_size: int = 4,
    limits: MediaLimits = MediaLimits(),
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Caption the videos, files or folders of them, to a file of VideoText lines.

    With an archive, each line also has the words that the archive holds of that content; a video that it does not hold is not
    captioned, and tried again by the next run.
    """
    options = {
        "model": vlm.name,
        "prompt": CAPTION.fingerprint,
        "frames": frames.model_dump(),
        "max_tokens": max_tokens,
        "archive": None if archive is None else str(Path(archive).absolute()),
        "ids": ids,
    }
    paths = discover(videos)
    with ExitStack() as stack:
        store = stack.enter_context(closing(Store.open(Path(archive)))) if archive is not None else None
        step = stack.enter_context(StepOutput(output, step="captions", options=options))
        captioner = _Captioner(vlm, store, frames, max_tokens, limits)
        waiting = step.pending(_videos(paths, ids))
        ahead = 2 * batch_size + 1
        watched = stack.enter_context(closing(prefetch_map(captioner.watch, waiting, ahead=ahead, threads=_DECODERS)))
        process(step, watched, captioner.caption, batch_size=batch_size, progress=progress)
        return step.report()


class _Video(NamedTuple):
    video_id: str
    path: Path
    fingerprint: str  # the hash of its content; empty where it cannot be read

    @property
    def key(self) -> tuple[str, ...]:
        return (self.video_id,)


class _Watched(NamedTuple):
    """A video with its frames, or with the reason why there are none."""

    video: _Video
    shown: Frames | str
    words: ArchiveWords | None

    @property
    def key(self) -> tuple[str, ...]:
        return self.video.key

    @property
    def fingerprint(self) -> str:
        return self.video.fingerprint


class _Captioner(NamedTuple):
    """What is the same for all videos of a run."""

    vlm: VLM
    store: Store | None
    frames: FrameBudget
    max_tokens: int
    limits: MediaLimits

    def watch(self, video: _Video) -> _Watched:
        """Runs in a background thread."""
        shown = read_caption_frames(str(video.path), budget=self.frames, limits=self.limits)
        if isinstance(shown, str):
            return _Watched(video, shown, None)
        words = archive_words(self.store, video.fingerprint[:_ID_LENGTH]) if self.store else None
        if self.store and words is None:
            return _Watched(video, f"not_in_archive: {self.store.folder} does not hold {video.path}: index it first", None)
        return _Watched(video, shown, words)

    def caption(self, batch: Sequence[_Watched]) -> list[Result]:
        captions = generate_captions(self.vlm, [one.shown for one in batch], CAPTION.prompt, max_tokens=self.max_tokens)
        return [self._read(one, caption) for one, caption in zip(batch, captions, strict=True)]

    def _read(self, watched: _Watched, written: Generation | str) -> Result:
        if isinstance(written, str):
            return failed(written, retry=True)
        read = thought(written, max_tokens=self.max_tokens)
        if isinstance(read, Unreadable):
            return failed(read.reason)
        words = watched.words._asdict() if watched.words else {}
        line = VideoText(video_id=watched.video.video_id, path=str(watched.video.path), caption=read.text, **words)
        return Result((line,), {"ok": 1})


def _videos(paths: Sequence[Path], ids: Ids) -> Iterator[_Video]:
    for path in paths:
        try:
            content = file_hash(path)
        except MediaError:  # decoding will say the same, in an outcome
            content = ""
        yield _Video(content[:_ID_LENGTH] if ids == "content" and content else _name(path), path, content)


def _name(path: Path) -> str:
    try:
        return check_video_id(path.stem, path)
    except InputError as error:
        raise InputError(f"{error}: rename the file, or call videos by their content (--ids content)") from error
