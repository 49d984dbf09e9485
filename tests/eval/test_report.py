"""rankvideo eval report: what it says of an archive, at which stage it finds wrong answers lost, and the page it draws."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import typer
from llama_index.core.base.llms.types import CompletionResponse
from llama_index.core.llms import MockLLM
from support.answer_cases import judged
from support.world import World, asked
from typer.testing import CliRunner, Result

from rankvideo_rag.archive import VideoArchive
from rankvideo_rag.cli import app as commands
from rankvideo_rag.cli.eval_report import report as command
from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.eval.answers.judge import Judgement
from rankvideo_rag.eval.answers.records import Case, CitedSpan, Reference, ReferenceClaim, SystemAnswer
from rankvideo_rag.eval.answers.sentences import Statement
from rankvideo_rag.eval.report.calibrate import calibrate_min_margin
from rankvideo_rag.eval.report.failure_analysis import IndexedVideo, Trace, classify
from rankvideo_rag.eval.report.folder import read_report_folder
from rankvideo_rag.eval.report.questions import read_questions
from rankvideo_rag.eval.report.records import ArchiveReport
from rankvideo_rag.eval.report.render import render_html
from rankvideo_rag.formats.moments import Moment
from rankvideo_rag.formats.rankvideo import scores_file_name, scores_to_json
from rankvideo_rag.models.vlm import VLM, LabelLogprobs, Prompt
from rankvideo_rag.ranking.scores import score_from_margin
from rankvideo_rag.schema import Score
from rankvideo_rag.synthetic import Question, generate_questions
from rankvideo_rag.testing.scripted_vlm import ScriptedVLM

APP = typer.Typer()
APP.command()(command)


def run(*words: object) -> Result:
    return CliRunner().invoke(APP, [str(word) for word in words])


def ran(*words: object) -> ArchiveReport:
    result = CliRunner().invoke(APP, [*(str(word) for word in words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return ArchiveReport.model_validate_json(result.stdout)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


# A corpus with one planted failure per question. Each video has two clips of 30 s; its fact is stated from second 10 to 20.

FAULTS = ("not indexed", "not retrieved", "demoted by the reranker", "wrong window", "unsupported claim")
OTHERS = [f"other-{n}" for n in range(8)]
WORDS = {0: "It is known that {} was finished in the year {}.", 30: "Ducks swim past {} when the sun shines, as in {}."}


def hit(video: str, start: int) -> dict[str, Any]:
    words = WORDS[start].format(video, 1800)
    return {"video_id": video, "path": f"/v/{video}.mp4", "title": video, "start": start, "end": start + 30, "text": words}


def said(text: str, video: str, start: float, clips: list[dict[str, Any]], query: str) -> dict[str, Any]:
    place = {"video_id": video, "path": f"/v/{video}.mp4", "start": start, "end": start + 10, "quote": None}
    claims = [{"text": text, "status": "cited", "citations": [0]}]
    return {
        "query_id": query,
        "question": "?",
        "answer": text,
        "answered": True,
        "citations": [place],
        "claims": claims,
        "clips": clips,
    }


def abstained(clips: list[dict[str, Any]], query: str) -> dict[str, Any]:
    return {"query_id": query, "question": "?", "answer": "Nothing.", "answered": False, "citations": [], "clips": clips}


class Planted:
    """One question on the video of its name, and everything that happened to it."""

    def __init__(self, number: int) -> None:
        self.fault, variant = FAULTS[number % 5], number // 5 % 2
        self.query = video = f"fact-{number}"
        fact = WORDS[0].format(video, 1800)
        self.first, self.reranked = [OTHERS[0], video, *OTHERS[1:]], [video, *OTHERS]
        self.kept: list[list[int]] = [[0, 30], [30, 60]]
        self.reason: str | None = None
        shown, answer = [hit(video, 0), hit(OTHERS[0], 0)], (fact, video, 10)
        if self.fault in ("not indexed", "not retrieved"):
            self.first = self.reranked = OTHERS
        if self.fault == "not indexed":
            self.kept, self.reason = ([[30, 60]], None) if variant else ([], "failed: not_media: no video")
        if self.fault == "demoted by the reranker":
            self.reranked = [*OTHERS, video]
        if self.fault in FAULTS[:3]:
            shown = [hit(OTHERS[0], 0), hit(OTHERS[1], 0)]
            answer = (WORDS[0].format(OTHERS[0], 1800), OTHERS[0], 10)
        if self.fault == "wrong window" and variant:
            answer = (WORDS[30].format(video, 1800), video, 40)
            shown = [*shown, hit(video, 30)]
        elif self.fault == "wrong window":
            shown, answer = [hit(video, 30)], (WORDS[30].format(video, 1800), video, 40)
        if self.fault == "unsupported claim":
            answer = ("Giants from the moon built it with cheese, many say.", video, 10)
        abstains = variant and self.fault in ("not retrieved", "demoted by the reranker")
        self.with_ = abstained(shown, video) if abstains else said(*answer, shown, video)
        self.without = abstained([hit(one, 0) for one in self.first[:2]], video)


def plant(folder: Path, planted: Sequence[Planted]) -> None:
    (folder / "margins").mkdir(parents=True)
    write_rows(
        folder / "references.jsonl",
        [
            {
                "query_id": one.query,
                "question": f"When was {one.query} finished?",
                "answerable": True,
                "claims": [{"text": WORDS[0].format(one.query, 1800), "spans": [[one.query, 10, 20]]}],
            }
            for one in planted
        ],
    )
    (folder / "qrels.trec").write_text("".join(f"{one.query} 0 {one.query} 1\n" for one in planted))
    for name, run_of in (("first_stage", "first"), ("reranked", "reranked")):
        lines = [
            f"{one.query} Q0 {video} {rank} {100 - rank} t\n"
            for one in planted
            for rank, video in enumerate(getattr(one, run_of), start=1)
        ]
        (folder / f"{name}.trec").write_text("".join(lines))
    scores: dict[str, dict[str, Score]] = {}
    for one in planted:
        for rank, video in enumerate(one.reranked):
            scores.setdefault(video, {})[one.query] = score_from_margin(4.0 - rank)
    for video, of_video in scores.items():
        (folder / "margins" / scores_file_name(video, "m")).write_bytes(scores_to_json(video, of_video))
    write_rows(folder / "answers_with.jsonl", [one.with_ for one in planted])
    write_rows(folder / "answers_without.jsonl", [one.without for one in planted])
    write_rows(folder / "indexed.jsonl", [{"video": one.query, "clips": one.kept, "reason": one.reason} for one in planted])


def test_stage_is_found_for_fifty_planted_failures(tmp_path: Path) -> None:
    planted = [Planted(number) for number in range(50)]
    assert Counter(one.fault for one in planted) == dict.fromkeys(FAULTS, 10)
    plant(tmp_path / "r", planted)
    found = ran("--output", tmp_path / "r")
    found_stages = {one.query_id: one.outcomes["with"].stage for one in found.questions}
    correct = sum(found_stages[one.query] == one.fault for one in planted)
    assert correct >= 0.95 * 50, found_stages
    assert found.counts["with"].failures == dict.fromkeys(FAULTS, 10)
    # Without reranking every answer abstains; those with the stages of the last 30 were given the right clip.
    assert found.counts["without"].failures == {"not indexed": 10, "not retrieved": 10, "other": 30}


def test_rescored_report_is_identical(tmp_path: Path) -> None:
    plant(tmp_path, [Planted(number) for number in range(10)])
    before = ran("--output", tmp_path)
    files = (tmp_path / "report.json").read_bytes(), (tmp_path / "report.html").read_bytes()
    assert ran("--output", tmp_path, "--replay") == before
    assert ((tmp_path / "report.json").read_bytes(), (tmp_path / "report.html").read_bytes()) == files


def test_report_matches_hand_computed_numbers(tmp_path: Path) -> None:
    # demoted: from rank 2 to 9; wrong window and unsupported: from rank 2 to 1.
    plant(tmp_path, [Planted(number) for number in (2, 3, 4)])
    write_rows(tmp_path / "seconds.jsonl", [{"query_id": f"fact-{n}", "retrieve": n, "rerank": 9 * n} for n in (2, 3, 4)])
    found = ran("--output", tmp_path, "--measures", "RR R@10")
    assert (found.benefit.before, found.benefit.after) == (0.5, pytest.approx((1 / 9 + 1 + 1) / 3))  # type: ignore[comparison-overlap]
    assert (found.benefit.better, found.benefit.worse, found.benefit.pairs_per_query) == (2, 1, 9.0)
    assert [one.gain for one in found.questions] == pytest.approx([1 / 9 - 0.5, 0.5, 0.5])
    assert found.seconds == {"retrieve": 3.0, "rerank": 27.0, "answer_without": None, "answer_with": None}
    assert "27 s a query" in found.benefit.summary
    # With one video scored, the first stays first. With two, the one with the greater margin leads; fact-2 has the lowest.
    curve = {point.videos: point.mean for point in found.curve}
    assert list(curve) == [0, 1, 2, 3, 5, 9]
    assert (curve[0], curve[1], curve[2]) == (0.5, 0.5, pytest.approx((0.5 + 1 + 1) / 3))  # type: ignore[comparison-overlap]
    assert curve[3] == pytest.approx((1 / 3 + 1 + 1) / 3)
    assert curve[9] == pytest.approx(found.benefit.after)
    # 27 pairs, of which 3 are judged, all relevant: the others are taken for not relevant.
    assert (found.calibration.pairs, found.calibration.relevant) == (27, 3)
    assert any("only relevant videos are judged" in note for note in found.notes)
    measures = {one.name: one for one in found.measures}
    right = measures["Right"]
    assert [right.estimates[side].mean for side in ("without", "with")] == [0.0, 0.0]
    time = measures["TimeR@0.5"]  # cited with reranking: nothing right, another time, the right time
    assert time.estimates["with"].mean == pytest.approx(1 / 3)
    assert (time.difference.mean, time.difference.questions) == (pytest.approx(1 / 3), 3)  # type: ignore[comparison-overlap]
    assert time.p == 1.0  # one question differs: either sign is as far


# Which answers are right, and what is said of others

SPAN = Moment("v", 10.0, 20.0)


def trail(
    *cited: tuple[str, float, float],
    text: str = "It is so.",
    shown: Sequence[Moment] = (Moment("v", 0.0, 30.0),),
    answerable: bool = True,
    answered: bool = True,
    absent: bool = False,
    visual: bool = False,
    **options: Any,
) -> Trace:
    claims = (ReferenceClaim(text="claim", spans=(SPAN,)),) if answerable else ()
    reference = Reference(query_id="q", question="Q?", answerable=answerable, claims=claims)
    statements = (Statement(text, tuple(range(len(cited))), visual=visual),) if answered else ()
    given = SystemAnswer("q", "Q?", answered, statements, tuple(CitedSpan(*one, "words") for one in cited), clips=tuple(shown))
    known: dict[str, Any] = {
        "targets": {"v": (SPAN,)} if answerable else {},
        "indexed": {"v": IndexedVideo(video="v", clips=((0.0, 30.0),))},
        "candidates": ["v", "w"],
        "baseline_videos": ["v"],
    }
    return Trace(Case(reference, given, absent), **(known | options))


RIGHT, WINDOW = ("v", 12.0, 16.0), ("v", 40.0, 50.0)
YES = {("passage", "It is so.", "words"): "yes", ("nugget", "claim", "It is so."): "yes"}
NO_JUDGEMENT = Judgement(None, "prose")


@pytest.mark.parametrize(
    ("case", "judgements", "expected"),
    [
        (trail(RIGHT), YES, ("right", None)),
        (trail(("v", 0.0, 30.0)), YES, ("right", None)),  # the whole clip holds the moment
        (trail(("w", 0.0, 9.0), RIGHT), YES | {("passage", "It is so.", "words\nwords"): "yes"}, ("right", None)),
        (trail(RIGHT), YES | {("nugget", "claim", "It is so."): "partial"}, ("right", None)),
        (trail(RIGHT, text="Seen in", visual=True), {}, ("right", None)),
        (trail(RIGHT), YES | {("nugget", "claim", "It is so."): "no"}, ("wrong", "other")),
        (trail(RIGHT), YES | {("nugget", "claim", "It is so."): NO_JUDGEMENT}, ("not known", None)),
        (trail(RIGHT), YES | {("passage", "It is so.", "words"): NO_JUDGEMENT}, ("not known", None)),
        (trail(RIGHT), YES | {("passage", "It is so.", "words"): "no"}, ("wrong", "unsupported claim")),
        (trail(), YES, ("wrong", "unsupported claim")),  # it cites nothing
        (trail(WINDOW), YES, ("wrong", "wrong window")),
        (trail(WINDOW), YES | {("passage", "It is so.", "words"): "no"}, ("wrong", "wrong window")),  # the first that failed
        (trail(RIGHT, shown=[Moment("v", 30.0, 60.0)], answered=False), {}, ("wrong", "wrong window")),
        (trail(("w", 1.0, 2.0)), YES, ("wrong", "other")),
        (trail(answered=False), {}, ("wrong", "other")),
        (trail(answered=False, absent=True, shown=()), {}, ("wrong", "other")),
        (trail(answered=False, shown=[Moment("w", 0.0, 30.0)]), {}, ("wrong", "demoted by the reranker")),
        (trail(answered=False, shown=[Moment("w", 0.0, 30.0)], baseline_videos=["w"]), {}, ("wrong", "ranked too low")),
        (trail(answered=False, candidates=["w"], shown=[Moment("w", 0.0, 9.0)]), {}, ("wrong", "not retrieved")),
        (
            trail(answered=False, candidates=["w"], indexed={"v": IndexedVideo(video="v", clips=(), reason="failed: io")}),
            {},
            ("wrong", "not indexed"),
        ),
        (trail(answered=False, indexed={"v": IndexedVideo(video="v", clips=((30.0, 60.0),))}), {}, ("wrong", "not indexed")),
        (trail(answered=False, candidates=["w"], indexed=None), {}, ("wrong", "not retrieved")),
        (trail(answered=False, answerable=False), {}, ("right", None)),
        (trail(answered=False, answerable=False, absent=True), {}, ("wrong", "other")),
        (trail(RIGHT, answerable=False), YES, ("wrong", "other")),
        (trail(RIGHT, answerable=False), YES | {("passage", "It is so.", "words"): "no"}, ("wrong", "unsupported claim")),
        (trail(RIGHT, targets={}, indexed=None), YES, ("right", None)),  # the answer's place is unknown
    ],
)
def test_classify_gives_every_answer_one_outcome(
    case: Trace, judgements: dict[Any, Any], expected: tuple[str, str | None]
) -> None:
    found = classify(case, judged(judgements))
    assert (found.status, found.stage) == expected
    assert (found.reason is None) == (found.status == "right")


# An archive of real clips


def files_of(world: World, folder: Path, chosen: Sequence[Any], extra: str = "") -> tuple[object, ...]:
    folder.mkdir(exist_ok=True)
    (folder / "questions.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in chosen))
    lines = [f"{one.question_id} 0 {stem} {grade}\n" for one in chosen for stem, grade in one.judgements.items()]
    (folder / "qrels.txt").write_text("".join(lines) + extra)
    return world.archive, "--questions", folder / "questions.jsonl", "--qrels", folder / "qrels.txt", "--stems"


def of_shapes(world: World) -> list[Question]:
    return [question for question in generate_questions(world.clips) if question.query and question.query.shapes]


@pytest.fixture(scope="module")
def scored(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ArchiveReport]:
    folder = tmp_path_factory.mktemp("scored")
    chosen = [*of_shapes(world)[:8], *asked(world, "speech")[:5]]
    return folder / "report", ran(*files_of(world, folder, chosen), "--output", folder / "report")


def test_report_command_measures_with_and_without_reranking(scored: tuple[Path, ArchiveReport]) -> None:
    folder, found = scored
    assert found.retrieval.queries == len(found.questions) >= 10
    assert found.benefit.low <= found.benefit.mean <= found.benefit.high
    assert re.match(r"Reranking helps|Reranking hurts|These queries do not show", found.benefit.summary)
    assert f"[{found.benefit.low:+.4f}, {found.benefit.high:+.4f}]" in found.benefit.summary
    measures = {one.name: one for one in found.measures}
    for name in ("InfoF1", "CiteF1", "CitationRecall", "ARGUE-F1", "TimeR@hit"):
        for side in ("without", "with"):
            one = measures[name].estimates[side]
            assert one.low <= one.mean <= one.high  # type: ignore[operator]
    assert measures["Right"].difference.mean > 0  # type: ignore[operator]  # scored clips are cited by their pictures
    assert found.seconds["rerank"] > found.seconds["retrieve"] > 0  # type: ignore[operator]
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    assert {one.facet for one in found.retrieval.slices} == {"kind", "channel"}


def test_extractive_quotes_are_found_in_the_stored_text_of_their_span(world: World, scored: tuple[Path, ArchiveReport]) -> None:
    folder, found = scored
    files = [folder / f"answers_{side}.jsonl" for side in ("with", "without")]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    quotes = [(one["path"], one) for line in lines for one in line["citations"] if one["quote"]]
    assert len(quotes) >= 6
    with VideoArchive.open(world.archive) as archive:
        ids = {video.path: video.video_id for video in archive.store.videos().values()}
        for path, one in quotes:
            spans = archive.store.spans(ids[path], one["start"], one["end"])
            assert one["quote"] in " ".join(span.text for span in spans)
    for counts in found.counts.values():
        assert counts.verified_quotes == counts.quotes > 0


class Contrary(ScriptedVLM):
    """Puts what is right last."""

    name = "contrary"

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        replies = super().label_logprobs(prompts, labels)
        return [reply if reply.values is None else LabelLogprobs(reply.values[::-1]) for reply in replies]


def contrary(model: str | None = None, *, device: str | None = None) -> VLM:
    return Contrary()


def test_failure_stages_are_found_in_a_real_archive(world: World, tmp_path: Path) -> None:
    shown = next(one for one in of_shapes(world) if one.kind == "one" and list(one.judgements.values()).count(2) == 1)
    right = next(iter(asked(world, "speech")))
    absent = right.model_copy(update={"question_id": "absent", "judgements": {"nowhere": 2}, "claims": ()})
    unfound = right.model_copy(
        update={"question_id": "unfound", "text": "zymurgy quixotry", "judgements": {"clip-01": 2}, "claims": ()}
    )
    arguments = files_of(world, tmp_path, [shown, right, absent, unfound], extra="unasked 0 clip-01 1\n")
    found = ran(*arguments, "--output", tmp_path / "r", "--reranker", f"{__name__}:contrary")
    outcomes = {one.query_id: one.outcomes["with"].stage for one in found.questions}
    assert outcomes == {
        shown.question_id: "demoted by the reranker",
        right.question_id: None,
        "absent": "not indexed",
        "unfound": "not retrieved",
    }
    assert "judged queries without a question, neither asked nor counted: 1" in found.notes
    assert found.metadata.models["reranker"] == "contrary"


def test_reranking_is_not_timed_with_cached_scores(world: World, tmp_path: Path) -> None:
    arguments = files_of(world, tmp_path, asked(world, "visual")[:2])
    found = ran(*arguments, "--output", tmp_path / "r", "--score-cache", tmp_path / "scores.db")
    assert found.seconds["rerank"] is None
    assert " s a query" not in found.benefit.summary
    with pytest.raises(InputError, match="holds a run already"):
        ran(*arguments, "--output", tmp_path / "r")


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--questions", "q.jsonl"], "give --questions and --qrels"),
        (["--questions", "{q}", "--qrels", "{r}", "--reranker", "none"], "nothing to compare"),
    ],
)
def test_report_needs_questions_qrels_and_a_reranker(world: World, tmp_path: Path, words: list[str], fault: str) -> None:
    _, _, q, _, r, _ = files_of(world, tmp_path, asked(world, "speech")[:1])
    result = run(world.archive, "--output", tmp_path / "r", *(word.format(q=q, r=r) for word in words))
    assert isinstance(result.exception, InputError)
    assert fault in str(result.exception)


def test_ids_without_a_match_are_refused_before_asking(world: World, tmp_path: Path) -> None:
    archive, _, q, _, r, _ = files_of(world, tmp_path, asked(world, "speech")[:1])
    with pytest.raises(InputError, match=r"none of the 1 relevant videos is in the archive: .*need --stems"):
        ran(archive, "--questions", q, "--qrels", r, "--output", tmp_path / "r")
    (tmp_path / "qrels.txt").write_text("another 0 clip-01 1\n")
    with pytest.raises(InputError, match=r"no question is judged: questions have ids such as 'speech-.*', .* 'another'"):
        ran(archive, "--questions", q, "--qrels", r, "--output", tmp_path / "r", "--stems")
    assert not (tmp_path / "r" / "first_stage.trec").exists()


class Tires(MockLLM):
    """Writes once, and then no more."""

    written: int = 0

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        self.written += 1
        if self.written > 1:
            raise ConnectionError("the line is dead")
        return CompletionResponse(text="So it is [1].")


def tires() -> MockLLM:
    return Tires(max_tokens=None)


def is_tired() -> MockLLM:
    llm = Tires(max_tokens=None)
    llm.written = 1
    return llm


def test_failed_answers_are_reported_and_a_failing_first_answer_ends_the_run(world: World, tmp_path: Path) -> None:
    arguments = files_of(world, tmp_path, asked(world, "speech")[:2])
    found = ran(*arguments, "--output", tmp_path / "r", "--llm", f"{__name__}:tires")
    assert (found.counts["without"].absent, found.counts["with"].absent) == (1, 2)
    dead = "could not be written: the language model failed: ConnectionError: the line is dead"
    assert sum(dead in note for note in found.notes) == 2  # both questions
    with pytest.raises(ModelError, match=r"the first answer, to .*, could not be written"):
        ran(*arguments, "--output", tmp_path / "other", "--llm", f"{__name__}:is_tired")


PROMPTS: list[str] = []


class Counted(MockLLM):
    """Keeps what it is asked."""

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        PROMPTS.append(prompt)
        return CompletionResponse(text="So it is [1].")


def counted() -> MockLLM:
    return Counted(max_tokens=None)


def test_report_generates_answers_as_ask_does(world: World, tmp_path: Path) -> None:
    arguments = [*files_of(world, tmp_path, asked(world, "visual")[:1]), "--llm", f"{__name__}:counted"]
    PROMPTS.clear()
    ran(*arguments, "--output", tmp_path / "one")
    assert len(PROMPTS) == 2  # without reranking and with it
    PROMPTS.clear()
    ran(*arguments, "--output", tmp_path / "three", "--evidence-subsets", "3")
    assert len(PROMPTS) == 6
    with pytest.raises(InputError, match="give one of them"):
        ran(*arguments, "--output", tmp_path / "both", "--llm-url", "http://127.0.0.1:9/v1")
    with pytest.raises(InputError, match="--frames, --evidence-subsets need an archive"):
        ran("--output", tmp_path / "one", "--frames", "1", "--evidence-subsets", "2")


# Thresholds


def with_margins(folder: Path, *best: tuple[float, bool]) -> Path:
    """A planted folder in which each question has this best margin and, or not, an answer in the archive."""
    planted = [Planted(5 * number + 3) for number in range(len(best))]
    plant(folder, planted)
    for margins in (folder / "margins").iterdir():
        margins.unlink()
    for one, (margin, _) in zip(planted, best, strict=True):
        scores = {one.query: score_from_margin(margin)}
        (folder / "margins" / scores_file_name(one.query, "m")).write_bytes(scores_to_json(one.query, scores))
    rows = [json.loads(line) for line in (folder / "references.jsonl").read_text().splitlines()]
    answerable = [{"answerable": True} if known else {"answerable": False, "claims": []} for _, known in best]
    write_rows(folder / "references.jsonl", [row | changes for row, changes in zip(rows, answerable, strict=True)])
    return folder


def calibrate(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(commands, ["eval", "calibrate", str(folder), *words])


def test_calibrate_takes_the_min_margin_from_a_report(tmp_path: Path) -> None:
    folder = with_margins(tmp_path / "r", (-1.5, False), (0.25, False), (0.5, True), (-0.5, True), (2.0, True))
    # From 0.5 on both questions have an answer; a third that has one lies below. At 0.25 one of three has none.
    found = json.loads(calibrate(folder, "--json").stdout)
    assert (found["min_margin"], found["wrongly_answered"]) == (0.5, 0.0)
    assert found["answered"] == pytest.approx(2 / 3)
    assert (found["questions"], found["unanswerable"], found["not_scored"]) == (5, 2, 0)
    # All five pairs are relevant: no margin above 0 is wrong, and below 0 all are.
    assert (found["reasoning_low"], found["reasoning_high"]) == (None, 0.0)
    laxer = json.loads(calibrate(folder, "--json", "--max-error", "0.3").stdout)
    assert laxer["min_margin"] == -0.5  # from there on one of four has none, from -1.5 on two of five
    printed = calibrate(folder)
    assert "--min-margin 0.5" in printed.stdout
    assert "2 unanswerable questions are few" in printed.stderr


def test_calibrate_without_a_good_margin_or_both_kinds_of_questions(tmp_path: Path) -> None:
    found = calibrate(with_margins(tmp_path / "a", (3.0, False), (1.0, True)))
    assert "at no margin are 95% of the questions at or above it answerable" in found.stdout
    with pytest.raises(InputError, match=r'none is without an answer .*"answerable": false'):
        calibrate_min_margin(read_report_folder(with_margins(tmp_path / "b", (3.0, True), (1.0, True))))


def test_question_without_an_indexed_video_counts_as_unanswerable(tmp_path: Path) -> None:
    folder = with_margins(tmp_path, (1.0, True), (2.0, True))
    rows = [json.loads(line) for line in (folder / "indexed.jsonl").read_text().splitlines()]
    write_rows(folder / "indexed.jsonl", [rows[0] | {"clips": []}, rows[1]])
    assert calibrate_min_margin(read_report_folder(folder)).min_margin == 2.0


def test_missing_files_of_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"lacks references.jsonl, qrels.trec, first_stage.trec, .*answers_with.jsonl"):
        ran("--output", tmp_path)
    with pytest.raises(InputError, match="--qrels need an archive"):
        ran("--output", tmp_path, "--qrels", tmp_path)


# Questions


def test_demo_questions_are_read_with_their_slices(world: World, tmp_path: Path) -> None:
    every = generate_questions(world.clips)
    (tmp_path / "q.jsonl").write_text("".join(f"{one.model_dump_json()}\n" for one in every))
    found = read_questions(tmp_path / "q.jsonl")
    assert [one.question for one in found.references.values()] == [one.text for one in every]
    assert found.labels["channel"] == {one.question_id: (one.channel,) for one in every}
    assert all(one.claims and one.answerable for one in found.references.values())


def test_questions_are_read_from_two_columns(tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("q1\tWhere is it?\n")
    assert read_questions(tmp_path / "q.tsv").references["q1"].question == "Where is it?"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "holds no question"),
        ('{"query_id": "a", "question": " "}', "line 1: question"),
        ('{"question": "Q"}', "query_id"),
        ('{"query_id": "a", "question": "Q"}\n{"query_id": "a", "question": "Q"}', "line 2: query 'a' occurs a second time"),
        ('{"query_id": "a", "question": "Q", "claims": [{"text": ""}]}', "line 1: claims.0.text"),
        ('{"query_id": "a", "question": "Q", "answerable": false, "answer": "A"}', "line 1"),
    ],
)
def test_invalid_questions_are_refused_with_their_line(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(InputError, match=re.escape(fault)):
        read_questions(tmp_path / "q.jsonl")


# The page


class _Tags(HTMLParser):
    """All elements of a page, their attributes, and whether every one is closed."""

    EMPTY = frozenset({"meta", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str | None]] = []
        self.stack: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in self.EMPTY:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def test_untrusted_text_is_escaped_on_a_self_contained_page(tmp_path: Path) -> None:
    evil = "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    plant(tmp_path, [Planted(number) for number in range(10)])
    found = ran("--output", tmp_path)
    plain = _Tags(render_html(found))
    one = found.questions[0]
    hostile = one.model_copy(
        update={
            "question": evil,
            "answers": dict.fromkeys(one.answers, evil),
            "outcomes": {side: was.model_copy(update={"reason": evil}) for side, was in one.outcomes.items()},
        }
    )
    about = found.metadata.model_copy(update={"title": evil, "models": {evil: evil}})
    measured = found.benefit.model_copy(update={"measure": found.benefit.measure})
    html = render_html(
        found.model_copy(
            update={"questions": (hostile, *found.questions[1:]), "metadata": about, "notes": (evil,), "benefit": measured}
        )
    )
    tags = _Tags(html)
    assert not tags.stack
    assert tags.names["script"] == tags.names["img"] == 0
    assert html.count("&lt;script&gt;alert(1)") >= 6
    assert "svg" in plain.names
    assert not [name for _, name, _ in tags.attributes if name.startswith("on")]
    links = [value for _, name, value in tags.attributes if name in ("src", "href", "xlink:href", "action", "data")]
    assert all(value and value.startswith("#") for value in links)
    assert not re.search(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_page_lists_failures_by_stage_and_has_three_plots(tmp_path: Path) -> None:
    plant(tmp_path, [Planted(number) for number in range(10)])
    ran("--output", tmp_path)
    html = (tmp_path / "report.html").read_text()
    assert html.count("<figure>") == 3
    for stage in FAULTS:
        assert f"<summary>{stage} (2)</summary>" in html
    assert "Did reranking help?" in html
    assert html.count('id="') == len(set(re.findall(r'id="([^"]*)"', html)))
