"""Read the packets of a stream: past damage, listed without decoding, found again by time."""

from __future__ import annotations  # array[int] and Packet[Stream] exist for type checkers only

import errno
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream

from rankvideo_rag.media.decoder.containers import read_whole
from rankvideo_rag.media.decoder.streams import AnyStream, OpenMedia, time_base

_MAX_FAILURES = 100  # read errors in a row before a file counts as at its end
_STEPS_BACK = (0.0, 2.0, 10.0, 60.0)  # seconds; MPEG-TS and similar formats seek to an approximate time, not to a key frame

# In MPEG programme streams only some frames have a timestamp; after a seek FFmpeg's guesses are wrong by up to three frames.
_UNSEEKABLE_FORMATS = ("mpeg",)


@dataclass
class PacketIndex:
    """The packets of a stream over a span, in decoding order, from the key frame that the span needs.

    Times are in the stream's time base. Packets without a time are left out.
    """

    times: array[int] = field(default_factory=lambda: array("q"))  # presentation times
    durations: array[int] = field(default_factory=lambda: array("q"))  # ticks; 0 where unknown
    keys: array[int] = field(default_factory=lambda: array("b"))  # 1 for a key frame
    shown: array[int] = field(default_factory=lambda: array("b"))  # 0 for packets that are decoded but not shown

    def __len__(self) -> int:
        return len(self.times)

    def add(self, packet: Packet[AnyStream], ticks: int) -> None:
        """Append a packet."""
        self.times.append(ticks)
        self.durations.append(packet.duration or 0)
        self.keys.append(packet.is_keyframe)
        self.shown.append(not packet.is_discard)


def read_packets(media: OpenMedia, *streams: AnyStream) -> Iterator[Packet[AnyStream]]:
    """Yield the packets that follow in the file, without empty ones at its end. Damage is skipped.

    Raises OSError if the disk fails, since the file may be readable later.
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
                read_whole(media.path)
            failures += 1


def packet_time(packet: Packet[AnyStream]) -> int | None:
    """Return a packet's presentation time in the stream's time base; its decoding time if a container has only that."""
    return packet.pts if packet.pts is not None else packet.dts


def index_span(media: OpenMedia, stream: Stream, start: int | None = None, end: int | None = None) -> PacketIndex:
    """List the packets shown in [start, end), those before that decoding them needs, and the first one after."""
    if start is None:
        return _list(media, stream, None, end, require_key=False) or PacketIndex()
    for is_last in _seek_further_back(media, stream, start):
        index = _list(media, stream, start, end, require_key=not is_last)
        if index is not None:
            return index
    return PacketIndex()


def packets_from(media: OpenMedia, stream: AnyStream, key: int) -> Iterator[Packet[AnyStream]]:
    """Yield the packets from the key frame at time `key` on."""
    for _ in _seek_further_back(media, stream, key):
        found = False
        for packet in read_packets(media, stream):
            found = found or (packet_time(packet) == key)
            if found:
                yield packet
            elif _is_past(packet, key):
                break
        if found:
            return


def _seek_further_back(media: OpenMedia, stream: Stream, ticks: int) -> Iterator[bool]:
    """Seek further and further back until the caller stops. Yields True at the start of the file."""
    first = stream.start_time or 0
    for seconds in () if media.container.format.name in _UNSEEKABLE_FORMATS else _STEPS_BACK:
        if (earlier := ticks - round(seconds / time_base(stream))) <= first:
            break
        try:
            media.container.seek(earlier, stream=stream)
        except FFmpegError:  # not every demuxer can seek to any time; all can seek to the start
            break
        yield False
    media.container.seek(first, stream=stream)
    yield True


def _list(media: OpenMedia, stream: Stream, start: int | None, end: int | None, *, require_key: bool) -> PacketIndex | None:
    """Return None if the key frame that `start` needs was not read, but is required."""
    index, key_found = PacketIndex(), not require_key
    for packet in read_packets(media, stream):
        ticks = packet_time(packet)
        if ticks is None:
            continue
        if start is not None:
            if packet.is_keyframe and ticks <= start:
                index, key_found = PacketIndex(), True  # closer to the start than the packets before
            if not key_found and _is_past(packet, start):
                return None
        index.add(packet, ticks)
        if end is not None and _is_past(packet, end):
            break  # this packet is kept: it shows how long the frame before it lasts
    return index if key_found else None


def _is_past(packet: Packet[AnyStream], ticks: int) -> bool:
    """Return whether neither this packet nor a later one is shown before that time: decoding precedes presentation."""
    decoded = packet.dts if packet.dts is not None else packet.pts
    return decoded is not None and decoded >= ticks
