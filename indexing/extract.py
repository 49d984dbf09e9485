"""One file read into all that is written of it: probe, identity, clips, words, vectors. Runs on any machine that sees the file.

It opens no archive. Where what an archive holds decides something, whoever calls is asked.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import MediaError, ModelError
from rankvideo_rag.indexing.draft import TRANSIENT, Draft, Drafter, Kept, Stage
from rankvideo_rag.indexing.file_state import FileState
from rankvideo_rag.indexing.prefetch import Ahead
from rankvideo_rag.media import MediaLimits
from rankvideo_rag.schema import FileOutcome, Outcome, Video
from rankvideo_rag.storage.index_config import IndexConfig, Models
from rankvideo_rag.storage.writer import title_of


class Ground(NamedTuple):
    """What a draft of known content starts from."""

    subtitles_of: Path  # the path whose subtitle files give the words
    kept: Kept | None = None  # what of its picture need not be made again


class Made(NamedTuple):
    """A file that was read, before it is written."""

    path: Path
    state: FileState  # in which it was read
    video: Video
    draft: Draft
    seconds: float | None  # what it cost; None where only a part of it was made anew

    @property
    def outcome(self) -> FileOutcome:
        """What becomes of the file once this is written."""
        return FileOutcome(
            path=str(self.path),
            outcome="partial" if self.draft.damage else "ok",
            reason="; ".join([*self.draft.damage, *self.video.probe.warnings]) or None,
            clips=len(self.draft.clips),
            video_id=self.video.video_id,
        )


class Maker:
    """Makes what is written, by a config. `at` is told each stage."""

    def __init__(
        self, config: IndexConfig, models: Models, limits: MediaLimits, at: Callable[[Path, Stage], None], ahead: Ahead
    ) -> None:
        self._config, self._at, self._ahead = config, at, ahead
        self._drafter = Drafter(config, models, limits, at, ahead)

    @property
    def embeddings(self) -> int:
        """Clips given to the embedder so far."""
        return self._drafter.embeddings

    def make(
        self,
        path: Path,
        state: FileState,
        *,
        video_id: str | None,
        identify: Callable[[Path], str],
        ground: Callable[[str], Ground],
        when_read: Callable[[], None] = lambda: None,
    ) -> Made:
        """The file at `path`, which is in that state. Its identity is asked for where it is not known yet, and then what its
        content's draft starts from; `when_read` is called once the last frame is read. Raises MediaError and ModelError:
        `refusal` says what becomes of the file."""
        began = time.monotonic()
        self._at(path, "probe")
        probe = self._ahead.probe(path, state)
        if not (probe.video_codec or self._config.audio_only):
            raise MediaError("audio_only", f"{str(path)!r} has sound and no picture, and such files are left out here")
        video_id = video_id or identify(path)
        subtitles_of, kept = ground(video_id)
        video = Video(video_id=video_id, path=str(path), title=title_of(probe, path), probe=probe)
        draft = self._drafter.draft(path, video, subtitles_of=subtitles_of, kept=kept, when_read=when_read)
        return Made(path, state, video, draft, None if kept else time.monotonic() - began)


def refusal(path: Path, error: MediaError | ModelError) -> FileOutcome:
    """What becomes of a file that could not be read, or of which a model made nonsense."""
    if isinstance(error, ModelError):
        return FileOutcome(path=str(path), outcome="failed", reason=f"model: {error}")
    verdict: Outcome = "failed" if error.code in TRANSIENT else "skipped"
    return FileOutcome(path=str(path), outcome=verdict, reason=f"{error.code}: {error}")
