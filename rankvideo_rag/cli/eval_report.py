"""rankvideo eval report: an archive is asked, with reranking and without, and what came of it is one page and one record."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from rankvideo_rag.cli.console import err, note, out, plain_table, print_json, shown
from rankvideo_rag.cli.eval import writing
from rankvideo_rag.cli.options import (
    AsJson,
    Device,
    EvidenceSubsets,
    Frames,
    Llm,
    LlmUrl,
    Profile,
    Reranker,
    RerankerModel,
    load_llm,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llama_index.core.llms import LLM

    from rankvideo_rag.eval.answers.judge import Judge
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
    from rankvideo_rag.eval.report.folder import ReportInputs
    from rankvideo_rag.eval.report.questions import Questions
    from rankvideo_rag.eval.report.records import ArchiveReport
    from rankvideo_rag.formats.trec import Qrels

FEW = 30  # questions of which a share of a few hundredths is told by one or two


class Writer(NamedTuple):
    """Who writes the answers, and from what."""

    llm: "LLM | None"
    name: str | None
    frames: int
    evidence_subsets: int


def report(
    to: Annotated[Path, typer.Option("--to", help="Folder of the report; made if need be.", show_default=False)],
    archive: Annotated[
        Path | None,
        typer.Argument(help="The archive's folder. Without it the report's folder is scored again.", show_default=False),
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="Questions with what is right to say, JSON lines; or id, tab, text.", show_default=False),
    ] = None,
    qrels: Annotated[
        Path | None, typer.Option(help="TREC judgements, four columns, or MultiVENT 2.0's JSON lines.", show_default=False)
    ] = None,
    measures: Annotated[str, typer.Option(help="Names as in ir-measures; the first one decides.")] = "nDCG@10 R@10",
    stems: Annotated[
        bool, typer.Option("--stems", help="Videos go by their file's name without suffix, as data sets name them.")
    ] = False,
    llm: Llm = None,
    llm_url: LlmUrl = None,
    frames: Frames = 0,
    evidence_subsets: EvidenceSubsets = 1,
    profile: Profile = None,
    reranker: Reranker = None,
    reranker_model: RerankerModel = None,
    score_cache: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Where the reranker's verdicts are kept: then it is not timed.", show_default=False),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(help="Who judges words: lexical (the default), nli, llm, server, transformers, …", show_default=False),
    ] = None,
    judge_model: Annotated[
        str | None, typer.Option(help="Its model: a hub name, path, address or package.module:function.", show_default=False)
    ] = None,
    video_judge: Annotated[
        str | None,
        typer.Option(help="Who watches what is cited: transformers, vllm, server, … By default nobody.", show_default=False),
    ] = None,
    video_model: Annotated[str | None, typer.Option(help="The watching judge's model.", show_default=False)] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Take every verdict from the folder; load no model.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Ask an archive every question with reranking and without, and write report.html and report.json.

    They tell whether reranking helped and at what cost, what the answers are worth, and at which stage wrong ones were lost.
    The folder keeps runs, answers and verdicts: without ARCHIVE it is scored again, and no model is needed.
    """
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.eval.report.folder import read_report_folder

    build_report = import_optional("rankvideo_rag.eval.report.build", "eval").build_report
    write_report = import_optional("rankvideo_rag.eval.report.render", "eval").write_report
    options = {"profile": profile, "reranker": reranker, "reranker_model": reranker_model, "score_cache": score_cache}
    if archive is None:
        written = {
            "llm": llm,
            "llm_url": llm_url,
            "frames": frames or None,
            "evidence_subsets": evidence_subsets if evidence_subsets > 1 else None,
        }
        _refuse_what_asks({**options, "questions": questions, "qrels": qrels, **written})
    else:
        asking = options | {"score_cache": score_cache or "none", "device": device}
        writer = Writer(load_llm(llm, llm_url), llm or llm_url, frames, evidence_subsets)
        _ask(archive, *_asked(questions, qrels), to, writer, stems, asking)
    material = read_report_folder(to, stems=stems and archive is None)
    verdicts, judges = _judged(to, material, judge, judge_model, video_judge, video_model, device, replay=replay)
    found = build_report(material, verdicts, judges=judges, measures=measures.split())
    with writing(to):
        page = write_report(found, to)
    for line in (*found.notes, *_neither(found)):
        note(line)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _print(found, page)


def threshold(
    folder: Annotated[Path, typer.Argument(help="A report's folder.", show_default=False)],
    max_error: Annotated[
        float, typer.Option(help="Share of the questions that are answered which may have no answer in the archive.")
    ] = 0.05,
    as_json: AsJson = False,
) -> None:
    """Take from a report the margin from which on an archive should answer: some of its questions must have no answer."""
    from rankvideo_rag.backends import import_optional
    from rankvideo_rag.eval.report.folder import read_report_folder

    take = import_optional("rankvideo_rag.eval.report.calibrate", "eval").calibrate_min_margin
    found = take(read_report_folder(folder), max_error=max_error)
    counts = f"{found.questions} questions with a margin, {found.unanswerable} of them without an answer in the archive"
    if as_json:
        print_json(found.model_dump(mode="json"))
    elif found.min_margin is None:
        out.print(
            f"{counts}: at no margin are {1 - max_error:.0%} of the questions at or above it answerable. Margins do not tell.",
            soft_wrap=True,
        )
    else:
        out.print(
            f"Answer from a margin of {found.min_margin} on: of the questions at or above it {found.wrongly_answered:.1%} "
            f"have no answer, and {found.answered:.1%} of those that have one are among them ({counts}).",
            soft_wrap=True,
        )
        out.print(f"Use it: ask --min-margin {found.min_margin}, or the setting min_margin.", soft_wrap=True)
    if found.not_scored:
        note(f"questions of which no clip has a margin, passed over: {found.not_scored}")
    if found.unanswerable < FEW:
        note(f"{found.unanswerable} questions without an answer are few: the share says little of others")


