"""What a file holds: duration, size, streams. Its work is done by `decoder.examine` in a child process."""

import os

from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
from rankvideo_rag.schema import Probe
from rankvideo_rag.text import clean

_MAX_TITLE_LENGTH = 300


def probe(path: str, *, limits: MediaLimits = MediaLimits()) -> Probe:
    """Read a file's header and all its packets, and decode the first frame; nothing is believed that packets do not bear out.

    Duration and coverage come from the packets of the streams in use; width and height are those on screen, upright and
    with square pixels. The title is cleaned, and untrusted all the same.

    Raises MediaError: vanished, broken_link, permission, path_too_long, not_regular, empty, io, playlist, still_image,
    truncated_no_index, corrupt_header, not_media, no_streams, codec_not_allowed, too_large, encrypted, no_timestamps,
    timeout, crash, undecodable.
    """
    found = run_in_decoder("rankvideo_rag.media.decoder.inspect_file:inspect_file", limits, path=os.path.abspath(path)).value
    title = clean(found.pop("title") or "", max_length=_MAX_TITLE_LENGTH)
    return Probe(**found, title=title or None)
