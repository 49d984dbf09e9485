"""Make the passages of videos that have none, or such as an earlier version made, from their stored text."""

from collections.abc import Callable
from pathlib import Path

from rankvideo_rag.storage.store import Store
from rankvideo_rag.storage.writer import open_writer


def update_text_index(store: Store, *, on_video: Callable[[Path], None] = lambda path: None) -> int:
    """Bring the passages of every video up to date, one transaction per video, and return the number of videos changed.

    No media file is opened. An interrupted run can be continued. `on_video` is called with each video's path.

    Raises ArchiveLocked while another process writes the archive.
    """
    pending = store.videos_without_passages()
    if not pending:
        return 0
    with open_writer(store) as writer:
        for video_id in pending:
            on_video(next(iter(store.paths(video_id)), Path(video_id)))
            writer.index_text(video_id)
    return len(pending)
