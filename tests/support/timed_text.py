"""Videos with timed text, written to an archive without media files."""

from rankvideo_rag.indexing.segment import segment
from rankvideo_rag.schema import FileOutcome, Probe, TextChannel, TextSpan, Video
from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig
from rankvideo_rag.storage.store import KnownFile
from rankvideo_rag.storage.writer import ArchiveWriter
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder

CONFIG = IndexConfig.from_settings(Settings.load(ocr="none"), ScriptedEmbedder.info)


def cue(text: str, start: float, end: float, channel: TextChannel = "speech") -> TextSpan:
    return TextSpan(channel=channel, text=text, start=start, end=end, source="test")


def put(writer: ArchiveWriter, number: int, spans: list[TextSpan], *, seconds: float = 60.0) -> str:
    """Write a video of that length in clips of 30 s."""
    video_id = f"{number:032x}"
    video = Video(video_id=video_id, path=f"/v/{number}.mp4", title=str(number), probe=Probe(duration=seconds))
    clips = segment(video_id, seconds, clip_seconds=30.0)
    outcome = FileOutcome(path=video.path, outcome="ok", clips=len(clips), video_id=video_id)
    writer.put_video(video, clips, spans, {}, file=KnownFile(1, 1, CONFIG.fingerprint, outcome))
    return video_id
