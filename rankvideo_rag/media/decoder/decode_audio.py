"""Decode a span of a file's audio to mono float32 at 16 kHz, each sample at its time."""

from __future__ import annotations  # Packet[...] exists for type checkers only

from collections.abc import Iterator
from itertools import chain
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

_LEAD_SECONDS = 1.0  # decoded before the start: codecs need earlier packets
_MARGIN_SECONDS = 0.1  # resampled on either side of the span: a resampler needs neighbouring samples
_TOLERANCE_SECONDS = 0.03  # difference of timestamp and sample count from which it is a gap


class _TimedSamples(NamedTuple):
    seconds: float  # from the start of the video
    frame: AudioFrame


def decode_audio(*, path: str, start: float, end: float) -> DecoderResult:
    """Return samples (n,) float32, "has_audio", and "more": whether there is audio after `end`. See `audio.read_audio`."""
    with open_media(path) as media:
        if media.audio is None:
            return DecoderResult({"has_audio": False, "more": False})
        media.discard_others(media.audio)
        samples = np.zeros(round((end - start) * SAMPLE_RATE), np.float32)
        placer = _SamplePlacer(samples, start)
        more = False
        for timed in _timed_frames(media, media.audio, start, end):
            more = more or timed.seconds >= end
            placer.add(timed)
        placer.finish()
        return DecoderResult({"has_audio": True, "more": more}, {"samples": samples if more else samples[: placer.filled]})


class _SamplePlacer:
    """Resamples frames and writes them at their times; each gap starts a new resampler."""

    def __init__(self, samples: NDArray[np.float32], start: float) -> None:
        self.filled = 0
        self._samples = samples
        self._start = start
        self._resampler: AudioResampler | None = None
        self._format: tuple[str, str, int] | None = None
        self._position = 0  # of the next resampled sample, from the start of the span
        self._next_seconds = 0.0

    def add(self, timed: _TimedSamples) -> None:
        frame = timed.frame
        audio_format = (frame.format.name, frame.layout.name, frame.sample_rate)
        if (
            self._resampler is None
            or audio_format != self._format
            or abs(timed.seconds - self._next_seconds) > _TOLERANCE_SECONDS
        ):
            self.finish()
            self._resampler, self._format = AudioResampler("flt", "mono", SAMPLE_RATE), audio_format
            self._position = round((timed.seconds - self._start) * SAMPLE_RATE)
            self._next_seconds = timed.seconds
        self._next_seconds += frame.samples / frame.sample_rate
        frame.pts = None  # the resampler must count samples, not correct timestamps
        self._place(self._resampler.resample(frame))

    def finish(self) -> None:
        """Write what the resampler still holds."""
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


def _timed_frames(media: OpenMedia, stream: AudioStream, start: float, end: float) -> Iterator[_TimedSamples]:
    """Yield decoded frames from just before `start` to the first one after `end`."""
    if start > _LEAD_SECONDS:
        media.container.seek(media.ticks(stream, start - _LEAD_SECONDS), stream=stream)
    expected = start
    for packet in chain(read_packets(media, stream), [None]):  # None flushes the decoder
        for frame in _decode(stream, packet):
            seconds = media.seconds(stream, frame.pts) if frame.pts is not None else expected
            expected = seconds + frame.samples / frame.sample_rate
            if expected > start - _MARGIN_SECONDS:
                yield _TimedSamples(seconds, frame)
            if seconds > end + _MARGIN_SECONDS:
                return


def _decode(stream: AudioStream, packet: Packet[AudioStream] | None) -> list[AudioFrame]:
    try:
        return stream.codec_context.decode(packet)
    except MemoryError:
        raise
    except FFmpegError:
        return []  # a gap, so silence