def _refuse_what_asks(options: "Mapping[str, object]") -> None:
    from rankvideo_rag.errors import InputError

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None]
    if given:
        raise InputError(f"{', '.join(given)}: no archive is asked. Name one, or leave these out to score the folder again")


def _asked(questions: Path | None, qrels: Path | None) -> "tuple[Questions, Qrels]":
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval.report.questions import read_questions
    from rankvideo_rag.formats.multivent import load_qrels

    if questions is None or qrels is None:
        raise InputError("an archive is asked questions, and judged: name both files (--questions, --qrels)")
    judged = load_qrels(qrels)
    for line in judged.notes:
        note(line)
    return read_questions(questions), judged.qrels


def _ask(
    archive: Path,
    questions: "Questions",
    qrels: "Qrels",
    to: Path,
    writer: "Writer",
    stems: bool,
    options: dict[str, str | None],
) -> None:
    from rich.progress import Progress

    from rankvideo_rag.archive import VideoArchive
    from rankvideo_rag.eval.report.runner import EXTRACTIVE, ask_archive

    with writing(to):
        to.mkdir(parents=True, exist_ok=True)
    with VideoArchive.open(archive, **options) as opened, Progress(console=err, transient=True) as progress:
        bar = progress.add_task("asking", total=len(questions.references))
        ask_archive(
            opened,
            questions,
            qrels,
            to,
            synthesizer=opened.as_synthesizer(writer.llm, frames=writer.frames, evidence_subsets=writer.evidence_subsets),
            generator=writer.name or EXTRACTIVE,
            stems=stems,
            progress=lambda _: progress.advance(bar),
        )


def _judged(
    to: Path,
    material: "ReportInputs",
    judge: str | None,
    judge_model: str | None,
    video_judge: str | None,
    video_model: str | None,
    device: str | None,
    *,
    replay: bool,
) -> "tuple[JudgementCache, list[str]]":
    """The verdicts on answers, and the names of those who give them."""
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache, read_verdicts, replay_judgements
    from rankvideo_rag.eval.answers.judges import load_judge
    from rankvideo_rag.eval.report.folder import VERDICTS

    file = to / VERDICTS
    if replay:
        known = dict.fromkeys(f"{line.judge} {line.version}" for line in read_verdicts(file))
        return replay_judgements(file, judge=judge, video_judge=video_judge), list(known)
    if judge is None:
        note("answers are judged by counting words, which knows no meaning: --judge nli or --judge llm reads")
    name = judge or "lexical"
    words = load_judge(name, judge_model, device=None if name in ("lexical", "llm", "server", "recorded") else device)
    watching = _watching(video_judge, video_model, material, device) if video_judge else None
    return JudgementCache(words, watching, file=file), [f"{one.name} {one.version}" for one in (words, watching) if one]


def _watching(name: str, model: str | None, material: "ReportInputs", device: str | None) -> "Judge":
    from rankvideo_rag.eval.answers.judges import load_video_judge
    from rankvideo_rag.eval.answers.judges.video_judge import video_finder
    from rankvideo_rag.media import MediaLimits
    from rankvideo_rag.models.vlm.prompt_spec import get_prompt_spec
    from rankvideo_rag.settings import Settings

    answers = [answer for by_query in material.answers.values() for answer in by_query.values()]
    files = {video: path for answer in answers for video, path in answer.video_paths.items()}
    on = None if name in ("server", "recorded") else device
    return load_video_judge(
        name,
        model,
        spec=get_prompt_spec("video-first"),
        find=video_finder(files, None),
        device=on,
        limits=MediaLimits.from_settings(Settings.load()),
    )


def _neither(found: "ArchiveReport") -> "Iterator[str]":
    for side, counts in found.counts.items():
        for reason, count in counts.undecided_by_reason.items():
            yield f"{side} reranking: verdicts, of {counts.verdicts}, that are neither yes nor no ({reason}): {count}"


def _print(found: "ArchiveReport", page: Path) -> None:
    from rankvideo_rag.eval.report.failure_analysis import FAILURE_STAGES
    from rankvideo_rag.eval.report.records import VARIANTS

    out.print(found.benefit.summary, markup=False)
    table = plain_table("Answers, and the stage at which wrong ones were lost")
    for column in ("", "without", "with reranking"):
        table.add_column(column, justify="right" if column else "left")
    for name in ("right", "not_known"):
        table.add_row(name.replace("_", " "), *(str(getattr(found.counts[side], name)) for side in VARIANTS))
    for stage in FAILURE_STAGES:
        table.add_row(stage, *(str(found.counts[side].failures.get(stage, 0)) for side in VARIANTS))
    out.print(table)
    out.print(f"Report: {shown(str(page))}", soft_wrap=True)
