"""Packets of one stream: read past damage, listed without decoding, found again by time. Runs in the decoder process."""

from __future__ import annotations  # array[int] and Packet[Stream] are understood by type checkers only

import errno
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar, cast

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from rankvideo_rag.media.decoder.containers import read_through
from rankvideo_rag.media.decoder.streams import OpenMedia, time_base

AnyStream = TypeVar("AnyStream", bound=Stream)

_MAX_FAILURES = 100  # read errors in a row before a file counts as at its end
_STEPS_BACK = (0.0, 2.0, 10.0, 60.0)  # seconds; MPEG-TS and the like cannot seek to a key frame, only to about a time

# MPEG programme streams date only some of their frames; after a seek FFmpeg guesses the others, wrong by up to three frames.
_GUESSING_FORMATS = ("mpeg",)


@dataclass
class PacketIndex:
    """The packets of a stream over a span, in order of decoding, from the key frame that the span needs.

    Times are ticks of the stream. Packets without any are left out.
    """

    times: array[int] = field(default_factory=lambda: array("q"))  # when shown
    durations: array[int] = field(default_factory=lambda: array("q"))  # ticks; 0 where unknown
    keys: array[int] = field(default_factory=lambda: array("b"))  # 1 for a key frame
    shown: array[int] = field(default_factory=lambda: array("b"))  # 0 for what is decoded and never shown

    def __len__(self) -> int:
        return len(self.times)

    def add(self, packet: Packet[AnyStream], ticks: int) -> None:
        """Append a packet."""
        self.times.append(ticks)
        self.durations.append(packet.duration or 0)
        self.keys.append(packet.is_keyframe)
        self.shown.append(not packet.is_discard)


def read_packets(media: OpenMedia, *streams: AnyStream) -> Iterator[Packet[AnyStream]]:
    """The packets that follow in the file, without the empty ones at its end. Damage is stepped over.

    Raises OSError where it is the disk that fails: what is missing then may be there at the next reading.
    """
    failures = 0
    while failures < _MAX_FAILURES:
        try:
            for packet in cast("Iterator[Packet[AnyStream]]", media.container.demux(streams)):
                if packet.size or packet.pts is not None:
                    failures = 0
                    yield packet
            return
        except MemoryError:
            raise
        except FFmpegError as error:
            if error.errno == errno.EIO:
                read_through(media.path)
            failures += 1


def when(packet: Packet[AnyStream]) -> int | None:
    """The time at which a packet is shown, in ticks; that of its decoding where a container knows only that."""
    return packet.pts if packet.pts is not None else packet.dts


def index_span(media: OpenMedia, stream: Stream, start: int | None = None, end: int | None = None) -> PacketIndex:
    """List the packets shown in [start, end) ticks, with those before that decoding them needs, and the first one after."""
    if start is None:
        return _list(media, stream, None, end, demand_key=False) or PacketIndex()
    for is_the_last in _seek_ever_earlier(media, stream, start):
        index = _list(media, stream, start, end, demand_key=not is_the_last)
        if index is not None:
            return index
    return PacketIndex()


def packets_from(media: OpenMedia, stream: AnyStream, key: int) -> Iterator[Packet[AnyStream]]:
    """The packets from that key frame on (its time in ticks, as an Index has it)."""
    for _ in _seek_ever_earlier(media, stream, key):
        found = False
        for packet in read_packets(media, stream):
            found = found or (when(packet) == key)
            if found:
                yield packet
            elif _surely_past(packet, key):
                break
        if found:
            return


def _seek_ever_earlier(media: OpenMedia, stream: Stream, ticks: int) -> Iterator[bool]:
    """Seek, again and again from further back, until the caller is content. Yields True at the beginning of the file."""
    first = stream.start_time or 0
    for seconds in () if media.container.format.name in _GUESSING_FORMATS else _STEPS_BACK:
        if (earlier := ticks - round(seconds / time_base(stream))) <= first:
            break
        try:
            media.container.seek(earlier, stream=stream)
        except FFmpegError:  # some demuxers refuse; the beginning can always be reached
            break
        yield False
    media.container.seek(first, stream=stream)
    yield True


def _list(media: OpenMedia, stream: Stream, start: int | None, end: int | None, *, demand_key: bool) -> PacketIndex | None:
    """None when reading began after the key frame that `start` needs, and that is demanded."""
    index, key_found = PacketIndex(), not demand_key
    for packet in read_packets(media, stream):
        ticks = when(packet)
        if ticks is None:
            continue
        if start is not None and packet.is_keyframe and ticks <= start:
            index, key_found = PacketIndex(), True  # nearer to the start than what was read before
        if not key_found and start is not None and _surely_past(packet, start):
            return None
        index.add(packet, ticks)
        if end is not None and _surely_past(packet, end):
            break  # with it, so that one can see that the frame before it lasts until then
    return index if key_found else None


def _surely_past(packet: Packet[AnyStream], ticks: int) -> bool:
    """True when neither this packet nor a later one is shown before that time: nothing is shown before it is decoded."""
    decoded = packet.dts if packet.dts is not None else packet.pts
    return decoded is not None and decoded >= ticks
