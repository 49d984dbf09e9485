"""rankvideo demo report: what answers about the little world are worth, with reranking and without, in one command."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli import eval_report as evaluation_report
from rankvideo_rag.cli.console import note
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankvideo_rag.synthetic import Question, SyntheticClip

_UNANSWERABLE = 0.25  # so many of them for each question that the world answers


def report(
    to: Annotated[Path, typer.Option("--to", help="Folder for videos, archive and report.")] = Path("rankvideo-report"),
    clips: Annotated[int, typer.Option(min=6, help="How many clips to render.")] = 45,
    seed: Annotated[int, typer.Option(help="Which world.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Render a little archive, ask it everything with reranking and without, and write report.html and report.json.

    Some of the questions it does not answer: nothing in it shows what they ask for.
    """
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.synthetic import generate_questions, render_archive

    world = render_archive(to / "videos", clips=clips, seed=seed)
    asked = generate_questions(world)
    _write(to, asked, unanswerable(world, most=round(_UNANSWERABLE * len(asked)), seed=seed))
    indexed = index([to / "videos"], to / "archive", Settings.load(profile="tiny"))
    note(f"{len(world)} clips rendered to {to / 'videos'}, {indexed.count('ok')} indexed in {indexed.seconds:.0f} s")
    evaluation_report.report(
        to / "report",
        to / "archive",
        questions=to / "questions.jsonl",
        qrels=to / "qrels.txt",
        stems=True,
        as_json=as_json,
    )


def unanswerable(world: "Sequence[SyntheticClip]", *, most: int, seed: int) -> "list[Question]":
    """Questions about another world, of shapes and their order, that no clip of this one grants."""
    from rankvideo_rag.synthetic import generate_questions, grade, plan_clips

    others = generate_questions(plan_clips(max(len(world), 45), seed=seed + 1))
    absent = [
        one for one in others if one.query and one.query.shapes and not any(grade(one.query, clip.scene) for clip in world)
    ]
    return [
        one.model_copy(update={"question_id": f"absent-{number:03d}", "judgements": {}, "claims": ()})
        for number, one in enumerate(absent[:most], start=1)
    ]


def _write(to: Path, asked: "Sequence[Question]", absent: "Sequence[Question]") -> None:
    import json

    rows = [one.model_dump(mode="json") | {"answerable": bool(one.judgements)} for one in (*asked, *absent)]
    (to / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lines = (f"{one.question_id} 0 {stem} {grade}\n" for one in asked for stem, grade in one.judgements.items())
    (to / "qrels.txt").write_text("".join(lines), encoding="utf-8")
