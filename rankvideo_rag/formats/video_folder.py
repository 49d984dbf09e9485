"""Find the file of a video by its id, in a folder with a naming template."""

from collections import defaultdict
from functools import cached_property
from pathlib import Path

from rankvideo_rag.errors import InputError, MediaError
from rankvideo_rag.formats.strict import check_video_id
from rankvideo_rag.media.discover import MEDIA_SUFFIXES

VIDEOS_PER_BUCKET = 100


class VideoFolder:
    """A folder of videos. In its template, such as "{id}.mp4", {id} is the video's id and a final ".*" any media suffix.

    {bucket} is the numbered folder of MultiVENT's layout, which holds a hundred videos whose ids are numbers:
    "{bucket}/{id}.mp4" finds video 1234 in 000013/1234.mp4.
    """

    def __init__(self, folder: str | Path, template: str = "{id}.*") -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"there is no folder {self.folder}: give the folder of the videos")
        if "{id}" not in template:
            raise InputError(f"the template {template!r} has no {{id}}: every video would be the same file")
        self._template = template

    def find(self, video: str) -> Path:
        """Return the file of a video. Raises MediaError `no_file` where there is none, or more than one candidate."""
        name = self._template.replace("{bucket}", _bucket(video, self._template))
        name = name.replace("{id}", check_video_id(video, "videos"))
        found = self._files[self.folder / name[:-2]] if name.endswith(".*") else [self.folder / name]
        found = [path for path in found if path.is_file()]
        if len(found) != 1:
            several = " and ".join(path.name for path in found)
            fault = f"it could be {several}" if several else f"there is no {self.folder / name}"
            raise MediaError("no_file", f"video {video!r}: {fault}")
        return found[0]

    @cached_property
    def _files(self) -> dict[Path, list[Path]]:
        """Path without suffix -> media files, listed once: a folder may hold a hundred thousand."""
        found: dict[Path, list[Path]] = defaultdict(list)
        depth = self._template.count("/") + 1
        for path in sorted(self.folder.glob("/".join("*" * depth))):
            if path.suffix.lower() in MEDIA_SUFFIXES:
                found[path.with_suffix("")].append(path)
        return found


def _bucket(video: str, template: str) -> str:
    if "{bucket}" not in template:
        return ""
    if not (video.isascii() and video.isdigit()):
        raise MediaError("no_file", f"video {video!r}: {{bucket}} in the template {template!r} needs a number for an id")
    return f"{int(video) // VIDEOS_PER_BUCKET + 1:06d}"
