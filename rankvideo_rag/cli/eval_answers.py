"""rankvideo eval answers: the quality of answers, measured; rankvideo eval nuggets: claims for references that have none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rankvideo_rag.cli.console import note, out, plain_table, print_json, shown
from rankvideo_rag.cli.options import AsJson, Device

if TYPE_CHECKING:
    from rankvideo_rag.eval.answers.evaluate import AnswerReport
    from rankvideo_rag.eval.answers.judge import Judge
    from rankvideo_rag.eval.answers.records import SystemAnswer

Answers = Annotated[
    Path, typer.Option(help="What `rankvideo ask --json` prints, one a line, with a query_id.", show_default=False)
]
References = Annotated[Path, typer.Option(help="What is right to say, one question a line.", show_default=False)]


def answers(
    answers: Answers,
    references: References,
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
    videos: Annotated[
        Path | None, typer.Option(help="Folder of the videos, ID.mp4; by default where the answers say.", show_default=False)
    ] = None,
    stems: Annotated[
        bool, typer.Option("--stems", help="Videos go by their file's name without suffix, as data sets name them.")
    ] = False,
    prompt: Annotated[
        str | None, typer.Option(help="The watching judge's prompt format; by default its own.", show_default=False)
    ] = None,
    threshold: Annotated[float, typer.Option(help="Margin in nats above which it says yes.")] = 0.0,
    verdicts: Annotated[
        Path | None, typer.Option(help="File in which verdicts are kept, and found again.", show_default=False)
    ] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Take every verdict from that file; load no model.")] = False,
    original: Annotated[bool, typer.Option("--mirage-original", help="Also count MiRAGE as its published code does.")] = False,
    device: Device = None,
    as_json: AsJson = False,
) -> None:
    """Measure answers: MiRAGE, nuggets, citations (ALCE, ARGUE, moments), correctness, abstention."""
    from rankvideo_rag.eval.answers.evaluate import evaluate_answers, to_json
    from rankvideo_rag.eval.answers.io import read_answers, read_references
    from rankvideo_rag.eval.answers.judgement_cache import JudgementCache, replay_judgements
    from rankvideo_rag.eval.answers.records import make_cases

    given = read_answers(answers, stems=stems)
    cases = make_cases(read_references(references), given)
    if replay:
        file = _kept(verdicts, judge_model, video_model)
        found = replay_judgements(file, judge=judge, video_judge=video_judge)
    else:
        watching = _watching(video_judge, video_model, videos, prompt, threshold, device, given) if video_judge else None
        found = JudgementCache(_reading(judge, judge_model, device), watching, file=verdicts)
    report = evaluate_answers(cases, found, original=original)
    if as_json:
        print_json(to_json(report))
    else:
        _print(report)
    for line in _left_out(report, len(given)):
        note(line)


def nuggets(
    answers: Answers,
    references: References,
    llm: Annotated[
        str, typer.Option(help="package.module:function that returns a LlamaIndex LLM, or a function.", show_default=False)
    ],
    output: Annotated[Path, typer.Option(help="The references with their new claims: a new file.", show_default=False)],
) -> None:
    """Write claims, vital or okay, for answerable references that have none, from the clips that the answers were made of.

    What no answer was shown cannot become a claim: pool the answers of several systems.
    """
    from rankvideo_rag.errors import InputError
    from rankvideo_rag.eval.answers.io import read_answers, read_references, write_references
    from rankvideo_rag.eval.answers.judges.llm import load_completion
    from rankvideo_rag.eval.answers.nuggets import create_nuggets

    if output.exists():
        raise InputError(f"{output} is there already: name a new file")
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
    out.print(f"{shown(str(output))}: claims for {sum(map(bool, made.values()))} of {len(known)} references", soft_wrap=True)
    empty = sum(one.answerable and not one.claims and not made.get(query) for query, one in known.items())
    if empty:
        note(f"answerable references that still have no claims, as no clips or no facts were at hand: {empty}")


def _kept(verdicts: Path | None, *models: str | None) -> Path:
    from rankvideo_rag.errors import InputError

    if verdicts is None:
        raise InputError("--replay takes verdicts from a file: name it with --verdicts")
    if any(models):
        raise InputError("--replay loads no model: leave --judge-model and --video-model out")
    return verdicts


def _reading(judge: str | None, model: str | None, device: str | None) -> "Judge":
    from rankvideo_rag.eval.answers.judges import load_judge

    if judge is None:
        note("judged by counting words, which knows no meaning: --judge nli or --judge llm reads")
    name = judge or "lexical"
    return load_judge(name, model, device=None if name in ("lexical", "llm", "server", "recorded") else device)


def _watching(
    name: str,
    model: str | None,
    videos: Path | None,
    prompt: str | None,
    threshold: float,
    device: str | None,
    given: "dict[str, SystemAnswer]",
) -> "Judge":
    from rankvideo_rag.eval.answers.judges import load_video_judge
    from rankvideo_rag.eval.answers.judges.video_judge import video_finder
    from rankvideo_rag.formats.video_folder import VideoFolder
    from rankvideo_rag.media import MediaLimits
    from rankvideo_rag.models.vlm.prompt_spec import resolve_prompt_spec
    from rankvideo_rag.settings import Settings

    files = {video: path for answer in given.values() for video, path in answer.video_paths.items()}
    find = video_finder(files, VideoFolder(videos) if videos else None)
    # A server runs its model where it likes, and a recording runs none.
    on = None if name in ("server", "recorded") else device
    return load_video_judge(
        name,
        model,
        spec=resolve_prompt_spec(prompt, model),
        find=find,
        device=on,
        threshold=threshold,
        limits=MediaLimits.from_settings(Settings.load()),
    )


def _left_out(report: "AnswerReport", given: int) -> list[str]:
    found = {
        f"verdicts, of {report.counts.verdicts}, that are neither yes nor no ({reason})": count
        for reason, count in report.counts.undecided_by_reason.items()
    }
    found |= {
        "questions without an answer, measured as empty answers": report.counts.absent,
        "answers without a reference, not measured": given - (report.counts.questions - report.counts.absent),
    }
    return [f"{what}: {count}" for what, count in found.items() if count]


def _print(report: "AnswerReport") -> None:
    out.print(f"questions: {report.counts.questions}, of which the archive answers {report.counts.answerable}")
    table = plain_table()
    for column in ("measure", "value", "not measured"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for name, value in report.measures.items():
        reasons = report.counts.not_measured.get(name, {})
        why = "; ".join(f"{count}: {reason}" for reason, count in reasons.items()) or (value.reason or "")
        table.add_row(shown(name), "-" if value.value is None else f"{value.value:.4f}", shown(why))
    out.print(table)
