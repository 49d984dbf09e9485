"""What to do about a file that is not wholly indexed, by the code at the head of its reason. Plain words; opens nothing."""

from rankvideo_rag.schema import FileOutcome, Record

RETRY = "rankvideo update ARCHIVE tries it again"
_REPLACE = "get an undamaged copy of the file in its place, then rankvideo update ARCHIVE"
_LEAVE = "nothing: it is no video or sound file, and is left alone until it changes"
HINTS = {
    "broken_link": "mend the link or delete it",
    "changed": f"{RETRY} once nothing writes to it",
    "codec_not_allowed": "convert it to a usual codec, such as H.264, and index that",
    "corrupt_header": _REPLACE,
    "crash": f"{RETRY}; if it goes on, convert the file: it brings the decoder down",
    "damaged": _REPLACE,
    "empty": "copy the file again: it has no bytes",
    "encrypted": "index a copy without encryption",
    "incomplete": _REPLACE,
    "io": f"check the disk, then {RETRY}",
    "model": f"see that the model can be loaded (rankvideo doctor), then {RETRY}",
    "no_frames": _REPLACE,
    "no_length": "convert it into another container, such as mp4, and index that",
    "no_streams": _LEAVE,
    "no_timestamps": "convert it into another container, such as mp4, and index that",
    "no_video": _LEAVE,
    "not_media": _LEAVE,
    "not_regular": "nothing: only regular files are read",
    "outside_root": "if it is meant to be in the archive, index what it leads to by name: rankvideo index PATH --to ARCHIVE",
    "path_too_long": "move it nearer to the root",
    "permission": "give this user the right to read it, then rankvideo update ARCHIVE",
    "playlist": "index the videos that it names instead",
    "removed": "nothing: it was taken out on purpose. rankvideo index FILE --to ARCHIVE takes it in again",
    "audio_only": "nothing; to have it in the archive: rankvideo index FOLDER --to ARCHIVE --sound-only",
    "still_image": _LEAVE,
    "timeout": f"{RETRY}; RANKVIDEO_MEDIA_SECONDS gives it longer",
    "too_large": "convert it to a smaller picture and index that",
    "truncated_no_index": _REPLACE,
    "undecodable": _REPLACE,
    "vanished": "nothing if it was deleted: rankvideo update ARCHIVE forgets it",
    "worker": f"{RETRY}; if it goes on, see whether the machines of the cluster have memory enough for the models",
}


class FailureHint(Record):
    """A file that is not wholly indexed."""

    path: str
    outcome: str
    code: str
    words: str
    remedy: str
    tried_again: bool  # by every later run; else only when the file changes


def explain_failure(file: FileOutcome) -> FailureHint:
    """A file's outcome, which is not ok, with what to do."""
    code, _, words = (file.reason or "").partition(":")
    remedy = HINTS.get(code, "read the words: this code is of a backend from outside this package")
    again = file.outcome == "failed"
    return FailureHint(path=file.path, outcome=file.outcome, code=code, words=words.strip(), remedy=remedy, tried_again=again)
