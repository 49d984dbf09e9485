"""Read the subtitles of a video: a subtitle file beside it, else a subtitle stream inside it.

Subtitles are untrusted text and are cleaned here.
"""

import logging
import os
import re
import unicodedata
from bisect import bisect_left
from functools import lru_cache
from itertools import takewhile
from typing import NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.discover import MEDIA_SUFFIXES
from rankvideo_rag.media.rolling_captions import remove_rolled_lines
from rankvideo_rag.media.safe_open import open_regular
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
from rankvideo_rag.media.subtitle_parser import Cue, decode_text, parse_cues
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

_MAX_FILE_BYTES = 16 << 20
_EXTENSIONS = (".srt", ".vtt")
_KINDS = r"(?:\.(?:forced|signs|full|default|sdh|cc|hi))*"
_LANGUAGE = r"\.(?!(?:sdh|cc)(?:\.|$))[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*"
_CONTAINER = "|".join(re.escape(suffix) for suffix in sorted(MEDIA_SUFFIXES))
# .en  .pt-BR  .en.sdh  .forced.en  .mkv.en
_LABELS = re.compile(
    rf"(?P<container>{_CONTAINER})?(?P<before>{_KINDS}?)(?P<language>{_LANGUAGE})?(?P<after>{_KINDS})", re.IGNORECASE
)
_PARTIAL = frozenset({"forced", "signs"})

logger = logging.getLogger(__name__)


def read_subtitles(path: str, *, limits: MediaLimits = MediaLimits()) -> list[TextSpan]:
    """Return the subtitles of a video as spans of the speech channel, by time; empty if it has none.

    A subtitle file is preferred: `name.srt`, `name.mp4.srt`, `name.vtt`, then one with a language, such as `name.en.srt`,
    in alphabetical order. Forced subtitles, files or streams, hold only signs and foreign words and are not read, so that
    speech recognition hears the rest. Unusable files are skipped with a warning in the log. Without a file, the default or
    the first text stream of the video is read. Broken cues are left out and counted in the log. Lines that rolling
    captions repeat are kept once. The language is that of the file's name or of the stream.

    Raises MediaError if the video has to be opened and cannot be.
    """
    path = os.path.abspath(path)
    for sidecar in find_sidecars(path):
        if cues := _read_sidecar(sidecar):
            labels = _labels(path, os.path.basename(sidecar))
            return _spans(cues, (labels and labels.language) or None)
    found = run_in_decoder("rankvideo_rag.media.decoder.decode_subtitles:decode_subtitles", limits, path=path).value
    return _spans([Cue(*cue) for cue in found["cues"]], found["language"])


def find_sidecars(path: str) -> list[str]:
    """Return the subtitle files that belong to a video, the preferred one first."""
    folder = os.path.dirname(path)
    try:
        names = _subtitle_names(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return []  # opening the video reports it
    stem = unicodedata.normalize("NFC", os.path.splitext(os.path.basename(path))[0])
    first = bisect_left(names, (stem, ""))
    near = takewhile(lambda name: name[0].startswith(stem), (names[i] for i in range(first, len(names))))
    found = {sidecar: labels for _, sidecar in near if (labels := _labels(path, sidecar)) and not labels.is_partial}
    return [os.path.join(folder, sidecar) for sidecar in sorted(found, key=lambda sidecar: (found[sidecar], sidecar.lower()))]


@lru_cache(maxsize=16)
def _subtitle_names(folder: str, modified: int) -> list[tuple[str, str]]:
    """Return the composed and the stored names of a folder's subtitle files, sorted.

    A folder, which may hold 100,000 videos, is listed once for each time of its last change.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(_EXTENSIONS)]
    return sorted((unicodedata.normalize("NFC", name), name) for name in names)


class _Labels(NamedTuple):
    """What the name of a subtitle file says of it, in order of preference."""

    language: str  # empty if the name has none
    kinds: tuple[str, ...]

    @property
    def is_partial(self) -> bool:
        return not _PARTIAL.isdisjoint(self.kinds)


def _labels(video: str, sidecar: str) -> _Labels | None:
    """Return the labels between the path of a video and the suffix of a subtitle file; None if it belongs to another video.

    `film.mkv.srt` belongs to `film.mp4` where there is no `film.mkv`. Names are compared in Unicode's composed form, as file
    systems store them in either.

    >>> _labels("film.mp4", "film.pt_BR.forced.srt")
    _Labels(language='pt-br', kinds=('forced',))
    """
    stem, suffix = os.path.splitext(video)
    name, ending = (unicodedata.normalize("NFC", text) for text in (os.path.basename(stem), os.path.splitext(sidecar)[0]))
    found = _LABELS.fullmatch(ending[len(name) :]) if ending.startswith(name) else None
    if found is None:
        return None
    container = found["container"] or suffix
    if container.lower() != suffix.lower() and os.path.exists(stem + container):
        return None
    kinds = f"{found['before']}{found['after']}".lower().split(".")[1:]
    return _Labels((found["language"] or "").lower().lstrip(".").replace("_", "-"), tuple(kinds))


def _read_sidecar(path: str) -> list[Cue]:
    """Return the cues of a subtitle file; none if it cannot be used, with the reason in the log."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (MediaError, OSError) as error:
        logger.warning("subtitle file skipped: %s", error)
        return []
    if len(data) > _MAX_FILE_BYTES:
        logger.warning("subtitle file skipped: %r is larger than %d MiB", path, _MAX_FILE_BYTES >> 20)
        return []
    cues, broken = parse_cues(decode_text(data))
    if broken or not cues:
        logger.warning("subtitle file %r: %d cues read, %d broken cues left out", path, len(cues), broken)
    return cues


def _spans(cues: list[Cue], language: str | None) -> list[TextSpan]:
    return [
        TextSpan(
            channel="speech",
            text=text,
            start=cue.start,
            end=cue.end,
            source="subtitles",
            language=language,
            words=tuple(word._replace(text=clean(word.text)) for word in cue.words),
        )
        for cue in remove_rolled_lines(sorted(cues))
        if (text := clean(cue.text))
    ]
