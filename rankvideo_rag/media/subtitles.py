"""Read the subtitles of a video: a subtitle file beside it, else a subtitle stream inside it.

Subtitles are untrusted text and are cleaned here.
"""

import logging
import os
import re
from functools import lru_cache

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.rolling_captions import remove_rolled_lines
from rankvideo_rag.media.safe_open import open_regular
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
from rankvideo_rag.media.subtitle_parser import Cue, decode_text, parse_cues
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.text import clean

_MAX_FILE_BYTES = 16 << 20
_EXTENSIONS = (".srt", ".vtt")
_LANGUAGE = re.compile(r"\.([A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*)(?:\.(?:forced|sdh|cc|hi))?")  # .en  .pt-BR  .en.sdh

logger = logging.getLogger(__name__)


def read_subtitles(path: str, *, limits: MediaLimits = MediaLimits()) -> list[TextSpan]:
    """Return the subtitles of a video as spans of the speech channel, by time; empty if it has none.

    A subtitle file is preferred: `name.srt`, `name.vtt`, then one with a language, such as `name.en.srt`, in alphabetical
    order. Unusable files are skipped with a warning in the log. Without a file, the default or the first text stream of the
    video is read. Broken cues are left out and counted in the log. Lines that rolling captions repeat are kept once. The
    language is that of the file's name or of the stream.

    Raises MediaError if the video has to be opened and cannot be.
    """
    path = os.path.abspath(path)
    for sidecar in find_sidecars(path):
        if cues := _read_sidecar(sidecar):
            return _spans(cues, _language(path, sidecar))
    found = run_in_decoder("rankvideo_rag.media.decoder.decode_subtitles:decode_subtitles", limits, path=path).value
    return _spans([Cue(*cue) for cue in found["cues"]], found["language"])


def find_sidecars(path: str) -> list[str]:
    """Return the subtitle files that belong to a video, the preferred one first."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    try:
        names = _subtitle_names(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return []  # opening the video reports it
    own = [n for n in names if n.startswith(stem) and _belongs(n[len(stem) :])]
    return [os.path.join(folder, n) for n in sorted(own, key=lambda n: _preference(n[len(stem) :]))]


@lru_cache(maxsize=16)
def _subtitle_names(folder: str, modified: int) -> tuple[str, ...]:
    """List a folder once for each state: it may hold 100,000 videos."""
    with os.scandir(folder) as entries:
        return tuple(entry.name for entry in entries if entry.name.lower().endswith(_EXTENSIONS))


def _belongs(ending: str) -> bool:
    language, extension = os.path.splitext(ending)
    return ending.lower() in _EXTENSIONS or (bool(extension) and _LANGUAGE.fullmatch(language) is not None)


def _language(path: str, sidecar: str) -> str | None:
    """Return the language in a subtitle file's name."""
    ending = os.path.splitext(sidecar)[0][len(os.path.splitext(path)[0]) :]
    found = _LANGUAGE.fullmatch(ending)
    return found[1].lower().replace("_", "-") if found else None


def _preference(ending: str) -> tuple[bool, bool, str]:
    return ending.lower() not in _EXTENSIONS, ".forced." in ending.lower(), ending.lower()


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
