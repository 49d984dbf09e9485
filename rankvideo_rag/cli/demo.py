"""rankvideo demo: the whole path on rendered videos; no network, no download."""

from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.ask import print_answer
from rankvideo_rag.cli.console import hits_table, note, out, printable, render
from rankvideo_rag.cli.demo_models import print_evaluation
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.synthetic import Question

app = typer.Typer(help="Run the whole path on rendered videos, and train and evaluate the tiny models.")

Clips = Annotated[int, typer.Option(min=6, help="Clips to render.")]
Seed = Annotated[int, typer.Option(help="Seed of the clips.")]
_PER_CHANNEL = 2  # questions that are answered aloud, of each kind of evidence


@app.callback(invoke_without_command=True)
def demo(
    context: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the videos and their archive.")] = Path(
        "rankvideo-demo"
    ),
    clips: Clips = 45,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Render a small archive, index it, ask it questions, and measure what reranking changes."""
    if context.invoked_subcommand is not None:
        return
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.settings import Settings
    from rankvideo_rag.synthetic import generate_questions, render_archive
    from rankvideo_rag.synthetic.evaluation import Reranker, evaluate

    note("the two tiny models that ship with the package were trained on other rendered clips and know nothing else")
    rendered = render_archive(output / "videos", clips=clips, seed=seed)
    report = index([output / "videos"], output / "archive", Settings.load(profile="tiny"))
    with VideoArchive.open(output / "archive") as archive:
        questions = generate_questions(rendered)
        if not as_json:
            indexed = f"{report.count('ok')} indexed in {report.seconds:.0f} s"
            out.print(f"{len(rendered)} clips rendered to {output / 'videos'}, {indexed}.\n")
            _show(archive, questions)
        found = evaluate(archive, output / "videos", rendered, Reranker.from_settings(archive.settings))
    render(found.summary(), lambda: print_evaluation(found), as_json=as_json)
    if not as_json:
        out.print(f'Next: [bold]rankvideo ask {printable(str(output / "archive"))} "..."[/]')


@app.command("render")
def render_clips(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the videos.")] = Path("rankvideo-world"),
    clips: Clips = 45,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Render clips, and write questions about them with relevance judgements to questions.jsonl and qrels.txt."""
    from rankvideo_rag.synthetic import generate_questions, render_archive

    rendered = render_archive(output, clips=clips, seed=seed)
    questions = generate_questions(rendered)
    write_questions(output, [question.model_dump_json() for question in questions], questions)
    counts = {"clips": len(rendered), "questions": len(questions), "folder": str(output)}
    line = f"{len(rendered)} clips in {printable(str(output))}, {len(questions)} questions in questions.jsonl and qrels.txt"
    render(counts, lambda: out.print(line), as_json=as_json)


def write_questions(folder: Path, lines: "Sequence[str]", questions: "Sequence[Question]") -> None:
    """Write these lines to questions.jsonl, and the judgements of the questions to qrels.txt."""
    (folder / "questions.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    rows = (f"{q.question_id} 0 {stem} {grade}\n" for q in questions for stem, grade in q.judgements.items())
    (folder / "qrels.txt").write_text("".join(rows), encoding="utf-8")


def _show(archive: "VideoArchive", questions: "Sequence[Question]") -> None:
    """Print a few answers, and what reranking changes for one question."""
    from rankvideo_rag.nodes import nodes_to_hits
    from rankvideo_rag.schema import Answer

    engine = archive.as_query_engine()
    by_channel = groupby(questions, key=lambda question: question.channel)
    for question in [question for _, group in by_channel for question in list(group)[:_PER_CHANNEL]]:
        response = engine.query(question.text)
        out.print(f"[bold cyan]{printable(question.text)}[/]  [dim](evidence: {question.channel})[/]")
        print_answer(Answer.model_validate((response.metadata or {})["answer"]), [])
        out.print()
    example = next(question for question in questions if question.kind in ("together", "before", "one"))
    first = archive.as_retriever().retrieve(example.text)
    reranker = archive.as_reranker(top_n=len(first))
    out.print(hits_table(nodes_to_hits(first[:8]), title=f'"{printable(example.text)}" before reranking'))
    out.print()
    reranked = reranker.postprocess_nodes(first, query_str=example.text) if reranker else first
    out.print(hits_table(nodes_to_hits(reranked[:8]), title="The same question after reranking"))
    out.print()
