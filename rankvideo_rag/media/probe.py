"""Read what a file holds: duration, picture size, streams."""

import os

from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
from rankvideo_rag.schema import Probe
from rankvideo_rag.text import clean

_MAX_TITLE_LENGTH = 300


def probe(path: str, *, limits: MediaLimits = MediaLimits()) -> Probe:
    """Read a file's header and all its packets, and decode its first frame.

    Duration and coverage are measured from the packets of the streams in use, not taken from the header. Width and height are
    those on screen: upright, with square pixels. The title is cleaned, but remains untrusted text.

    Raises MediaError: vanished, broken_link, permission, path_too_long, not_regular, empty, io, playlist, still_image,
    truncated_no_index, corrupt_header, not_media, no_streams, codec_not_allowed, too_large, encrypted, no_timestamps,
    timeout, crash, undecodable.
    """
    function = "rankvideo_rag.media.decoder.inspect_file:inspect_file"
    found = run_in_decoder(function, limits, path=os.path.abspath(path)).value
    title = clean(found.pop("title") or "", max_length=_MAX_TITLE_LENGTH)
    return Probe(**found, title=title or None)
