"""Read the cues of a file's subtitle stream."""

from __future__ import annotations  # Packet[...] exists for type checkers only

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
from rankvideo_rag.media.subtitle_parser import MAX_CUES, Cue, strip_markup

_MAX_SECONDS_WITHOUT_END = 5.0  # of a cue whose end the stream does not give


class _OpenCue(NamedTuple):
    start: float
    seconds: float | None  # None if the stream does not give it
    text: str


def decode_subtitles(*, path: str) -> DecoderResult:
    """Return "cues", (start, end, text) in order of time, and the stream's "language". See `subtitles.read_subtitles`."""
    with open_media(path) as media:
        if media.subtitles is None:
            return DecoderResult({"cues": [], "language": None})
        media.discard_others(media.subtitles)
        found: list[_OpenCue] = []
        for packet in read_packets(media, media.subtitles):
            if packet.pts is not None and len(found) < MAX_CUES:
                found.append(_read(media, media.subtitles, packet))
        language = media.subtitles.language
    known = language if language and re.fullmatch("[a-z]{2,3}", language) and language != "und" else None
    return DecoderResult({"cues": _close_cues(sorted(found, key=lambda cue: cue.start)), "language": known})


def _read(media: OpenMedia, stream: SubtitleStream, packet: Packet[SubtitleStream]) -> _OpenCue:
    duration = float(packet.duration * time_base(stream)) if packet.duration else None
    return _OpenCue(media.seconds(stream, packet.pts or 0), duration, strip_markup(_text(stream, packet)))


def _text(stream: SubtitleStream, packet: Packet[SubtitleStream]) -> str:
    try:
        rectangles = stream.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return ""
    return "\n".join(r.dialogue.decode("utf-8", "replace") for r in rectangles if isinstance(r, AssSubtitle))


def _close_cues(cues: list[_OpenCue]) -> list[Cue]:
    """Give each cue an end: its own, or the start of the next cue. Empty cues, which only end another one, are left out."""
    closed: list[Cue] = []
    for cue, following in pairwise([*cues, _OpenCue(float("inf"), None, "")]):
        seconds = min(_MAX_SECONDS_WITHOUT_END, following.start - cue.start) if cue.seconds is None else cue.seconds
        if cue.text and seconds > 0:
            closed.append(Cue(cue.start, cue.start + seconds, cue.text))
    return closed
