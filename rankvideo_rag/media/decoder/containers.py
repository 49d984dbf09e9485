"""Open one media file and nothing else: no device, no playlist, no second file, no socket.

FFmpeg gets an open descriptor and only the protocol that reads descriptors, so it cannot open what a file refers to. The
container formats and codecs that it may use are listed.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import av
from av.container import InputContainer
from av.error import ArgumentError, FFmpegError, InvalidDataError

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder.mp4_boxes import iterate_boxes
from rankvideo_rag.media.safe_open import open_regular

# Demuxers by their names in libavformat, without those that refer to other files and those of pictures.
FORMATS = """
    mov mp4 m4a 3gp 3g2 mj2 matroska webm avi mpegts mpeg mpegvideo flv live_flv asf ogg wav w64 mp3 flac aac ac3 eac3 aiff amr
    caf au gif ivf obu h264 hevc m4v mxf gxf dv nut rm wv ape tta
""".split()
# Decoders by their names in libavcodec: those that video archives need.
CODECS = """
    h264 hevc vvc vp8 vp9 libvpx libvpx-vp9 libdav1d av1 mpeg1video mpeg2video mpeg4 msmpeg4v1 msmpeg4v2 msmpeg4 wmv1 wmv2 wmv3
    vc1 mjpeg theora vp3 vp6 vp6f flv h263 prores dnxhd dvvideo rawvideo gif rv30 rv40
    aac aac_latm mp1 mp2 mp3 mp1float mp2float mp3float opus libopus vorbis flac alac ac3 eac3 dca truehd wmav1 wmav2 wmapro
    wmalossless wavpack ape tta amrnb amrwb libopencore_amrnb libopencore_amrwb speex gsm_ms nellymoser dvaudio s302m
    adpcm_ms adpcm_ima_wav adpcm_ima_qt adpcm_swf adpcm_yamaha pcm_alaw pcm_mulaw pcm_u8 pcm_s8 pcm_s16le pcm_s16be pcm_s24le
    pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be pcm_f64le pcm_f64be pcm_bluray
    mov_text subrip srt ass ssa webvtt text
""".split()
_PLAYLIST_STARTS = (b"#EXTM3U", b"ffconcat", b"[playlist]", b"[Reference]", b"v=0\r", b"v=0\n")
_PLAYLIST_TAGS = (b"<MPD", b"<SmoothStreamingMedia", b"<asx", b"<ASX", b"<smil")
_PICTURE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"BM", b"II*\x00", b"MM\x00*", b"8BPS", b"qoif", b"\xff\x0a")
_PICTURE_BRANDS = (b"avif", b"heic", b"heix", b"mif1")
_HEAD_BYTES = 4096
_END_BYTES = 64 << 20
_CHUNK_BYTES = 1 << 20


@contextmanager
def open_container(path: str) -> Iterator[InputContainer]:
    """Open a demuxer for a regular file of a listed format.

    Raises MediaError: vanished, broken_link, permission, path_too_long, not_regular, empty, io, playlist, still_image,
    truncated_no_index, corrupt_header, not_media. FFmpeg's errors in the body of the `with` become MediaError undecodable.
    """
    descriptor = open_regular(path)
    try:
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        _check_content(path, head)
        with _demuxer(path, descriptor, head) as container:
            yield container
    except FFmpegError as error:
        if isinstance(error, MemoryError):
            raise
        raise MediaError("undecodable", f"{path!r} cannot be decoded: {error.strerror}") from error
    except OSError as error:
        raise MediaError("io", f"{path!r} cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)


def read_ends(descriptor: int, size: int) -> None:
    """Read the start and the end of a file, where header and index are. Raises OSError if the disk fails."""
    for start in {0, max(0, size - _END_BYTES)}:
        for offset in range(start, min(size, start + _END_BYTES), _CHUNK_BYTES):
            os.pread(descriptor, _CHUNK_BYTES, offset)


@lru_cache(maxsize=1)
def read_whole(path: str) -> None:
    """Read a whole file once. Raises OSError if the disk fails."""
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        while file.read(_CHUNK_BYTES):
            pass


def _check_content(path: str, head: bytes) -> None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(_PLAYLIST_STARTS) or (text.startswith(b"<") and any(tag in text for tag in _PLAYLIST_TAGS)):
        raise MediaError("playlist", f"{path!r} is a playlist that names other files: index those files instead")
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    if head.startswith(_PICTURE_STARTS) or is_webp or (head[4:8] == b"ftyp" and head[8:12] in _PICTURE_BRANDS):
        raise MediaError("still_image", f"{path!r} is a still picture, not a video")


def _demuxer(path: str, descriptor: int, head: bytes) -> InputContainer:
    options = {
        "fd": str(descriptor),
        "protocol_whitelist": "fd",
        "format_whitelist": ",".join(FORMATS),
        "codec_whitelist": ",".join(CODECS),  # FFmpeg decodes a little of each stream while opening
    }
    try:
        return av.open("fd:", "r", options=options, metadata_errors="replace")
    except (MemoryError, FFmpegError) as error:
        if (
            getattr(error, "errno", None) == errno.EIO
        ):  # damaged Matroska files give EIO too: reading shows whether the disk fails
            read_ends(descriptor, os.fstat(descriptor).st_size)
        raise _explain(path, descriptor, head, error) from error


def _explain(path: str, descriptor: int, head: bytes, error: MemoryError | FFmpegError) -> MediaError:
    is_mp4 = head[4:8] == b"ftyp"
    if isinstance(error, MemoryError):
        return MediaError("corrupt_header", f"{path!r}: its header asks for more memory than is allowed")
    if isinstance(error, InvalidDataError):
        if is_mp4 and all(box.kind != b"moov" for box in iterate_boxes(descriptor)):
            advice = "moov atom not found: the recording or the copy was cut off; copy it again, or repair it with untrunc"
            return MediaError("truncated_no_index", f"{path!r}: {advice}")
        code = "corrupt_header" if is_mp4 else "not_media"
        return MediaError(code, f"{path!r} is not a media file that can be read: {error.strerror}")
    if isinstance(error, ArgumentError):
        return MediaError("not_media", f"{path!r} has a container format that is not supported")
    code = "corrupt_header" if error.errno == errno.EIO else "not_media"
    return MediaError(code, f"{path!r} cannot be opened, it is damaged: {error.strerror}")
