"""rankvideo demo: the whole path on a little world that it renders itself; no network, no download."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.ask import print_answer
from rankvideo_rag.cli.console import hits_table, note, out, print_json, printable
from rankvideo_rag.cli.demo_training import exam_tables
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.synthetic import Question

app = typer.Typer(help="The whole path on a little rendered world, and the models that it teaches.")

Clips = Annotated[int, typer.Option(min=6, help="How many clips to render.")]
Seed = Annotated[int, typer.Option(help="Which world.")]


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", help="Folder for the videos and their archive.")] = Path("rankvideo-demo"),
    clips: Clips = 45,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Render a little archive, index it, ask it questions, and measure what reranking changes."""
    if context.invoked_subcommand is not None:
        return
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.synthetic import generate_questions, render_archive
    from rankvideo_rag.synthetic.evaluation import as_contract, evaluate, judge_of
    from rankvideo_rag.synthetic.tour import pick

    note(
        "the two models that ship with the package embed and rerank. They were trained from scratch on other clips of this "
        "little world, in minutes, and know nothing else."
    )
    world = render_archive(to / "videos", clips=clips, seed=seed)
    report = index([to / "videos"], to / "archive", Settings.load(profile="tiny"))
    with VideoArchive.open(to / "archive") as archive:
        asked = generate_questions(world)
        if not as_json:
            out.print(
                f"{len(world)} clips rendered to {to / 'videos'}, {report.count('ok')} indexed in {report.seconds:.0f} s.\n"
            )
            _show(archive, pick(asked))
        found = evaluate(archive, to / "videos", world, asked, judge_of(archive.settings))
    if as_json:
        print_json(as_contract(found))
    else:
        exam_tables(found)
        out.print(f'Go on: [bold]rankvideo ask {printable(str(to / "archive"))} "…"[/]')


@app.command("render")
def render(
    to: Annotated[Path, typer.Option("--to", "--out", help="Folder for the videos.")] = Path("rankvideo-world"),
    clips: Clips = 45,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Render clips of the little world, and write the questions about them, judged, to questions.jsonl and qrels.txt."""
    from rankvideo_rag.synthetic import generate_questions, render_archive

    world = render_archive(to, clips=clips, seed=seed)
    asked = generate_questions(world)
    (to / "questions.jsonl").write_text("".join(f"{question.model_dump_json()}\n" for question in asked), encoding="utf-8")
    lines = (f"{q.question_id} 0 {stem} {grade}\n" for q in asked for stem, grade in q.judgements.items())
    (to / "qrels.txt").write_text("".join(lines), encoding="utf-8")
    if as_json:
        print_json({"clips": len(world), "questions": len(asked), "folder": str(to)})
    else:
        out.print(f"{len(world)} clips in {printable(str(to))}, {len(asked)} questions in questions.jsonl, judged in qrels.txt")


def _show(archive: "VideoArchive", asked: "list[Question]") -> None:
    """A few answers, and what watching the clips changes for one question."""
    from rankvideo_rag.nodes import nodes_to_hits
    from rankvideo_rag.schema import Answer

    engine = archive.as_query_engine()
    for question in asked:
        response = engine.query(question.text)
        out.print(f"[bold cyan]{printable(question.text)}[/]  [dim](evidence: {question.channel})[/]")
        print_answer(Answer.model_validate((response.metadata or {})["answer"]), [])
        out.print()
    example = next(question for question in asked if question.kind in ("together", "before", "one"))
    first = archive.as_retriever().retrieve(example.text)
    reranker = archive.as_reranker(top_n=len(first))
    out.print(hits_table(nodes_to_hits(first[:8]), title=f"“{printable(example.text)}” before reranking"))
    out.print()
    watched = reranker.postprocess_nodes(first, query_str=example.text) if reranker else first
    out.print(hits_table(nodes_to_hits(watched[:8]), title="… and after the reranker has watched the clips"))
    out.print()
