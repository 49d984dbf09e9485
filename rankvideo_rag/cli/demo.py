"""rankvideo demo: the whole path on a little world that it renders itself; no network, no download."""

from pathlib import Path
from typing import Annotated, Any

import typer

from rankvideo_rag.cli.ask import print_answer
from rankvideo_rag.cli.console import hits_table, note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson


def demo(
    to: Annotated[Path, typer.Option("--to", help="Folder for the videos and their archive.")] = Path("rankvideo-demo"),
    clips: Annotated[int, typer.Option(min=6, help="How many clips to render.")] = 24,
    seed: Annotated[int, typer.Option(help="Which world.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Render a little archive, index it, ask it questions, and measure what reranking changes."""
    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.demo import questions, render_archive
    from rankvideo_rag.demo.tour import measure, pick
    from rankvideo_rag.indexing.run import index
    from rankvideo_rag.nodes import hits_of
    from rankvideo_rag.schema import Answer
    from rankvideo_rag.settings import Settings

    note(
        "visual vectors and reranker are a scripted pixel rule that really looks at the frames but knows only the colours, "
        "shapes and motions of this little world. No trained model is used."
    )
    world = render_archive(to / "videos", clips=clips, seed=seed)
    report = index([to / "videos"], to / "archive", Settings.load(profile="tiny"))
    with VideoArchive.open(to / "archive") as archive:
        asked = questions(world)
        if not as_json:
            out.print(
                f"{len(world)} clips rendered to {to / 'videos'}, {report.count('ok')} indexed in {report.seconds:.0f} s.\n"
            )
            engine = archive.as_query_engine()
            for question in pick(asked):
                response = engine.query(question.text)
                out.print(f"[bold cyan]{shown(question.text)}[/]  [dim](evidence: {question.channel})[/]")
                print_answer(Answer.model_validate((response.metadata or {})["answer"]), [])
                out.print()
            example = next(question for question in asked if question.channel == "visual")
            first = archive.as_retriever().retrieve(example.text)
            reranker = archive.as_reranker(top_n=len(first))
            out.print(hits_table(hits_of(first[:8]), title=f"“{shown(example.text)}” before reranking"))
            out.print()
            watched = reranker.postprocess_nodes(first, query_str=example.text) if reranker else first
            out.print(
                hits_table(
                    hits_of(watched[:8]), title="… and after the pixel rule, standing in for RankVideo, has watched the clips"
                )
            )
            out.print()
        figures = measure(archive, asked)
    if as_json:
        print_json(figures)
    else:
        _print(figures, to)


def _print(figures: dict[str, Any], to: Path) -> None:
    table = plain_table()
    table.add_column("")
    for name in figures["first_stage"]:
        table.add_column(name, justify="right")
    for stage in ("first_stage", "reranked"):
        table.add_row(stage.replace("_", " "), *(f"{value:.3f}" for value in figures[stage].values()))
    out.print(f"All {figures['questions']} questions about what is seen, measured:")
    out.print(table)
    out.print(f'Go on: [bold]rankvideo ask {shown(str(to / "archive"))} "…"[/]')
