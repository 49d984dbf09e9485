"""Step one: caption videos with a VLM. The prompt is that of stage one, so captions can train perception too.

The next videos are decoded while the model generates. A video without a readable caption is counted and has no line.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from rankvideo_rag.concurrency import prefetch_map
from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.files import file_hash
from rankvideo_rag.formats.strict import check_video_id
from rankvideo_rag.media import Frames, MediaLimits
from rankvideo_rag.media.discover import discover
from rankvideo_rag.models.vlm import VLM, Generation
from rankvideo_rag.models.vlm.captions import generate_captions, read_caption_frames
from rankvideo_rag.schema import FrameBudget, Record
from rankvideo_rag.storage.store import Store
from rankvideo_rag.training.synthesis.parsing import Unreadable, parse_thought
from rankvideo_rag.training.synthesis.prompts import CAPTION
from rankvideo_rag.training.synthesis.step_output import Result, StepOutput, SynthesisReport, failed, process
from rankvideo_rag.training.synthesis.video_texts import ArchiveText, VideoText, read_archive_text

_ID_LENGTH = 32  # hex digits of the content's hash, as in archives
_DECODERS = 2


class CaptionOptions(Record):
    """How videos are captioned."""

    ids: Literal["name", "content"] = "name"  # a video's id: its file name without suffix, or the id archives give its content
    frames: FrameBudget = FrameBudget()  # what RankVideo scores by default
    max_tokens: int = Field(512, ge=1)
    batch_size: int = Field(4, ge=1)


DEFAULTS = CaptionOptions()


def caption_videos(
    vlm: VLM,
    videos: Sequence[Path],
    *,
    output: str | Path,
    archive: str | Path | None = None,
    options: CaptionOptions = DEFAULTS,
    limits: MediaLimits = MediaLimits(),
    progress: Callable[[int], None] = lambda done: None,
) -> SynthesisReport:
    """Caption videos, files or folders of them, to a file of VideoText lines.

    With an archive, each line also has the archive's text of that video; a video that it does not hold is not captioned, and
    tried again by the next run. `progress` is called with the number of further videos done.
    """
    header = {
        "model": vlm.name,
        "prompt": CAPTION.fingerprint,
        "archive": None if archive is None else str(Path(archive).absolute()),
        **options.model_dump(exclude={"batch_size"}),
    }
    paths = discover(videos)
    with ExitStack() as stack:
        store = stack.enter_context(closing(Store.open(Path(archive)))) if archive is not None else None
        step = stack.enter_context(StepOutput(output, step="captions", options=header))
        captioner = _Captioner(vlm, store, options, limits)
        pending = step.pending(_identify(paths, options))
        ahead = 2 * options.batch_size + 1
        decoded = stack.enter_context(closing(prefetch_map(captioner.decode, pending, ahead=ahead, threads=_DECODERS)))
        process(step, decoded, captioner.caption, batch_size=options.batch_size, progress=progress)
        return step.report()


class _Video(NamedTuple):
    video_id: str
    path: Path
    fingerprint: str  # the hash of its content; empty where it cannot be read

    @property
    def key(self) -> tuple[str, ...]:
        return (self.video_id,)


class _DecodedVideo(NamedTuple):
    video: _Video
    frames: Frames | str  # or the reason why there are none
    text: ArchiveText | None = None

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
    options: CaptionOptions
    limits: MediaLimits

    def decode(self, video: _Video) -> _DecodedVideo:
        """Read a video's frames and its text in the archive; called in background threads."""
        frames = read_caption_frames(str(video.path), budget=self.options.frames, limits=self.limits)
        if isinstance(frames, str):
            return _DecodedVideo(video, frames)
        if self.store is None:
            return _DecodedVideo(video, frames)
        text = read_archive_text(self.store, video.fingerprint[:_ID_LENGTH])
        if text is None:
            return _DecodedVideo(video, f"not_in_archive: {self.store.folder} does not hold {video.path}: index it first")
        return _DecodedVideo(video, frames, text)

    def caption(self, batch: Sequence[_DecodedVideo]) -> list[Result]:
        captions = generate_captions(
            self.vlm, [one.frames for one in batch], CAPTION.prompt, max_tokens=self.options.max_tokens
        )
        return [self._parse(one, caption) for one, caption in zip(batch, captions, strict=True)]

    def _parse(self, decoded: _DecodedVideo, generation: Generation | str) -> Result:
        if isinstance(generation, str):
            return failed(generation, retry=True)
        thought = parse_thought(generation, max_tokens=self.options.max_tokens)
        if isinstance(thought, Unreadable):
            return failed(thought.reason)
        texts = decoded.text._asdict() if decoded.text else {}
        line = VideoText(video_id=decoded.video.video_id, path=str(decoded.video.path), caption=thought.text, **texts)
        return Result((line,), {"ok": 1})


def _identify(paths: Sequence[Path], options: CaptionOptions) -> Iterator[_Video]:
    for path in paths:
        try:
            content = file_hash(path)
        except MediaError:  # decoding reports the same
            content = ""
        by_content = options.ids == "content" and content
        yield _Video(content[:_ID_LENGTH] if by_content else _id_from_name(path), path, content)


def _id_from_name(path: Path) -> str:
    try:
        return check_video_id(path.stem, path)
    except InputError as error:
        raise InputError(f"{error}: rename the file, or identify videos by their content (--ids content)") from error
