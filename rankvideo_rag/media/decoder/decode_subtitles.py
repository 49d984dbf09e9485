"""The cues of a file's stream of words. Runs in the decoder process."""

from __future__ import annotations  # Packet[...] is understood by type checkers only

import re
from itertools import pairwise
from typing import NamedTuple

from av.error import FFmpegError
from av.packet import Packet
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from rankvideo_rag.media.decoder.packets import read_packets
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media, time_base
from rankvideo_rag.media.ipc import DecoderResult
from rankvideo_rag.media.subtitle_parser import MAX_CUES, Cue, plain

_SECONDS_WITHOUT_END = 5.0  # shown at most so long, where a stream does not say for how long


class _Open(NamedTuple):
    start: float
    seconds: float | None  # None where the stream does not say
    text: str


def decode_subtitles(*, path: str) -> DecoderResult:
    """See `subtitles.read_subtitles`. The value: "cues", (start, end, text) in order of time, and the stream's "language"."""
    with open_media(path) as media:
        if media.subtitles is None:
            return DecoderResult({"cues": [], "language": None})
        media.only(media.subtitles)
        found: list[_Open] = []
        for packet in read_packets(media, media.subtitles):
            if packet.pts is not None and len(found) < MAX_CUES:
                found.append(_read(media, media.subtitles, packet))
        language = media.subtitles.language
    known = language if language and re.fullmatch("[a-z]{2,3}", language) and language != "und" else None
    return DecoderResult({"cues": _closed(sorted(found, key=lambda cue: cue.start)), "language": known})


def _read(media: OpenMedia, stream: SubtitleStream, packet: Packet[SubtitleStream]) -> _Open:
    duration = float(packet.duration * time_base(stream)) if packet.duration else None
    return _Open(media.seconds(stream, packet.pts or 0), duration, plain(_text(stream, packet)))


def _text(stream: SubtitleStream, packet: Packet[SubtitleStream]) -> str:
    try:
        rectangles = stream.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return ""
    return "\n".join(r.dialogue.decode("utf-8", "replace") for r in rectangles if isinstance(r, AssSubtitle))


def _closed(cues: list[_Open]) -> list[Cue]:
    """With an end for each: its own, or the beginning of the next. Empty ones, which only end another, are left out."""
    closed: list[Cue] = []
    for cue, following in pairwise([*cues, _Open(float("inf"), None, "")]):
        seconds = min(_SECONDS_WITHOUT_END, following.start - cue.start) if cue.seconds is None else cue.seconds
        if cue.text and seconds > 0:
            closed.append(Cue(cue.start, cue.start + seconds, cue.text))
    return closed
