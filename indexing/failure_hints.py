"""Explain why a file is not fully indexed and how to fix it, by the error code at the start of its reason."""

from rankvideo_rag.schema import FileOutcome, Record

RETRY = "rankvideo update ARCHIVE tries it again"
_REPLACE = "replace the file by an undamaged copy, then run rankvideo update ARCHIVE"
_IGNORE = "nothing: it is not a video or audio file, and is skipped until it changes"
HINTS = {
    "broken_link": "fix or delete the link",
    "changed": f"{RETRY} once nothing writes to it",
    "codec_not_allowed": "convert it to a common codec, such as H.264, and index that",
    "corrupt_header": _REPLACE,
    "crash": f"{RETRY}; if it crashes the decoder again, convert the file",
    "damaged": _REPLACE,
    "empty": "copy the file again: it has 0 bytes",
    "encrypted": "index an unencrypted copy",
    "incomplete": _REPLACE,
    "io": f"check the disk, then {RETRY}",
    "model": f"check that the model can be loaded (rankvideo doctor), then {RETRY}",
    "no_frames": _REPLACE,
    "no_length": "convert it to another container, such as mp4, and index that",
    "no_streams": _IGNORE,
    "no_timestamps": "convert it to another container, such as mp4, and index that",
    "no_video": _IGNORE,
    "not_media": _IGNORE,
    "not_regular": "nothing: only regular files are read",
    "outside_root": "if it belongs in the archive, index the link's target by name: rankvideo index PATH --output ARCHIVE",
    "path_too_long": "move it to a shorter path",
    "permission": "grant this user permission to read it, then run rankvideo update ARCHIVE",
    "playlist": "index the videos that it lists instead",
    "removed": "nothing: it was removed on purpose. rankvideo index FILE --output ARCHIVE adds it again",
    "audio_only": "nothing; to include audio files: rankvideo index FOLDER --output ARCHIVE --audio-only",
    "still_image": _IGNORE,
    "timeout": f"{RETRY}; RANKVIDEO_MEDIA_SECONDS raises the limit",
    "too_large": "convert it to a lower resolution and index that",
    "truncated_no_index": _REPLACE,
    "undecodable": _REPLACE,
    "vanished": "nothing if it was deleted: rankvideo update ARCHIVE forgets it",
    "worker": f"{RETRY}; if it fails again, check that the machines of the cluster have enough memory for the models",
}


class FailureHint(Record):
    """A file that is not fully indexed, why, and what to do about it."""

    path: str
    outcome: str
    code: str
    message: str
    hint: str
    retried: bool  # by every later run; otherwise only once the file changes


def explain_failure(file: FileOutcome) -> FailureHint:
    """Return the hint for an outcome other than ok."""
    code, _, message = (file.reason or "").partition(":")
    return FailureHint(
        path=file.path,
        outcome=file.outcome,
        code=code,
        message=message.strip(),
        hint=HINTS.get(code, "see the message: the code is not one of rankvideo-rag's own"),
        retried=file.outcome == "failed",
    )
