"""Answers and references as they are read, all measures together, and the commands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from rankvideo_rag.cli import eval_answers as evaluation_answers
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.answers.evaluate import evaluate_answers
from rankvideo_rag.eval.answers.evaluate import to_json as report_contract
from rankvideo_rag.eval.answers.io import parse_answer, read_answers, read_references
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache
from rankvideo_rag.eval.answers.judges.lexical import LexicalJudge
from rankvideo_rag.eval.answers.judges.llm import judge_from_llm
from rankvideo_rag.eval.answers.records import make_cases
from rankvideo_rag.eval.answers.sentences import Statement, split_statements
from rankvideo_rag.eval.answers.values import MeasureValue
from rankvideo_rag.schema import Answer, Citation, Claim, Hit, to_json

TITLES = [("Hall", 65.2), ("Hall", 90.0), ("Sea (2024)", 3605.0), ("Hall", 65.9)]


# --- sentences --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rains. It is cold [Hall @ 01:30].", [("It rains.", (), 0), ("It is cold", (1,), 0)]),
        (
            "“A dome.” [Hall @ 01:30] “No! Two.” [Sea (2024) @ 1:00:05]",
            [("“A dome.”", (1,), 0), ("“No!", (), 0), ("Two.”", (2,), 0)],
        ),
        ("Both [Hall @ 01:05], [Sea (2024) @ 1:00:05].", [("Both", (0, 3, 2), 0)]),  # two places of the same title and second
        ("[Hall @ 01:30] It rains. Then not.", [("It rains.", (1,), 0), ("Then not.", (), 0)]),
        (
            "It rains [Hall @ 01:30]. And [Hall @ 09:00] so on [Lake @ 01:30].",
            [("It rains", (1,), 0), ("And", (), 1), ("so on", (), 1)],
        ),
        ("It rains [1] at 3.5 degrees", [("It rains [1] at 3.5 degrees", (), 0)]),
        ("下雨了。很冷。[Hall @ 01:30]", [("下雨了。", (), 0), ("很冷。", (1,), 0)]),
        ("[Hall @ 01:30].", []),
        ("", []),
    ],
)
def test_sentences_are_split_with_their_citations(text: str, expected: list[tuple[str, tuple[int, ...], int]]) -> None:
    assert split_statements(text, TITLES) == [Statement(*one) for one in expected]


# --- reading ----------------------------------------------------------------------------------------------------------


def citation(start: float, end: float, *, video: str = "v1", quote: str | None = None) -> Citation:
    return Citation(
        video_id=video, path=f"/videos/{video}-file.mp4", title=f"Hall [{video}]", start=start, end=end, quote=quote
    )


def hit(start: float, end: float, text: str, *, video: str = "v1") -> Hit:
    return Hit(
        rank=1,
        video_id=video,
        path=f"/videos/{video}-file.mp4",
        title=f"Hall [{video}]",
        start=start,
        end=end,
        score=None,
        channels={},
        text=text,
    )


def line(query: str, answer: Answer, *hits: Hit) -> dict[str, Any]:
    written: dict[str, Any] = json.loads(json.dumps(to_json(answer, hits)))
    return {"query_id": query} | written


HITS = (hit(0, 10, "The hall has a dome."), hit(10, 20, ""), hit(0, 10, "The sea is cold.", video="v2"))


def test_read_answer_parses_the_output_of_ask() -> None:
    one, other = citation(0, 10), citation(2, 4, video="v2", quote="It is cold")
    claims = (
        Claim(text="A dome.", status="cited", citations=(one,)),
        Claim(text="Cold.", status="quoted", citations=(other, one)),
    )
    answer = Answer(question="Q?", text="…", answered=True, citations=(one, other), claims=claims)
    given = parse_answer(line("q1", answer, *HITS), place="here")
    assert given.statements == (Statement("A dome.", (0,)), Statement("Cold.", (1, 0)))
    assert [cited.text for cited in given.citations] == [
        "Hall [v1]\nThe hall has a dome.",
        "Hall [v2]\nThe sea is cold.\nIt is cold",
    ]
    assert given.clip_texts == ("The hall has a dome.", "The sea is cold.")
    assert given.text == "A dome. Cold."
    assert given.videos(given.statements[1]) == ["v2", "v1"]
    assert given.video_paths["v2"] == "/videos/v2-file.mp4"


def test_stems_name_videos_by_file() -> None:
    answer = Answer(question="Q?", text="A dome [Hall (v1) @ 00:00].", answered=True, citations=(citation(0, 10),))
    given = parse_answer(line("q1", answer, *HITS), place="here", stems=True)
    assert given.citations[0].video_id == "v1-file"
    assert set(given.video_paths) == {"v1-file", "v2-file"}
    assert given.statements == (Statement("A dome", (0,)),)


def test_answers_without_claims_are_split_into_sentences_and_abstaining_ones_have_none() -> None:
    text = "It has a dome [Hall (v1) @ 00:00]. It is old."
    answer = Answer(question="Q?", text=text, answered=True, citations=(citation(0, 10),))
    assert parse_answer(line("q", answer, *HITS), place="").statements == (
        Statement("It has a dome", (0,)),
        Statement("It is old."),
    )
    nothing = Answer(question="Q?", text="The archive does not answer this.", answered=False)
    assert parse_answer(line("q", nothing, *HITS), place="").statements == ()
    older = line("q", nothing)
    del older["answered"], older["claims"]
    assert not parse_answer(older, place="").answered


def test_text_of_a_citation_comes_from_all_overlapping_clips() -> None:
    hits = (hit(0, 10, "one"), hit(10, 20, "two"), hit(20, 30, "three"))
    answer = Answer(question="Q?", text="x", answered=True, citations=(citation(5, 20), citation(20, 20), citation(40, 50)))
    words = [cited.text for cited in parse_answer(line("q", answer, *hits), place="").citations]
    assert words == ["Hall [v1]\none\nHall [v1]\ntwo", "Hall [v1]\nthree", ""]


RIGHT = {"query_id": "q1", "question": "Q?", "answerable": True, "claims": [{"text": "r1", "videos": ["v1"]}]}


def written(path: Path, *values: Any, end: str = "\n", bom: str = "") -> Path:
    text = bom + "".join((value if isinstance(value, str) else json.dumps(value)) + end for value in values)
    path.write_bytes(text.encode())
    return path


def test_references_are_read_with_any_line_ends(tmp_path: Path) -> None:
    claim = {"text": "r1", "vital": True, "videos": ["v1"], "spans": [["v2", 3, 4.5], ["v1", 0, 1]]}
    values = [
        RIGHT | {"query_id": 7, "claims": [claim]},
        "",
        {"query_id": "q2", "question": "Q?", "answerable": False, "claims": []},
    ]
    found = read_references(written(tmp_path / "r.jsonl", *values, end="\r\n", bom="\ufeff"))
    assert list(found) == ["7", "q2"]
    assert found["7"].claims[0].supporting_videos == ["v1", "v2"]
    assert found["7"].claims[0].spans[0] == ("v2", 3.0, 4.5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"claim": []}, "claim: Extra inputs are not permitted"),
        ({"claims": [{"text": "r1", "video": ["v1"]}]}, "claims.0.video: Extra inputs"),
        ({"claims": [{"text": " "}]}, "its text is empty"),
        ({"claims": [{"text": "r1"}, {"text": "r1"}]}, "the claim 'r1' is repeated"),
        ({"claims": [{"text": "r1", "spans": [["v1", 5, 5]]}]}, "does not end after its start"),
        ({"claims": [{"text": "r1", "spans": [["v1", 5]]}]}, "claims.0.spans.0"),
        ({"answerable": False}, "it has claims or an answer, but"),
        ({"answerable": None}, "answerable: Input should be a valid boolean"),
        ({"query_id": "q 1"}, "must be one word"),
        ({"query_id": None}, "the query_id null must be a word"),
    ],
)
def test_invalid_reference_is_refused_with_its_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    file = written(tmp_path / "r.jsonl", RIGHT | {"query_id": "q0"}, RIGHT | change)
    with pytest.raises(InputError) as error:
        read_references(file)
    assert f"{file}, line 2" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"citations": [{"video_id": "v1"}]}, "citations.0.path: Field required"),
        (
            {"citations": [], "claims": [{"text": "A", "citations": [0]}]},
            "the claim 'A' cites number 0 of the citations; there are 0",
        ),
        ({"answer": None}, "answer: Input should be a valid string"),
        ({"query_id": "q0"}, "query 'q0' occurs a second time"),
        ({"clips": None}, "clips: "),
    ],
)
def test_invalid_answer_is_refused_with_its_line(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    good = {"query_id": "q0", "question": "Q?", "answer": "A", "citations": [], "clips": []}
    file = written(tmp_path / "a.jsonl", good, good | {"query_id": "q1"} | change)
    with pytest.raises(InputError) as error:
        read_answers(file)
    assert f"{file}, line 2" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"query_id": "q1",', "line 1, column"),
        ("[]", "an object of a reference is needed"),
        ('{"a": 1, "a": 2}', "stands twice"),
    ],
)
def test_lines_that_are_not_json_objects_are_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_references(written(tmp_path / "r.jsonl", text))


# --- all together -----------------------------------------------------------------------------------------------------


def dome(*citations: Citation, text: str = "The hall has a dome.") -> Answer:
    claims = (Claim(text=text, status="cited", citations=citations),)
    return Answer(question="What has the hall?", text=text, answered=True, citations=citations, claims=claims)


SILENT = Answer(question="?", text="The archive does not answer this.", answered=False)
REFERENCES = [
    {
        "query_id": "good",
        "question": "What has the hall?",
        "answerable": True,
        "answer": "a dome",
        "claims": [{"text": "The hall has a dome", "vital": True, "videos": ["v1"], "spans": [["v1", 0, 12]]}],
    },
    {"query_id": "bare", "question": "What has the hall?", "answerable": True, "claims": []},
    {"query_id": "silent", "question": "?", "answerable": True, "claims": [{"text": "The sea is cold", "videos": ["v2"]}]},
    {"query_id": "absent", "question": "?", "answerable": True, "claims": [{"text": "The sea is cold", "videos": ["v2"]}]},
    {"query_id": "nowhere", "question": "?", "answerable": False, "claims": []},
]
ANSWERS = [
    line("good", dome(citation(0, 10)), *HITS),
    line("bare", dome(citation(10, 20)), *HITS),  # cites a clip without words
    line("silent", SILENT, *HITS),
    line("nowhere", SILENT, *HITS),
    line("stray", SILENT, *HITS),
]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return written(tmp_path / "answers.jsonl", *ANSWERS), written(tmp_path / "references.jsonl", *REFERENCES)


def test_every_question_counts_and_unmeasured_ones_are_reported(files: tuple[Path, Path]) -> None:
    cases = make_cases(read_references(files[1]), read_answers(files[0]))
    report = evaluate_answers(cases, JudgementCache(LexicalJudge()), original=True)
    found = {name: value.value for name, value in report.measures.items()}
    # good 1; bare has no claims to hold answers against; silent and absent say nothing.
    assert (found["InfoP"], found["InfoR"], found["InfoF1"]) == (1.0, pytest.approx(1 / 3), pytest.approx(1 / 3))  # type: ignore[comparison-overlap]
    assert report.counts.not_measured["InfoR"] == {"no claims in the reference that a video supports": 1}
    assert report.counts.not_measured["InfoP"] == {
        "no judgement on any of the claims in the answer": 1,
        "no claims in the answer": 2,
    }
    assert (found["CitationRecall"], found["CitationPrecision"]) == (1.0, 1.0)
    assert report.counts.not_measured["CitationRecall"]["no judgement on any of the sentences in the answer"] == 1
    assert (found["TimeP@0.5"], found["TimeR@0.5"]) == (1.0, 1.0)
    assert found["Correct"] == 1.0
    assert found["NuggetStrictVital"] == 1.0
    assert found["NuggetStrictAll"] == pytest.approx(1 / 3)
    assert (found["AbstainP"], found["AbstainR"]) == (1 / 2, 1.0)
    assert found["ARGUE-NuggetCoverage(micro)"] == pytest.approx(1 / 3)
    assert found["InfoR(original)"] == pytest.approx(1 / 3)  # good 1, bare 0, silent 0; absent is left out
    assert (report.counts.questions, report.counts.answerable, report.counts.absent) == (5, 4, 1)
    assert report.counts.undecided_by_reason == {
        "there is no text to check the claim against": 1
    }  # asked by InfoP and ALCE of `bare`
    assert "InfoP(collection)" not in found


def test_invalid_replies_of_a_judge_are_counted_as_undecided(files: tuple[Path, Path]) -> None:
    cases = make_cases(read_references(files[1]), read_answers(files[0]))
    report = evaluate_answers(cases, JudgementCache(judge_from_llm(lambda prompt: "Yes, I believe so", name="f")))
    counts = report_contract(report)["counts"]
    assert report.measures["InfoP"] == MeasureValue(None, "measured on no question")
    assert counts["undecided_by_reason"]["the reply is none of yes, no"] > 0
    assert counts["undecided_judgements"] == counts["judgements"]
    assert counts["not_measured"]["InfoR"]["no judgement on any of the claims in the reference that a video supports"] == 1


def test_ids_without_a_match_raise_an_error(files: tuple[Path, Path]) -> None:
    references = read_references(files[1])
    with pytest.raises(InputError, match="no answer has a reference: answers have ids such as 'stray'"):
        make_cases(references, {"stray": read_answers(files[0])["stray"]})
    with pytest.raises(InputError, match="hold no question"):
        make_cases({}, read_answers(files[0]))


# --- commands ---------------------------------------------------------------------------------------------------------


def run(command: str, *arguments: str | Path) -> Any:
    app = typer.Typer()
    app.command("answers")(evaluation_answers.answers)
    app.command("nuggets")(evaluation_answers.nuggets)
    return CliRunner().invoke(app, [command, *map(str, arguments)])


def test_command_prints_measures_and_counts_and_replay_prints_the_same(files: tuple[Path, Path], tmp_path: Path) -> None:
    kept = tmp_path / "judgements.jsonl"
    given = ("--answers", files[0], "--references", files[1], "--judgements", kept, "--json")
    first = run("answers", *given)
    found = json.loads(first.stdout)
    assert found["Correct"] == 1.0
    assert found["counts"]["undecided_judgements"] == 1
    assert "judged by comparing words" in first.stderr
    assert "questions without an answer, evaluated as empty answers: 1" in first.stderr
    assert "answers without a reference, not evaluated: 1" in first.stderr
    again = run("answers", *given, "--replay")
    assert json.loads(again.stdout) == found
    assert "judged by comparing words" not in again.stderr
    table = run("answers", *given[:4], "--mirage-original")
    assert "InfoP(original)" in table.stdout
    assert "no vital nuggets" in table.stdout


def test_replay_with_missing_judgements_raises_an_error_with_their_number(files: tuple[Path, Path], tmp_path: Path) -> None:
    kept = tmp_path / "judgements.jsonl"
    given = ("--answers", files[0], "--references", files[1])
    run("answers", *given, "--judgements", kept)
    lines = kept.read_text().splitlines()
    written(kept, *lines[2:])
    failed = run("answers", *given, "--judgements", kept, "--replay")
    assert isinstance(failed.exception, InputError)
    assert f"{kept} lacks 2 judgements of lexical" in str(failed.exception)
    for arguments, words in (
        (("--replay",), "name it with --judgements"),
        (("--judgements", kept, "--replay", "--judge-model", "m"), "loads no"),
    ):
        assert words in str(run("answers", *given, *arguments).exception)


def test_video_judge_checks_cited_clips(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    found = json.loads(
        run(
            "answers",
            "--answers",
            files[0],
            "--references",
            files[1],
            "--video-judge",
            "scripted",
            "--videos",
            tmp_path / "videos",
            "--json",
        ).stdout
    )
    assert found["InfoP(collection)"] is None
    assert found["counts"]["not_measured"]["InfoP(collection)"] == {
        "no judgement on any of the claims in the answer": 1,
        "no claims in the reference that a video supports": 1,
        "no claims in the answer": 2,
    }
    assert any(reason.startswith("no_file: ") for reason in found["counts"]["undecided_by_reason"])


def fact_finder() -> Callable[[str], str]:
    return lambda prompt: '["vital"]' if "labels" in prompt else '["The hall has a dome"]'


def test_nuggets_command_adds_claims_to_references_without_any(files: tuple[Path, Path], tmp_path: Path) -> None:
    made = tmp_path / "made.jsonl"
    given = ("--answers", files[0], "--references", files[1], "--llm", f"{__name__}:fact_finder", "--output")
    done = run("nuggets", *given, made)
    assert "claims for 1 of 5 references" in done.stdout.replace("\n", "")
    found, before = read_references(made), read_references(files[1])
    assert [(claim.text, claim.vital) for claim in found["bare"].claims] == [("The hall has a dome", True)]
    assert {query: one for query, one in found.items() if query != "bare"} == {
        q: one for q, one in before.items() if q != "bare"
    }
    assert "name a new file" in str(run("nuggets", *given, made).exception)
