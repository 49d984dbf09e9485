"""Options about judges of answers, shared by `eval answers` and `eval report`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import note

if TYPE_CHECKING:
    from rankvideo_rag.eval.answers.judge import Judge

JudgeName = Annotated[
    str | None, typer.Option("--judge", help="Judge of text: lexical (the default), nli, llm, server, transformers, ...")
]
JudgeModel = Annotated[
    str | None, typer.Option(help="The judge's model: a hub name, path, address or package.module:function.")
]
VideoJudgeName = Annotated[
    str | None, typer.Option("--video-judge", help="Judge of cited clips: transformers, vllm, server, ...; by default none.")
]
VideoModel = Annotated[str | None, typer.Option(help="The video judge's model.")]
Stems = Annotated[bool, typer.Option("--stems", help="Name videos by file name without suffix, as data sets do.")]


def load_text_judge(name: str | None, model: str | None, device: str | None) -> "Judge":
    """Load the judge of text; by default the lexical one, with a note about what it cannot do."""
    from rankvideo_rag.eval.answers.judges import load_judge

    if name is None:
        note("judged by comparing words, without their meaning: use --judge nli or --judge llm for a model")
    name = name or "lexical"
    return load_judge(name, model, device=None if name in ("lexical", "llm", "server", "recorded") else device)


def load_video_judge(
    name: str,
    model: str | None,
    files: Mapping[str, str],
    device: str | None,
    *,
    videos: Path | None = None,
    prompt: str | None = None,
    threshold: float = 0.0,
) -> "Judge":
    """Load the judge of clips. `files` maps video ids to paths; `videos` is a folder to look into otherwise."""
    from rankvideo_rag.eval.answers.judges.video_judge import VideoJudge, video_finder
    from rankvideo_rag.formats.video_folder import VideoFolder
    from rankvideo_rag.media import MediaLimits
    from rankvideo_rag.models.vlm import load_vlm
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec
    from rankvideo_rag.settings import Settings

    find = video_finder(files, VideoFolder(videos) if videos else None)
    # A server chooses its own device, and a recording needs none.
    device = None if name in ("server", "recorded") else device
    spec, limits = resolve_prompt_spec(prompt, model), MediaLimits.from_settings(Settings.load())
    return VideoJudge(load_vlm(name, model, device=device), spec, find=find, threshold=threshold, limits=limits)
