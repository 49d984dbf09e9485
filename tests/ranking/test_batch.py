"""Many pairs at once: the published formats taken strictly, no score on the wrong pair, no half-written result believed."""

import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.commands import COMMAND
from support.world import World

from rankvideo_rag.errors import InputError, MediaError, RankVideoError
from rankvideo_rag.formats.rankvideo import (
    load_run,
    read_queries,
    read_scores,
    read_scores_file,
    read_video_queries,
    scores_file_name,
    scores_to_json,
)
from rankvideo_rag.formats.trec import read_run
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.models.vlm import load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, PromptSpec
from rankvideo_rag.ranking import batch
from rankvideo_rag.ranking.batch_journal import BatchJournal
from rankvideo_rag.ranking.batch_plan import group_by_video, select_pairs
from rankvideo_rag.ranking.cache import ScoreCache
from rankvideo_rag.ranking.pointwise import Pair, ScoringOptions, VideoSpan
from rankvideo_rag.ranking.scorer import score_pairs
from rankvideo_rag.ranking.scores import rerank_by_margin
from rankvideo_rag.schema import Score
from rankvideo_rag.synthetic import generate_questions, render_archive

FIELDS = ["logprob_yes", "logprob_no", "logit_delta", "p_yes"]


def written(path: Path, content: Any) -> Path:
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


class Job(NamedTuple):
    """Files as the published scripts take them, over the demo's clips."""

    videos: Path
    texts: dict[str, str]  # query id -> text
    stems: list[str]

    @property
    def first_stage(self) -> dict[str, dict[str, float]]:
        """An order of the videos for each query, another for each, with ties."""
        chance = random.Random(5)
        return {query: {stem: float(chance.randrange(4)) for stem in self.stems} for query in self.texts}

    def files(self, folder: Path) -> list[str]:
        """Command-line arguments for these files, written to a folder."""
        lines = "".join(f"{query}\t{text}\n" for query, text in self.texts.items())
        return [
            *("--queries", str(written(folder / "queries.tsv", lines))),
            *("--first-stage", str(written(folder / "first.json", self.first_stage))),
            *("--videos", str(self.videos), "--score-cache", "none", "--output", str(folder / "out")),
        ]

    def run(self, folder: Path, **options: Any) -> batch.BatchReport:
        """The same through the library; options override."""
        first_stage = options.pop("first_stage", self.first_stage)
        texts = options.pop("texts", self.texts)
        defaults: dict[str, Any] = {
            "videos": VideoFolder(self.videos),
            "output": folder,
            "model": "lab/Scripted",
            "spec": RANKVIDEO,
        }
        options = defaults | options
        depth, spec, vlm = options.pop("depth", None), options.pop("spec"), options.pop("vlm", load_vlm("scripted"))
        scoring = ScoringOptions(cache=options.pop("cache", None))
        candidates = select_pairs(first_stage, None, depth=depth)
        return batch.rerank_pairs(vlm, spec, candidates, texts, options=scoring, **options)


@pytest.fixture(scope="session")
def job(world: World) -> Job:
    asked = [question for question in generate_questions(world.clips) if question.query and question.query.shapes][:5]
    return Job(world.videos, {q.question_id: q.text for q in asked}, [clip.stem for clip in world.clips])


@pytest.fixture(scope="session")
def truth(job: Job) -> dict[tuple[str, str], float]:
    """(query, video) -> margin, each pair judged by itself."""
    vlm = load_vlm("scripted")
    margins = {}
    for query, text in job.texts.items():
        for stem in job.stems:
            (score,) = score_pairs(vlm, RANKVIDEO, [Pair(text, VideoSpan(str(job.videos / f"{stem}.mp4")))])
            assert score.margin is not None
            margins[query, stem] = score.margin
    return margins


def rankvideo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, env=environment, timeout=120)


def found_margins(folder: Path) -> dict[tuple[str, str], float | None]:
    found = read_scores(folder)
    return {(query, video): score.margin for query, scores in found.items() for video, score in scores.items()}


