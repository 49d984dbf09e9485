"""Who judges, how strictly replies are read, and judgements that are kept and replayed."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.answer_cases import TableJudge
from support.tiny_nli import make_tiny_nli

from rankvideo_rag.errors import InputError, MediaError, ModelError
from rankvideo_rag.eval.answers.judge import PENDING, Check, Judgement, any_supported
from rankvideo_rag.eval.answers.judgement_cache import JudgementCache, read_judgements, replay_judgements
from rankvideo_rag.eval.answers.judges import load_judge
from rankvideo_rag.eval.answers.judges.lexical import LexicalJudge
from rankvideo_rag.eval.answers.judges.llm import judge_from_llm, judge_from_vlm
from rankvideo_rag.eval.answers.judges.nli import NliJudge
from rankvideo_rag.eval.answers.judges.prompts import build_prompt, parse_judgement
from rankvideo_rag.eval.answers.judges.video_judge import VideoJudge, video_finder
from rankvideo_rag.formats.video_folder import VideoFolder
from rankvideo_rag.models.vlm import Generation, Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.synthetic import Question, generate_questions, render_archive

CLAIM = Check("passage", "A dome", "What of it?", "The hall has a dome.")


# --- replies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("<response>yes</response>", "yes"),
        ("<response>no<response>", "no"),
        (" <Response> YES </Response>\n", "yes"),
        ("<answer>no</answer>", "no"),
        ("Yes.", "yes"),
        ("no", "no"),
        ("<think>It says no, then yes.</think>\n<response>yes</response>", "yes"),
        ("<response>yes</response> because it says so", None),
        ("<response>yes</response><response>no</response>", None),
        ("NO. Nothing here was filmed yesterday.", None),
        ("yes and no", None),
        ("supported", None),
        ("<response>maybe</response>", None),
        ("<think>yes", None),
        ("", None),
    ],
)
def test_only_a_bare_label_is_parsed_as_a_judgement(reply: str, label: str | None) -> None:
    judgement = parse_judgement(CLAIM, reply)
    assert (judgement.label, judgement.reply) == (label, reply)
    assert (judgement.reason is None) == (label is not None)


@pytest.mark.parametrize(
    ("reply", "label"),
    [("support", "yes"), ("<response>partial_support</response>", "partial"), ("not_support", "no"), ("yes", None)],
)
def test_nugget_replies_have_their_own_labels(reply: str, label: str | None) -> None:
    assert parse_judgement(CLAIM._replace(kind="nugget"), reply).label == label


def test_prompts_are_complete_and_free_of_control_tokens() -> None:
    long = "word " * 8_000
    prompt = build_prompt(Check("passage", "Is {it} <|im_end|>?", "context {x}", long + "end</answer>"))
    assert long.strip() in prompt
    assert "Is {it} < |im_end|>?" in prompt
    assert "</answer>" not in prompt


# --- judges of words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "passage", "label"),
    [
        ("The rockets landed at night.", "A rocket is landing in the NIGHT", "yes"),  # rocket, land, night: 3 of 3
        ("Four red rockets landed", "red rocket landing", "yes"),  # 3 of 4
        ("Four red rockets exploded", "red rocket landing", "no"),  # 2 of 4
        ("The dome is not open", "The dome is open", "yes"),  # it knows no negation
        ("…", "anything", None),
    ],
)
def test_lexical_judge_compares_terms(claim: str, passage: str, label: str | None) -> None:
    [judgement] = LexicalJudge().judge([Check("passage", claim, "", passage)])
    assert judgement.label == label


def test_lexical_judge_rates_nuggets_at_half_its_threshold_partial() -> None:
    [judgement] = LexicalJudge(0.8).judge([Check("nugget", "one two three four five", "", "ONE two")])  # 0.4
    assert judgement.label == "partial"
    with pytest.raises(InputError, match="not a share of terms"):
        LexicalJudge(0.0)
    with pytest.raises(InputError, match="has none to load"):
        load_judge("lexical", "model")


def test_llamaindex_llms_and_functions_are_judges() -> None:
    asked: list[str] = []

    def complete(prompt: str) -> SimpleNamespace:
        asked.append(prompt)
        return SimpleNamespace(text="<response>yes</response>")

    llm = SimpleNamespace(complete=complete, metadata=SimpleNamespace(model_name="tiny"))
    judge = judge_from_llm(llm, name="mine:llm")
    assert [judgement.label for judgement in judge.judge([CLAIM])] == ["yes"]
    assert "The hall has a dome." in asked[0]
    assert judge.name == "llm:mine:llm:tiny"
    assert [one.label for one in judge_from_llm(lambda prompt: "I would say yes", name="f").judge([CLAIM])] == [None]
    with pytest.raises(InputError, match="returned a str"):
        judge_from_llm("a model", name="x:y")


def test_error_of_a_judge_names_the_model() -> None:
    def broken(prompt: str) -> str:
        raise ConnectionError("no route to host")

    with pytest.raises(ModelError, match=r"the judge llm:mine:f failed \(ConnectionError: no route to host\)"):
        list(judge_from_llm(broken, name="mine:f").judge([CLAIM]))


def says_no() -> Callable[[str], str]:
    return lambda prompt: "no"


def test_load_judge_finds_judges_by_name() -> None:
    judge = load_judge("llm", f"{__name__}:says_no")
    assert [judgement.label for judgement in judge.judge([CLAIM])] == ["no"]
    assert load_judge("scripted").name == load_vlm("scripted").name
    with pytest.raises(InputError, match="lexical, llm, nli"):
        load_judge("oracle")
    with pytest.raises(InputError, match="is not a language model"):
        load_judge("llm", "gpt")


def test_vlm_judges_text_without_video() -> None:
    class Writer:
        name = "writer"

        def generate(self, prompts: list[Prompt], *, max_tokens: int) -> list[Generation]:
            return [Generation("yes" if "dome" in str(prompt.user[0]) else "prose", 1) for prompt in prompts]

    checks = [CLAIM, CLAIM._replace(claim="A tower", passage="A tower")]
    assert [one.label for one in judge_from_vlm(Writer()).judge(checks)] == ["yes", None]  # type: ignore[arg-type]


# --- inference --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_nli(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_nli(tmp_path_factory.mktemp("nli"))


def test_nli_judge_says_yes_where_entailment_is_most_likely(tiny_nli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = load_judge("nli", str(tiny_nli), device="cpu")
    assert isinstance(judge, NliJudge)
    checks = [CLAIM, CLAIM._replace(claim="no tower"), CLAIM]
    labels = [judgement.label for judgement in judge.judge(checks)]
    network = judge._model._network  # type: ignore[attr-defined]
    logits = network.predict([(check.passage, check.claim) for check in checks])
    assert logits.shape == (3, 3)
    assert labels == ["yes" if row.argmax() == 0 else "no" for row in logits]
    for index, label in enumerate(("yes", "no", "no")):
        rows = np.eye(3)[[index]]
        monkeypatch.setattr(network, "predict", lambda pairs, rows=rows, **_: np.repeat(rows, len(pairs), axis=0))
        assert [one.label for one in judge.judge([CLAIM])] == [label]
    monkeypatch.setattr(network, "predict", lambda pairs, **_: np.full((len(pairs), 3), np.nan))
    assert [one.reason for one in judge.judge([CLAIM])] == ["the model gave numbers that are not finite"]
    assert judge.name.startswith(f"nli:{tiny_nli}@")


def test_nli_judge_splits_long_passages(tiny_nli: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = load_judge("nli", str(tiny_nli), device="cpu")
    assert isinstance(judge, NliJudge)
    seen: list[str] = []

    def predict(pairs: list[tuple[str, str]], **_: object) -> np.ndarray:
        seen.extend(passage for passage, _ in pairs)
        return np.array([[float("dome" in passage), 0.5, 0.0] for passage, _ in pairs])

    monkeypatch.setattr(
        judge._model._network,  # type: ignore[attr-defined]
        "predict",
        predict,
    )
    passage = "the hall has no tower . " * 4 + "a dome"  # 26 tokens; 16, less 3 marks and 1 of the claim, fit
    [judgement] = judge.judge([Check("passage", "dome", "", passage)])
    assert judgement.label == "yes"
    assert seen[-1].endswith("a dome")
    assert all(len(piece.split()) <= 12 for piece in seen)
    assert all(word in " ".join(seen) for word in passage.split())
    [judgement] = judge.judge([Check("passage", "dome " * 20, "", passage)])
    assert judgement == (None, "the claim is too long for the model", None)


# --- watching ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Question]:
    folder = tmp_path_factory.mktemp("videos")
    clips = render_archive(folder, clips=6, seed=3)
    asked = next(one for one in generate_questions(clips) if one.channel == "visual" and 2 in one.judgements.values())
    return folder, asked


def test_video_judge_says_whether_a_clip_shows_the_claim(videos: tuple[Path, Question]) -> None:
    folder, asked = videos
    shows = next(stem for stem, grade in asked.judgements.items() if grade == 2)
    judge = VideoJudge(load_vlm("scripted"), RANKVIDEO, find=video_finder({}, VideoFolder(folder)))
    checks = [
        Check("video", asked.text, video_id=shows),
        Check("video", "What is said here?", video_id=shows),
        Check("video", asked.text, video_id="nowhere"),
        Check("video", asked.text, video_id=shows, start=900.0, end=901.0),
    ]
    found = list(judge.judge(checks))
    assert [judgement.label for judgement in found] == ["yes", None, None, None]
    assert "knows only colours" in str(found[1].reason)
    assert str(found[2].reason).startswith("no_file: ")
    assert all(judgement.reason for judgement in found[1:])
    high = VideoJudge(load_vlm("scripted"), RANKVIDEO, find=lambda video: folder / f"{video}.mp4", threshold=50.0)
    assert [judgement.label for judgement in high.judge(checks[:1])] == ["no"]
    assert high.version != judge.version
    with pytest.raises(InputError, match="takes videos only"):
        list(judge.judge([CLAIM]))


def test_video_paths_come_from_answers_unless_a_folder_is_named(videos: tuple[Path, Question]) -> None:
    assert video_finder({"v": "/somewhere/a.mp4"}, None)("v") == "/somewhere/a.mp4"
    with pytest.raises(MediaError, match="name the folder of the videos"):
        video_finder({}, None)("v")


# --- judgements that are kept -----------------------------------------------------------------------------------------

VIDEO_CLAIM = Check("video", "A dome", "What of it?", video_id="v1", start=0.0, end=4.0)
TABLE = {
    ("passage", "A dome", "The hall has a dome."): Judgement("yes", reply="yes"),
    ("video", "A dome", "v1"): Judgement("no"),
}


def both(judgements: JudgementCache) -> tuple[Judgement, Judgement]:
    return judgements.run_batched([lambda: (judgements(CLAIM), judgements(VIDEO_CLAIM))])[0]


def test_cached_judgements_are_reused_and_can_be_replayed(tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    words, video = TableJudge(TABLE, "reader"), TableJudge(TABLE, "watcher")
    first = both(JudgementCache(words, video, file=file))
    again, watcher = TableJudge({}, "reader"), TableJudge({}, "watcher")
    assert both(JudgementCache(again, watcher, file=file)) == first == (Judgement("yes", reply="yes"), Judgement("no"))
    assert both(replay_judgements(file)) == first
    assert (len(words.asked), len(video.asked), again.asked, watcher.asked) == (1, 1, [], [])
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["judge"], line["claim"], line["label"]) for line in lines] == [
        ("reader", "A dome", "yes"),
        ("watcher", "A dome", "no"),
    ]


def test_cache_key_covers_judge_version_claim_and_span(tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    both(JudgementCache(TableJudge(TABLE), TableJudge(TABLE), file=file))
    other = TableJudge(TABLE)
    other.version = "2"
    both(JudgementCache(other, TableJudge(TABLE, "another"), file=file))
    assert len(read_judgements(file)) == 4
    missing = replay_judgements(file, judge="table 1", video_judge="another")
    for check in (CLAIM._replace(context="else"), CLAIM._replace(claim="A tower"), VIDEO_CLAIM._replace(end=5.0)):
        with pytest.raises(InputError, match="lacks 1 judgements of"):
            missing.run_batched([partial(missing, check)])


def test_replay_counts_missing_judgements(tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    file.write_text("")
    judgements = replay_judgements(file)
    with pytest.raises(InputError, match=r"lacks 2 judgements of any text judge, the first on 'A dome'"):
        judgements.run_batched([lambda: judgements(CLAIM), lambda: judgements(CLAIM._replace(claim="B"))])
    assert not judgements.has_video_judge


def test_replay_of_several_judges_needs_a_name(tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    for name in ("reader", "scholar"):
        both(JudgementCache(TableJudge(TABLE, name), TableJudge(TABLE), file=file))
    with pytest.raises(InputError, match=r"judgements of 'reader 1', 'scholar 1': name one with --judge"):
        replay_judgements(file)
    with pytest.raises(InputError, match="which judge is to be replayed"):
        replay_judgements(file, judge="critic")
    assert both(replay_judgements(file, judge="scholar"))[0].label == "yes"


def test_undecided_judgements_are_requested_again_but_replayed(tmp_path: Path) -> None:
    file = tmp_path / "judgements.jsonl"
    both(
        JudgementCache(
            TableJudge(TABLE | {("passage", "A dome", CLAIM.passage): Judgement(None, "prose", "Hm.")}),
            TableJudge(TABLE),
            file=file,
        )
    )
    assert both(replay_judgements(file))[0] == Judgement(None, "prose", "Hm.")
    assert both(JudgementCache(TableJudge(TABLE), TableJudge(TABLE), file=file))[0].label == "yes"
    assert both(replay_judgements(file))[0].label == "yes"


def test_judgements_before_a_failure_are_kept(tmp_path: Path) -> None:
    judgements = JudgementCache(TableJudge(TABLE), file=tmp_path / "judgements.jsonl")
    with pytest.raises(KeyError):
        judgements.run_batched([lambda: judgements(CLAIM), lambda: judgements(CLAIM._replace(claim="unforeseen"))])
    assert len(read_judgements(tmp_path / "judgements.jsonl")) == 1


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"key": "k"', "line 2, column 12: this is not complete JSON"),
        ('{"key": "k"}', "line 2: judge: Field required"),
        ('{"key":"k","judge":"j","version":"1","kind":"passage","claim":"c","label":"maybe"}', "line 2: label:"),
    ],
)
def test_invalid_line_of_judgements_is_named(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "judgements.jsonl"
    both(JudgementCache(TableJudge(TABLE), TableJudge(TABLE)))
    file.write_text(
        '\ufeff{"key":"k","judge":"j","version":"1","kind":"passage","claim":"c","label":"yes"}\r\n' + line + "\r\n"
    )
    with pytest.raises(InputError) as error:
        replay_judgements(file)
    assert words in str(error.value)


def test_empty_passages_are_not_sent_to_the_judge() -> None:
    judge = TableJudge({})
    judgements = JudgementCache(judge)
    [found] = judgements.run_batched([lambda: judgements(CLAIM._replace(passage=" "))])
    assert (found.label, found.reason, judge.asked) == (None, "there is no text to check the claim against", [])


def test_any_supported_stops_at_the_first_supported_check() -> None:
    judge = TableJudge({("passage", "A", "x"): "no", ("passage", "A", "y"): "yes", ("passage", "B", "x"): "yes"})
    judgements = JudgementCache(judge)
    checks = {claim: [Check("passage", claim, "", passage) for passage in "xyz"] for claim in "AB"}
    found = judgements.run_batched([partial(any_supported, of_one, judgements) for of_one in checks.values()])
    assert found == [True, True]
    assert [(check.claim, check.passage) for check in judge.asked] == [("A", "x"), ("B", "x"), ("A", "y")]
    assert any_supported([CLAIM], lambda check: PENDING) is None  # type: ignore[arg-type]
    assert any_supported([], lambda check: PENDING) is False  # type: ignore[arg-type]
