"""rankvideo eval corpus, prepare, submission: published data sets, checked and converted."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import PARTIAL, note, out, print_json, printable, render, writing
from rankvideo_rag.cli.options import AsJson, Output, OutputFile

if TYPE_CHECKING:
    from rankvideo_rag.eval.corpora import CorpusFileState


def corpus(
    name: Annotated[str, typer.Argument(help="multivent2, wikivideo or rankvideo.")],
    folder: Annotated[Path, typer.Argument(help="Folder of its files.")],
    as_json: AsJson = False,
) -> None:
    """List the files of a published corpus: which are present, missing, malformed, or differ from the published counts."""
    from rankvideo_rag.eval.corpora import check_corpus, get_corpus

    states, known = check_corpus(name, folder), get_corpus(name)
    if as_json:
        print_json({"source": known.source, "files": [state.model_dump() for state in states], "notes": known.notes})
    else:
        out.print(f"{name}: {known.source}", markup=False)
        for state in states:
            out.print(_line(state), markup=False, soft_wrap=True)
        for line in (*(state.reason for state in states if state.reason), *known.notes):
            note(line)
    if any(state.needed and state.state != "present" for state in states):
        raise typer.Exit(PARTIAL)


def prepare(
    data_set: Annotated[str, typer.Argument(help="multivent2, wikivideo, msrvtt, didemo, activitynet or pairs.")],
    source: Annotated[Path, typer.Argument(help="Its file; for multivent2, the file of queries.")],
    output: Output,
    judgements: Annotated[Path | None, typer.Option(help="multivent2's judgements, JSON lines.")] = None,
    paragraphs: Annotated[bool, typer.Option("--paragraphs", help="Join all captions of a video into one query.")] = False,
    multivent_ids: Annotated[
        bool, typer.Option("--multivent-ids", help="Name wikivideo's videos by their ids in MultiVENT 2.0.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Convert a published data set to queries.tsv, qrels.trec and, where it has them, claims, moments and slices."""
    from typing import get_args

    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval import prepare as datasets

    if data_set not in get_args(datasets.DatasetName):
        raise InputError(f"unknown data set {data_set!r}: choose one of {', '.join(get_args(datasets.DatasetName))}")
    with writing(output):
        found = datasets.prepare_dataset(
            data_set,  # type: ignore[arg-type]
            source,
            output,
            judgements=judgements,
            paragraphs=paragraphs,
            multivent_ids=multivent_ids,
        )
    for line in found.notes:
        note(line)

    def show() -> None:
        for path, lines in found.files.items():
            out.print(f"{printable(path)}: {lines} lines")

    render(found, show, as_json=as_json)


def submission(
    run: Annotated[Path, typer.Option(help="TREC run or JSON {query: {document: score}}.")],
    output: OutputFile,
) -> None:
    """Write a run as MultiVENT 2.0's leaderboard takes it: {query: {video: score}} with strictly decreasing scores."""
    from rankvideo_rag.formats.multivent import write_submission
    from rankvideo_rag.formats.rankvideo import load_run
    from rankvideo_rag.formats.trec import rank_documents

    rankings = rank_documents(load_run(run))
    with writing(output):
        write_submission(output, rankings)
    note(f"{len(rankings)} queries written to {output}")


def _line(state: "CorpusFileState") -> str:
    found = ", ".join(f"{n} {what}" for what, n in (state.found or {}).items())
    published = ", ".join(f"{n} {what}" for what, n in state.expected.items())
    counts = "; ".join(f"{word} {text}" for word, text in (("holds", found), ("published:", published)) if text)
    needed = "" if state.needed else ", not needed"
    return f"{state.state:12}  {state.path} ({state.what}{needed}){f': {counts}' if counts else ''}"
