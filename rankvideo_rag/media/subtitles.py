"""The words that come with a video: a subtitle file beside it, or else a stream of words inside it.

Subtitles are untrusted text; they are cleaned here. Streams are read by `decoder.subtitles` in a child process.
"""

import logging
import os
import re
from functools import lru_cache

from rankvideo_rag.errors import MediaError
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
    """The subtitles of a video as spans of the speech channel, by time; empty when it has none.

    A file beside it wins: `name.srt`, `name.vtt`, then one with a language, `name.en.srt`, in order of the alphabet. A file
    that cannot be used is passed over with a warning in the log. Otherwise the default stream of words in the video, or the
    first. Broken cues are left out and counted in the log. Their language is what the file's name or the stream says.

    Raises MediaError when the video itself has to be opened and cannot be.
    """
    path = os.path.abspath(path)
    for sidecar in sidecars(path):
        if cues := _read_sidecar(sidecar):
            return _spans(cues, _language(path, sidecar))
    reply = run_in_decoder("rankvideo_rag.media.decoder.decode_subtitles:decode_subtitles", limits, path=path).value
    return _spans([Cue(*cue) for cue in reply["cues"]], reply["language"])


def sidecars(path: str) -> list[str]:
    """The subtitle files that belong to a video, the best first. They are part of what its words are made from."""
    folder, name = os.path.split(path)
    stem = os.path.splitext(name)[0]
    try:
        names = _subtitle_names(folder, os.stat(folder).st_mtime_ns)
    except OSError:
        return []  # the video is not there either, and opening it says so
    own = [n for n in names if n.startswith(stem) and _belongs(n[len(stem) :])]
    return [os.path.join(folder, n) for n in sorted(own, key=lambda n: _preference(n[len(stem) :]))]


@lru_cache(maxsize=16)
def _subtitle_names(folder: str, modified: int) -> tuple[str, ...]:
    """Listed once for each state of a folder: it may hold 100,000 videos, each of which asks."""
    with os.scandir(folder) as entries:
        return tuple(entry.name for entry in entries if entry.name.lower().endswith(_EXTENSIONS))


def _belongs(ending: str) -> bool:
    language, extension = os.path.splitext(ending)
    return ending.lower() in _EXTENSIONS or (bool(extension) and _LANGUAGE.fullmatch(language) is not None)


def _language(path: str, sidecar: str) -> str | None:
    """What a subtitle file's name says of its language."""
    ending = os.path.splitext(sidecar)[0][len(os.path.splitext(path)[0]) :]
    found = _LANGUAGE.fullmatch(ending)
    return found[1].lower().replace("_", "-") if found else None


def _preference(ending: str) -> tuple[bool, bool, str]:
    return ending.lower() not in _EXTENSIONS, ".forced." in ending.lower(), ending.lower()


def _read_sidecar(path: str) -> list[Cue]:
    """Empty when the file cannot be used, with the reason in the log."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except (MediaError, OSError) as error:
        logger.warning("subtitle file left aside: %s", error)
        return []
    if len(data) > _MAX_FILE_BYTES:
        logger.warning("subtitle file left aside: %r is larger than %d MiB", path, _MAX_FILE_BYTES >> 20)
        return []
    cues, broken = parse_cues(decode_text(data))
    if broken or not cues:
        logger.warning("subtitle file %r: %d cues read, %d broken cues left out", path, len(cues), broken)
    return cues


def _spans(cues: list[Cue], language: str | None) -> list[TextSpan]:
    cleaned = [(cue, clean(cue.text)) for cue in sorted(cues)]
    return [
        TextSpan(channel="speech", text=text, start=cue.start, end=cue.end, source="subtitles", language=language)
        for cue, text in cleaned
        if text
    ]