# --- reading what others wrote --------------------------------------------------------------------------------------


def test_a_header_row_is_not_read_as_a_query(tmp_path: Path) -> None:
    path = written(tmp_path / "q.tsv", "query_id\tquery\nq1\ta red disc\n")
    with pytest.raises(InputError, match=r"q.tsv, line 1 looks like a header .*--header"):
        read_queries(path)
    assert read_queries(path, header=True) == {"q1": "a red disc"}


def test_tabs_in_a_query_stay_what_they_are(tmp_path: Path) -> None:
    path = written(tmp_path / "q.tsv", "\ufeffq1\t\tindented\r\nq2\tone\ttwo\t\n\nq3\t  spaced \n")
    assert read_queries(path) == {"q1": "\tindented", "q2": "one\ttwo\t", "q3": "  spaced "}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("\ta text without an id", "line 3: the query id '' must be one word"),  # a strip() would lose the tab
        (" q2\tspaced id", "line 3: the query id ' q2' must be one word"),
        ("q2 and its text", "line 3 has no tab"),
        ("q2\t  ", "line 3: query 'q2' has no text"),
        ("q1\tagain", "line 3: query 'q1' comes a second time"),
    ],
)
def test_a_faulty_line_of_queries_is_refused_with_its_number(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_queries(written(tmp_path / "q.tsv", f"q1\tfirst\n\n{line}\n"))


@pytest.mark.parametrize(
    ("read", "content", "words"),
    [
        (read_video_queries, '{"v1": ["q1", "q2"', r"line 1, column 19: this is not complete JSON .*was it cut off"),
        (read_video_queries, '{\n\n"v1": [}', "line 3, column 8"),
        (read_video_queries, '{"v1": ["q1"], "v1": ["q2"]}', "the key 'v1' stands twice"),
        (read_video_queries, '{"v1": "q1"}', "'v1': the query ids = \"q1\" is not a list"),
        (read_video_queries, '{"v1": ["q1", "q1"]}', "query 'q1' stands in its list twice"),
        (read_video_queries, '{"v1": [null]}', "the query id null must be a word or a whole number"),
        (read_video_queries, '{"../v1": ["q1"]}', r"'../v1' cannot be part of a file's name"),
        (read_video_queries, '["v1"]', "an object of video ids is needed"),
        (read_video_queries, '{"v\\ud800": ["q1"]}', "must be one word"),
        (load_run, '{"q1": {"v1": NaN}}', "NaN is not a number that can be ordered"),
        (load_run, '{"q1": {"v1": 1e999}}', "is not a finite number"),
        (load_run, '{"q1": {"v1": 1' + "0" * 400 + "}}", "is not a finite number"),
        (load_run, '{"q1": {"v1": "0.5"}}', "'q1': the score of 'v1' = \"0.5\" is not a finite number"),
        (load_run, '{"q1": {"v 1": 0.5}}', "the video id 'v 1' must be one word"),
        (load_run, '{"q1": [1]}', "'q1': an object of video ids is needed"),
        (load_run, "q1 Q0 v1 1 0.5", "line 1 has 5 columns"),
        (load_run, '{"q":' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_faulty_file_is_refused_with_its_place(
    tmp_path: Path, read: Callable[[Path], object], content: str, words: str
) -> None:
    with pytest.raises(InputError, match=words) as refused:
        read(written(tmp_path / "given.json", content))
    assert str(tmp_path / "given.json") in str(refused.value)


def test_published_json_and_a_trec_run_are_the_same_first_stage(tmp_path: Path) -> None:
    from_json = load_run(written(tmp_path / "a.json", {"q1": {"v1": 0.5, "v2": 2}}))
    assert from_json == load_run(written(tmp_path / "a.trec", "q1 Q0 v2 1 2 t\nq1 Q0 v1 2 0.5 t\n"))
    assert read_video_queries(written(tmp_path / "b.json", {"1234": [7, "q2"]})) == {"1234": ["7", "q2"]}


# --- which pairs ----------------------------------------------------------------------------------------------------


def test_pairs_are_cut_at_a_depth_of_the_first_stage_and_grouped_by_video() -> None:
    first = {"q1": {"a": 1.0, "b": 3.0, "c": 3.0}, "q2": {"a": 9.0, "d": 1.0}}
    given = select_pairs(first, None, depth=2)
    assert given.order == {"q1": ["b", "c", "a"], "q2": ["a", "d"]}
    assert [(task.video, task.texts) for task in group_by_video(given.wanted, {"q1": "one"})] == [
        ("b", {"q1": "one"}),
        ("c", {"q1": "one"}),
        ("a", {"q2": None}),
        ("d", {"q2": None}),
    ]
    assert select_pairs(first, {"a": ["q1", "q2"], "c": ["q1"]}).wanted == {"q1": ["c", "a"], "q2": ["a"]}
    assert select_pairs(None, {"z": ["q1"], "a": ["q1", "q2"]}).order == {"q1": ["z", "a"], "q2": ["a"]}


@pytest.mark.parametrize(
    ("first", "mapping", "depth", "words"),
    [
        (None, None, None, "there is no pair to score"),
        ({}, {}, None, "there is no pair to score"),
        (None, {"a": ["q1"]}, 5, "a depth needs an order"),
        ({"q1": {"a": 1.0}}, {"b": ["q1"]}, None, "query 'q1' and video 'b' are to be scored, but are not in the first stage"),
    ],
)
def test_inconsistent_candidates_are_refused(first: Any, mapping: Any, depth: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        select_pairs(first, mapping, depth=depth)


def test_a_video_is_found_by_template_suffix_or_published_layout(tmp_path: Path) -> None:
    for name in ("plain.MKV", "twice.mp4", "twice.webm", "notes.txt", "v1.2.mp4"):
        written(tmp_path / name, b"")
    (tmp_path / "000013").mkdir()
    written(tmp_path / "000013" / "1234.mp4", b"")
    assert VideoFolder(tmp_path).find("plain") == tmp_path / "plain.MKV"
    assert VideoFolder(tmp_path).find("v1.2") == tmp_path / "v1.2.mp4"
    assert VideoFolder(tmp_path, "{id}.webm").find("twice") == tmp_path / "twice.webm"
    for template in ("{bucket}/{id}.mp4", "{bucket}/{id}.*"):
        assert VideoFolder(tmp_path, template).find("1234") == tmp_path / "000013" / "1234.mp4"
    for template, video, words in (
        ("{id}.*", "twice", "it could be twice.mp4 and twice.webm"),
        ("{id}.*", "notes", "there is no"),
        ("{bucket}/{id}.mp4", "abc", "needs a number for an id"),
        ("{bucket}/{id}.mp4", "99", "000001/99.mp4"),
    ):
        with pytest.raises(MediaError, match=words):
            VideoFolder(tmp_path, template).find(video)
    with pytest.raises(InputError, match=r"has no \{id\}"):
        VideoFolder(tmp_path, "video.mp4")


# --- scores on their pairs ------------------------------------------------------------------------------------------


def test_every_pair_gets_the_margin_that_it_has_when_judged_by_itself(
    job: Job, truth: Mapping[tuple[str, str], float], tmp_path: Path
) -> None:
    report = job.run(tmp_path)
    assert (report.pairs, report.ok, report.failed, report.abstained, report.videos) == (60, 60, 0, 0, 12)
    assert found_margins(tmp_path) == truth
    one = json.loads((tmp_path / f"{job.stems[0]}_reranking_Scripted.json").read_text())
    assert list(one) == [job.stems[0]]
    assert all(list(entry) == FIELDS for entry in one[job.stems[0]].values())
    entry = next(iter(one[job.stems[0]].values()))
    assert entry["logprob_yes"] - entry["logprob_no"] == pytest.approx(entry["logit_delta"])


def test_a_query_without_a_text_shifts_no_other_score(job: Job, truth: Mapping[tuple[str, str], float], tmp_path: Path) -> None:
    # The published script drops the missing text and then zips all ids with the scores that remain.
    ids = list(job.texts)
    missing = ids[1]
    known = {query: text for query, text in job.texts.items() if query != missing}
    report = job.run(tmp_path, texts=known)
    found = found_margins(tmp_path)
    assert {pair: margin for pair, margin in found.items() if pair[0] != missing} == {
        pair: margin for pair, margin in truth.items() if pair[0] != missing
    }
    assert all(found[missing, stem] is None for stem in job.stems)
    assert (report.ok, report.failed, report.reasons()) == (48, 12, {"no_text": 12})
    shifted = {(q, stem): truth[k, stem] for stem in job.stems for q, k in zip(ids, known, strict=False)}
    assert any(found[pair] != margin for pair, margin in shifted.items()), "this world does not tell a shift"


def test_the_run_is_the_order_by_margin_with_the_rest_behind_and_ranks_that_only_fall(
    job: Job, truth: Mapping[tuple[str, str], float], tmp_path: Path
) -> None:
    report = job.run(tmp_path, depth=7)
    assert report.pairs == 7 * 5
    run = read_run(report.run)
    for query, scores in job.first_stage.items():
        first = sorted(scores, key=lambda video: (-scores[video], video))
        block = sorted(first[:7], key=lambda video: (-truth[query, video], -scores[video], video))
        assert list(run[query]) == block + first[7:]
        assert list(run[query].values()) == list(range(12, 0, -1))


def test_unscored_pairs_are_nulls_with_a_reason_and_rank_below_the_worst_margin(job: Job, tmp_path: Path) -> None:
    # The published script writes four zeros, which rank above every true negative.
    written(tmp_path / "no-picture.mp4", b"this is no video")
    shutil.copy(job.videos / f"{job.stems[0]}.mp4", tmp_path)
    query, text = next(iter(job.texts.items()))
    first = {query: {"no-picture": 9.0, "absent": 8.0, job.stems[0]: 1.0}}
    report = job.run(tmp_path / "out", first_stage=first, texts={query: text}, videos=VideoFolder(tmp_path))
    assert (report.pairs, report.ok, report.failed) == (3, 1, 2)
    assert report.reasons() == {"not_media": 1, "no_file": 1}
    assert list(read_run(report.run)[query]) == [job.stems[0], "no-picture", "absent"]
    for video, code in (("no-picture", "not_media"), ("absent", "no_file")):
        entry = json.loads((tmp_path / "out" / f"{video}_reranking_Scripted.json").read_text())[video][query]
        assert [entry[name] for name in FIELDS] == [None] * 4
        assert (entry["status"], entry["reason"].partition(":")[0]) == ("failed", code)
    assert {(pair.query, pair.video) for pair in report.unscored} == {(query, "no-picture"), (query, "absent")}


def test_reranking_a_block_is_what_brute_force_says() -> None:
    chance = random.Random(1)
    for _ in range(300):
        scores = {f"v{n}": float(chance.randrange(3)) for n in range(8)}
        margins = {video: chance.choice([None, -1.0, 0.0, 2.0]) for video in scores if chance.random() < 0.8}
        depth = chance.randrange(1, 10)
        first = sorted(scores, key=lambda video: (-scores[video], video))

        def worth(video: str) -> tuple[float, float, str]:
            margin = margins.get(video)  # noqa: B023 (called in this round only)
            return (float("inf") if margin is None else -margin, -scores[video], video)  # noqa: B023

        assert rerank_by_margin(first, margins, depth=depth) == sorted(first[:depth], key=worth) + first[depth:]


def test_each_video_is_decoded_once_for_all_its_queries(job: Job, tmp_path: Path) -> None:
    from rankvideo_rag.media import count_decoder_calls

    before = count_decoder_calls()
    job.run(tmp_path)
    assert count_decoder_calls() - before == len(job.stems)


# --- going on -------------------------------------------------------------------------------------------------------


def test_a_second_run_reuses_complete_results(job: Job, tmp_path: Path) -> None:
    first = job.run(tmp_path)
    files = {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in tmp_path.glob("*.json")}
    run = Path(first.run).read_bytes()
    again = job.run(tmp_path, vlm=Unasked())
    assert (again.resumed, again.pairs, again.ok) == (12, 60, 60)
    assert {file: (file.stat().st_mtime_ns, file.read_bytes()) for file in tmp_path.glob("*.json")} == files
    assert Path(again.run).read_bytes() == run


class Unasked:
    """A model of the scripted one's name that must not be asked."""

    name = load_vlm("scripted").name

    def label_logprobs(self, prompts: Any, labels: Any) -> Any:
        raise AssertionError(f"asked about {len(prompts)} pairs that were judged before")

    def generate(self, prompts: Any, *, max_tokens: int) -> Any:
        raise AssertionError


def test_a_result_is_done_again_when_what_it_was_made_from_changes(job: Job, tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for stem in job.stems[:3]:
        shutil.copy(job.videos / f"{stem}.mp4", videos)
    query, text = next(iter(job.texts.items()))
    given: dict[str, Any] = {"first_stage": {query: dict.fromkeys(job.stems[:3], 1.0)}, "videos": VideoFolder(videos)}

    def resumed(**changed: Any) -> int:
        return job.run(tmp_path / "out", **(given | {"texts": {query: text}} | changed)).resumed

    assert [resumed(), resumed()] == [0, 3]
    assert resumed(texts={query: f"{text}, please"}) == 0
    assert resumed(spec=PromptSpec.model_validate(RANKVIDEO.model_dump() | {"version": 99})) == 0
    assert resumed() == 0  # the files are those of the other spec now
    shutil.copy(job.videos / f"{job.stems[5]}.mp4", videos / f"{job.stems[0]}.mp4")
    assert [resumed(), resumed()] == [2, 3]


@pytest.mark.parametrize("keep", [0, 1, 40, -2])
def test_an_incomplete_result_file_is_computed_again(
    job: Job, truth: Mapping[tuple[str, str], float], tmp_path: Path, keep: int
) -> None:
    # For the published script a file that exists is done, and its evaluation passes over what it cannot parse.
    job.run(tmp_path)
    torn = tmp_path / f"{job.stems[4]}_reranking_Scripted.json"
    torn.write_bytes(torn.read_bytes()[:keep])
    assert job.run(tmp_path).resumed == 11
    assert found_margins(tmp_path) == truth


def test_a_journal_line_that_was_cut_off_is_ignored(job: Job, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    job.run(tmp_path)
    journal = tmp_path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-30])
    assert job.run(tmp_path).resumed == 11
    assert "the last line was cut off and is ignored" in caplog.text
    assert job.run(tmp_path).resumed == 12


def test_only_failed_pairs_are_scored_again(job: Job, tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(job.videos / f"{job.stems[0]}.mp4", folder)
    query, text = next(iter(job.texts.items()))
    given: dict[str, Any] = {"first_stage": {query: dict.fromkeys(job.stems[:2], 1.0)}, "texts": {query: text}}
    report = job.run(tmp_path / "out", videos=VideoFolder(folder), **given)
    assert (report.ok, report.failed) == (1, 1)
    shutil.copy(job.videos / f"{job.stems[1]}.mp4", folder)
    report = job.run(tmp_path / "out", videos=VideoFolder(folder), **given)
    assert (report.ok, report.failed, report.resumed) == (2, 0, 1)


def test_two_runs_do_not_write_one_folder_at_once(job: Job, tmp_path: Path) -> None:
    with BatchJournal(tmp_path), pytest.raises(RankVideoError, match="another process is writing"):
        job.run(tmp_path)


def test_scores_in_the_cache_survive_a_lost_folder(job: Job, truth: Mapping[tuple[str, str], float], tmp_path: Path) -> None:
    cache = ScoreCache(tmp_path / "scores.db")
    job.run(tmp_path / "one", cache=cache)
    job.run(tmp_path / "two", cache=cache, vlm=Unasked())
    assert found_margins(tmp_path / "two") == truth


@pytest.mark.slow
def test_a_killed_run_continues_to_the_same_result(tmp_path: Path) -> None:
    world = render_archive(tmp_path / "videos", clips=30, seed=7)
    asked = [question for question in generate_questions(world) if question.channel == "visual"][:4]
    job = Job(tmp_path / "videos", {q.question_id: q.text for q in asked}, [clip.stem for clip in world])
    whole = tmp_path / "whole"
    report = job.run(whole)
    arguments = [*job.files(tmp_path), "--batch-size", "1", "--json"]
    journal, kills, done = tmp_path / "out" / "journal.jsonl", 0, 0
    while kills < 3:
        running = subprocess.Popen([*COMMAND, "rerank", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        while running.poll() is None and journal_lines(journal) <= done:
            time.sleep(0.002)
        if running.poll() is not None:
            break
        running.send_signal(signal.SIGKILL)
        running.communicate()
        kills, done = kills + 1, journal_lines(journal)
    assert kills >= 2
    finished = {file: file.stat().st_mtime_ns for file in map(tmp_path.joinpath("out").joinpath, journal_files(journal))}
    assert finished
    ended = rankvideo("rerank", *arguments)
    assert ended.returncode == 0, ended.stderr
    final = json.loads(ended.stdout)
    assert (final["pairs"], final["ok"], final["resumed"]) == (120, 120, len(finished))
    assert all(file.stat().st_mtime_ns == before for file, before in finished.items()), "a finished video was done again"
    assert found_margins(tmp_path / "out") == found_margins(whole)
    assert Path(final["run"]).read_text().replace(" scripted\n", "\n") == Path(report.run).read_text().replace(
        " Scripted\n", "\n"
    )


def journal_lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def journal_files(journal: Path) -> set[str]:
    lines = journal.read_bytes().split(b"\n")[:-1]
    return {json.loads(line)["file"] for line in lines if line.endswith(b"}")}


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_exit_code_is_0_3_1_or_2(job: Job, tmp_path: Path) -> None:
    small = job._replace(texts=dict(list(job.texts.items())[:2]), stems=job.stems[:2])
    arguments = [*small.files(tmp_path), "--json"]
    done = rankvideo("rerank", *arguments)
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert set(report) == {
        *("pairs", "ok", "abstained", "failed", "videos", "resumed"),
        *("reasons", "unscored", "run", "seconds"),
    }
    assert (report["pairs"], report["ok"], report["unscored"]) == (4, 4, [])
    written(tmp_path / "first.json", {query: {job.stems[0]: 1.0, "lost": 0.5} for query in small.texts})
    partly = rankvideo("rerank", *arguments)
    report = json.loads(partly.stdout)
    assert (partly.returncode, report["pairs"], report["ok"], report["reasons"]) == (3, 4, 2, {"no_file": 2})
    assert {pair["video"] for pair in report["unscored"]} == {"lost"}
    written(tmp_path / "first.json", {query: {"lost": 0.5} for query in small.texts})
    failed = rankvideo("rerank", *arguments[:-1])
    assert failed.returncode == 1
    assert "pairs without a score: 2 (no_file)" in failed.stderr
    assert "video lost" in failed.stdout
    wrong = rankvideo("rerank", *arguments, "--video2queries", str(written(tmp_path / "v.json", {"other": ["q"]})))
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "are not in the first stage" in wrong.stderr


def test_scores_are_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    scores = {
        "q1": Score(margin=0.1 + 0.2, p_yes=0.57, logprob_yes=-0.5, logprob_no=-0.8),
        "q2": Score(margin=0.0, p_yes=0.5),
        "q3": Score(status="abstained", reason="no picture"),
        "q4": Score(status="failed", reason="timeout: …"),
    }
    file = written(tmp_path / scores_file_name("v", "lab/Model/"), scores_to_json("v", scores))
    assert file.name == "v_reranking_Model.json"
    assert read_scores_file(file) == {query: {"v": score} for query, score in scores.items()}
