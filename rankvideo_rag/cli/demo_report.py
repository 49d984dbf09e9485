"""rankvideo demo report: evaluate answers about rendered videos, with and without reranking."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli import eval_report
from rankvideo_rag.cli.console import note
from rankvideo_rag.cli.demo import Clips, Seed, write_questions
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankvideo_rag.synthetic import Question, SyntheticClip

_UNANSWERABLE = 0.25  # unanswerable questions per answerable one


def report(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for videos, archive and report.")] = Path(
        "rankvideo-report"
    ),
    clips: Clips = 45,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Render a small archive, ask it everything with and without reranking, and write report.html and report.json.

    A fifth of the questions have no answer in the archive.
    """
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.synthetic import generate_questions, render_archive

    rendered = render_archive(output / "videos", clips=clips, seed=seed)
    asked = generate_questions(rendered)
    absent = unanswerable(rendered, most=round(_UNANSWERABLE * len(asked)), seed=seed)
    rows = [one.model_dump(mode="json") | {"answerable": bool(one.judgements)} for one in (*asked, *absent)]
    write_questions(output, [json.dumps(row) for row in rows], asked)
    indexed = index([output / "videos"], output / "archive", Settings.load(profile="tiny"))
    counts = f"{indexed.count('ok')} indexed in {indexed.seconds:.0f} s"
    note(f"{len(rendered)} clips rendered to {output / 'videos'}, {counts}")
    files = {"questions": output / "questions.jsonl", "qrels": output / "qrels.txt"}
    eval_report.report(output=output / "report", archive=output / "archive", **files, stems=True, as_json=as_json)


def unanswerable(rendered: "Sequence[SyntheticClip]", *, most: int, seed: int) -> "list[Question]":
    """Return questions about other clips, by shapes and their order, that none of these clips answers."""
    from rankvideo_rag.synthetic import generate_questions, grade, plan_clips

    others = generate_questions(plan_clips(max(len(rendered), 45), seed=seed + 1))
    absent = [
        one for one in others if one.query and one.query.shapes and not any(grade(one.query, clip.scene) for clip in rendered)
    ]
    return [
        one.model_copy(update={"question_id": f"absent-{number:03d}", "judgements": {}, "claims": ()})
        for number, one in enumerate(absent[:most], start=1)
    ]
