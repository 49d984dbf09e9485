"""rankvideo eval answers: evaluate answers; rankvideo eval nuggets: write claims for references that have none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import make_table, note, out, print_json, printable
from rankvideo_rag.cli.judge_options import (
    JudgeModel,
    JudgeName,
    Stems,
    VideoJudgeName,
    VideoModel,
    load_text_judge,
    load_video_judge,
)
from rankvideo_rag.cli.options import AsJson, Device, OutputFile

if TYPE_CHECKING:
    from rankvideo_rag.eval.answers.evaluate import AnswerReport

AnswersFile = Annotated[
    Path, typer.Option("--answers", help="Output of `rankvideo ask --json`, one answer per line, with a query_id.")
]
ReferencesFile = Annotated[Path, typer.Option("--references", help="Reference answers, one question per line.")]


def answers(
    answers: AnswersFile,
    references: ReferencesFile,
    judge: JudgeName = None,
    judge_model: JudgeModel = None,
    video_judge: VideoJudgeName = None,
    video_model: VideoModel = None,
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos, ID.mp4; by default the paths in the answers.")
    ] = None,
    stems: Stems = False,
    prompt: Annotated[str | None, typer.Option(help="The video judge's prompt; by default its own.")] = None,
    threshold: Annotated[float, typer.Option(help="Margin in nats above which the video judge's judgement is yes.")] = 0.0,
    judgements: Annotated[Path | None, typer.Option(help="File that keeps judgements and is read first.")] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Take every judgement from that file; load no model.")] = False,
    original: Annotated[bool, typer.Option("--mirage-original", help="Also count MiRAGE as its published code does.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate answers: MiRAGE, nuggets, citations (ALCE, ARGUE, temporal), correctness, abstention."""
    from rankvideo_rag.eval.answers.evaluate import evaluate_answers, to_json
    from rankvideo_rag.eval.answers.io import read_answers, read_references
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache, replay_judgements
    from rankvideo_rag.eval.answers.records import make_cases

    given = read_answers(answers, stems=stems)
    cases = make_cases(read_references(references), given)
    if replay:
        file = _replay_file(judgements, judge_model, video_model)
        found = replay_judgements(file, judge=judge, video_judge=video_judge)
    else:
        files = {video: path for answer in given.values() for video, path in answer.video_paths.items()}
        options = {"videos": videos, "prompt": prompt, "threshold": threshold}
        watching = load_video_judge(video_judge, video_model, files, device, **options) if video_judge else None  # type: ignore[arg-type]
        found = JudgementCache(load_text_judge(judge, judge_model, device), watching, file=judgements)
    report = evaluate_answers(cases, found, original=original)
    if as_json:
        print_json(to_json(report))
    else:
        _print(report)
    for line in _left_out(report, len(given)):
        note(line)


def nuggets(
    answers: AnswersFile,
    references: ReferencesFile,
    llm: Annotated[str, typer.Option(help="package.module:function that returns a LlamaIndex LLM, or a function.")],
    output: OutputFile,
) -> None:
    """Write claims, vital or okay, for answerable references that have none, from the clips behind the answers.

    A claim can only come from clips that some answer was shown: pool the answers of several systems.
    """
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval.answers.io import read_answers, read_references, write_references
    from rankvideo_rag.eval.answers.judges.llm import load_completion
    from rankvideo_rag.eval.answers.nuggets import create_nuggets

    if output.exists():
        raise InputError(f"{output} exists: name a new file")
    given, known = read_answers(answers), read_references(references)
    write = load_completion(llm)
    made = {
        query: create_nuggets(write, reference.question, given[query].clip_texts)
        for query, reference in known.items()
        if reference.answerable and not reference.claims and query in given
    }
    write_references(
        output, [one.model_copy(update={"claims": made[query]}) if query in made else one for query, one in known.items()]
    )
    written = f"claims for {sum(map(bool, made.values()))} of {len(known)} references"
    out.print(f"{printable(str(output))}: {written}", soft_wrap=True)
    empty = sum(one.answerable and not one.claims and not made.get(query) for query, one in known.items())
    if empty:
        note(f"answerable references that still have no claims, because no clips or facts were available: {empty}")


def _replay_file(judgements: Path | None, *models: str | None) -> Path:
    from rankvideo_rag.errors import InputError

    if judgements is None:
        raise InputError("--replay reads judgements from a file: name it with --judgements")
    if any(models):
        raise InputError("--replay loads no model: leave out --judge-model and --video-model")
    return judgements


def _left_out(report: "AnswerReport", given: int) -> list[str]:
    found = {
        f"judgements, of {report.counts.judgements}, that are neither yes nor no ({reason})": count
        for reason, count in report.counts.undecided_by_reason.items()
    }
    found |= {
        "questions without an answer, evaluated as empty answers": report.counts.absent,
        "answers without a reference, not evaluated": given - (report.counts.questions - report.counts.absent),
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def _print(report: "AnswerReport") -> None:
    out.print(f"questions: {report.counts.questions}, of which the archive answers {report.counts.answerable}")
    table = make_table(("measure", "value", "not measured"))
    table.columns[2].justify = "left"
    for name, value in report.measures.items():
        reasons = report.counts.not_measured.get(name, {})
        why = "; ".join(f"{count}: {reason}" for reason, count in reasons.items()) or (value.reason or "")
        table.add_row(printable(name), "-" if value.value is None else f"{value.value:.4f}", printable(why))
    out.print(table)
