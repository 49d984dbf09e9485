"""rankvideo info: what an archive holds and how it was made."""

from typing import Any

from rankvideo_rag.cli.console import out, plain_table, print_json, shown
from rankvideo_rag.cli.options import Archive, AsJson


def info(archive: Archive, as_json: AsJson = False) -> None:
    """Show what an archive holds: videos, hours, clips, words, models, bytes."""
    from rankvideo_rag.archive import VideoArchive

    with VideoArchive.open(archive) as opened:
        facts = _facts(opened)
    if as_json:
        print_json(facts)
        return
    table = plain_table(header=False)
    for name, value in facts.items():
        words = "\n".join(map(shown, value)) or "none" if isinstance(value, list) else shown(str(value))
        table.add_row(name.replace("_", " "), words)
    out.print(table)


def _facts(opened: Any) -> dict[str, Any]:
    counts, recipe = opened.store.counts(), opened.store.recipe
    videos = opened.store.videos()
    embedder = recipe["embedder"]
    return {
        "archive": str(opened.store.folder),
        "profile": opened.settings.profile,
        "embedder": f"{embedder['backend']}:{embedder['model'] or 'built-in'}, {embedder['dim']} dimensions",
        "speech_recognition": recipe["transcriber"] or "none",
        "on_screen_text": recipe["text_reader"] or "none",
        "subtitles": recipe["subtitles"],
        "hours": round(sum(video.probe.duration for video in videos.values()) / 3600, 4),
        **counts,
        "bytes": sum(file.stat().st_size for file in opened.store.folder.iterdir() if file.is_file()),
        "not_ok": [f"{f.outcome}: {f.path}: {f.reason}" for f in opened.store.outcomes() if f.outcome != "ok"],
        "unused_streams": [f"{v.title}: {stream}" for v in videos.values() for stream in v.probe.unused],
    }
