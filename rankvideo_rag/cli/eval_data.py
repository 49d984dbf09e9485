"""rankvideo eval corpus, prepare, submission: published data sets, checked and brought into the files that are read here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import note, out, print_json, shown
from rankvideo_rag.cli.eval import writing
from rankvideo_rag.cli.options import AsJson

if TYPE_CHECKING:
    from rankvideo_rag.eval.corpora import CorpusFileState

INCOMPLETE = 3  # exit code: a needed file is missing or not as told


def corpus(
    name: Annotated[str, typer.Argument(help="multivent2, wikivideo or rankvideo.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Where its files lie, or shall lie.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Name the files of a published corpus, and tell which are there, missing, malformed or of other counts than published."""
    from rankvideo_rag.eval.corpora import check_corpus, get_corpus

    states, known = check_corpus(name, folder), get_corpus(name)
    if as_json:
        print_json({"source": known.source, "files": [state.model_dump() for state in states], "notes": known.notes})
    else:
        out.print(f"{name}: {known.source}", markup=False)
        for state in states:
            out.print(_in_words(state), markup=False, soft_wrap=True)
        for line in (*(state.reason for state in states if state.reason), *known.notes):
            note(line)
    if any(state.needed and state.state != "present" for state in states):
        raise typer.Exit(INCOMPLETE)


def prepare(
    data_set: Annotated[
        str, typer.Argument(help="multivent2, wikivideo, msrvtt, didemo, activitynet or pairs.", show_default=False)
    ],
    source: Annotated[Path, typer.Argument(help="Its file; of multivent2, the file of queries.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="Folder to write into; made if need be.", show_default=False)],
    judgements: Annotated[Path | None, typer.Option(help="multivent2's judgements, JSON lines.", show_default=False)] = None,
    paragraphs: Annotated[bool, typer.Option("--paragraphs", help="All captions of a video as one query.")] = False,
    multivent_ids: Annotated[
        bool, typer.Option("--multivent-ids", help="wikivideo's videos by their numbers in MultiVENT 2.0.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a published data set into queries.tsv, qrels.trec and, where it has them, claims, moments and slices."""
    from typing import get_args

    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval import prepare as preparing

    if data_set not in get_args(preparing.DatasetName):
        raise InputError(f"unknown data set {data_set!r}: choose one of {', '.join(get_args(preparing.DatasetName))}")
    with writing(to):
        found = preparing.prepare_dataset(
            data_set,  # type: ignore[arg-type]
            source,
            to,
            judgements=judgements,
            paragraphs=paragraphs,
            multivent_ids=multivent_ids,
        )
    for line in found.notes:
        note(line)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        for path, lines in found.files.items():
            out.print(f"{shown(path)}: {lines} lines")


def submission(
    run: Annotated[Path, typer.Option(help="TREC run or JSON {query: {document: score}}.", show_default=False)],
    to: Annotated[Path, typer.Option("--to", help="JSON to write.", show_default=False)],
) -> None:
    """Write a run as MultiVENT 2.0's leaderboard takes it: {query: {video: score}}, scores counting down so that none tie."""
    from rankvideo_rag.formats.multivent import write_submission
    from rankvideo_rag.formats.rankvideo import load_run
    from rankvideo_rag.formats.trec import rank_documents

    rankings = rank_documents(load_run(run))
    with writing(to):
        write_submission(to, rankings)
    note(f"{len(rankings)} queries written to {to}")


def _in_words(state: "CorpusFileState") -> str:
    found = ", ".join(f"{n} {what}" for what, n in (state.found or {}).items())
    published = ", ".join(f"{n} {what}" for what, n in state.expected.items())
    counts = "; ".join(f"{word} {said}" for word, said in (("holds", found), ("published:", published)) if said)
    needed = "" if state.needed else ", not needed"
    return f"{state.state:12}  {state.path} ({state.what}{needed}){f': {counts}' if counts else ''}"
