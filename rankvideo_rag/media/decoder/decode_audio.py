"""Decode a piece of a file's sound to mono float32 at 16 kHz, each sample at its time. Runs in the decoder process."""

from __future__ import annotations  # Packet[...] is understood by type checkers only

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.error import FFmpegError
from av.packet import Packet
from numpy.typing import NDArray

from rankvideo_rag.media.audio import SAMPLE_RATE
from rankvideo_rag.media.decoder.packets import read_packets
from rankvideo_rag.media.decoder.streams import OpenMedia, open_media
from rankvideo_rag.media.ipc import DecoderResult

_LEAD_SECONDS = 1.0  # decoded before the start: codecs need packets before the one that is wanted
_MARGIN_SECONDS = 0.1  # resampled around the piece: a resampler looks left and right
_TOLERANCE_SECONDS = 0.03  # by which timestamps may be off from the count of samples before it counts as a gap


class _Sound(NamedTuple):
    seconds: float  # from the video's beginning
    frame: AudioFrame


def decode_audio(*, path: str, start: float, end: float) -> DecoderResult:
    """See `audio.read_audio`. Array: samples (n,) float32. Value: has_audio, and whether there is more after `end`."""
    with open_media(path) as media:
        if media.audio is None:
            return DecoderResult({"has_audio": False, "more": False})
        media.only(media.audio)
        samples = np.zeros(round((end - start) * SAMPLE_RATE), np.float32)
        piece = _Piece(samples, start)
        more = False
        for sound in _sounds(media, media.audio, start, end):
            more = more or sound.seconds >= end
            piece.add(sound)
        piece.finish()
        return DecoderResult({"has_audio": True, "more": more}, {"samples": samples if more else samples[: piece.filled]})


class _Piece:
    """Samples of a span, filled by stretches of sound without a gap."""

    def __init__(self, samples: NDArray[np.float32], start: float) -> None:
        self.filled = 0
        self._samples = samples
        self._start = start
        self._resampler: AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None
        self._position = 0  # of the next resampled sample, from the start of the piece
        self._next_seconds = 0.0

    def add(self, sound: _Sound) -> None:
        frame = sound.frame
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind or abs(sound.seconds - self._next_seconds) > _TOLERANCE_SECONDS:
            self.finish()
            self._resampler, self._kind = AudioResampler("flt", "mono", SAMPLE_RATE), kind
            self._position = round((sound.seconds - self._start) * SAMPLE_RATE)
            self._next_seconds = sound.seconds
        self._next_seconds += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler shall count samples, not mend timestamps
        self._place(self._resampler.resample(frame))

    def finish(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._place(self._resampler.resample(None))
            self._resampler = None

    def _place(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            values = np.nan_to_num(frame.to_ndarray().reshape(-1), nan=0.0, posinf=1.0, neginf=-1.0)
            begin, end = self._position, self._position + len(values)
            first, last = max(begin, 0), min(end, len(self._samples))
            if first < last:
                self._samples[first:last] = np.clip(values[first - begin : last - begin], -1.0, 1.0)
                self.filled = max(self.filled, last)
            self._position = end


def _sounds(media: OpenMedia, stream: AudioStream, start: float, end: float) -> Iterator[_Sound]:
    """Decoded frames from just before `start` to the first one after `end`."""
    if start > _LEAD_SECONDS:
        media.container.seek(media.ticks(stream, start - _LEAD_SECONDS), stream=stream)
    expected = start
    for packet in _with_flush(media, stream):
        for frame in _decode(stream, packet):
            seconds = media.seconds(stream, frame.pts) if frame.pts is not None else expected
            expected = seconds + frame.samples / frame.sample_rate
            if expected > start - _MARGIN_SECONDS:
                yield _Sound(seconds, frame)
            if seconds > end + _MARGIN_SECONDS:
                return


def _with_flush(media: OpenMedia, stream: AudioStream) -> Iterator[Packet[AudioStream] | None]:
    yield from read_packets(media, stream)
    yield None


def _decode(stream: AudioStream, packet: Packet[AudioStream] | None) -> list[AudioFrame]:
    try:
        return stream.codec_context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return []  # a gap, and thus silence
