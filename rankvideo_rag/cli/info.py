"""rankvideo info: what an archive holds and how it was made."""

from typing import Any

from rankvideo_rag.cli.console import out, plain_table, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson


def info(archive: Archive, as_json: AsJson = False) -> None:
    """Show what an archive holds: videos, hours, clips, words, models, bytes."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.storage.gc import disk_usage

    with VideoArchive.open(archive) as opened:
        facts = _facts(opened, disk_usage(opened.store.folder).model_dump())
    if as_json:
        print_json(facts)
        return
    table = plain_table(header=False)
    for name, value in facts.items():
        table.add_row(name.replace("_", " "), _in_words(value))
    out.print(table)


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(f"{shown(str(name)).replace('_', ' ')}: {_in_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return "\n".join(map(shown, value)) or "none"
    return f"{value:,}" if type(value) is int else shown(str(value))


def _facts(opened: Any, disk_usage: dict[str, int]) -> dict[str, Any]:
    counts, config = opened.store.counts(), opened.store.index_config
    videos = opened.store.videos()
    embedder = config["embedder"]
    return {
        "archive": str(opened.store.folder),
        "profile": opened.settings.profile,
        "embedder": f"{embedder['backend']}:{embedder['model'] or 'built-in'}, {embedder['dim']} dimensions",
        "speech_recognition": config["transcriber"] or "none",
        "on_screen_text": config["text_reader"] or "none",
        "subtitles": config["subtitles"],
        "made_from": [str(source) for source in opened.store.sources()],
        "hours": round(sum(video.probe.duration for video in videos.values()) / 3600, 4),
        **counts,
        "videos_by_spoken_language": opened.store.languages(),
        "words": {channel: {"all": sum(scripts.values()), **scripts} for channel, scripts in opened.store.scripts().items()},
        "bytes": sum(disk_usage.values()),
        "bytes_by_part": disk_usage,
        "not_ok": [f"{f.outcome}: {f.path}: {f.reason}" for f in opened.store.outcomes() if f.outcome != "ok"],
        "unused_streams": [f"{v.title}: {stream}" for v in videos.values() for stream in v.probe.unused],
    }
