"""rankvideo verify, and the verdict on two backends that it rests on."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from support.fake_server import serving
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag.cli import app
from rankvideo_rag.eval.backend_agreement import PairAgreement, compare_backends, summarize_agreement
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Generation, LabelLogprobs, Prompt, load_vlm


class Judge:
    """Gives the margins it was made with; reads the tokens it was made with."""

    def __init__(self, name: str, margins: Sequence[float | None], tokens: Sequence[int] | None = (1, 2)) -> None:
        self.name = name
        self._margins = margins
        self._tokens = tokens

    def label_logprobs(self, prompts: Sequence[Prompt], labels: Sequence[str]) -> list[LabelLogprobs]:
        return [LabelLogprobs(None, "broken") if m is None else LabelLogprobs((m - 1.0, -1.0)) for m in self._margins]

    def generate(self, prompts: Sequence[Prompt], *, max_tokens: int) -> list[Generation]:
        raise NotImplementedError

    def token_ids(self, prompt: Prompt) -> Sequence[int] | None:
        return self._tokens


PROMPTS = [Prompt("", (f"question {n}",)) for n in range(3)]
LABELS = ("yes", "no")


def pairs(first: Sequence[float], second: Sequence[float]) -> list[PairAgreement]:
    return [PairAgreement(first=a, second=b, difference=abs(a - b)) for a, b in zip(first, second, strict=True)]


def test_the_largest_difference_and_the_order_decide() -> None:
    found = compare_backends(Judge("a", [1.0, 2.0, 3.0]), Judge("b", [1.0, 2.01, 2.5]), PROMPTS, LABELS, tolerance=0.02)
    assert found.largest == pytest.approx(0.5)
    assert (found.agree, found.order_identical, found.tokens) == (False, True, "same")
    assert found.reasons == ("the largest difference, 0.5, exceeds the tolerance of 0.02",)


def test_equal_within_the_tolerance_is_agreement() -> None:
    found = compare_backends(Judge("a", [1.0, 2.0, 3.0]), Judge("b", [1.01, 2.0, 2.99]), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.reasons) == (True, ())


def test_near_ties_that_change_places_are_told_but_held_against_nobody() -> None:
    found = summarize_agreement("a", "b", pairs([1.0, 1.001], [1.001, 1.0]), tolerance=0.02)
    assert (found.agree, found.order_identical) == (True, False)


def test_pairs_that_stand_clearly_apart_must_not_change_places() -> None:
    found = summarize_agreement("a", "b", pairs([1.0, 1.5, 9.0], [1.5, 1.0, 9.0]), tolerance=0.4)
    assert not found.agree
    assert "1 times two pairs change places" in " ".join(found.reasons)


def test_different_tokens_are_a_difference_even_where_margins_agree() -> None:
    found = compare_backends(Judge("a", [1.0] * 3), Judge("b", [1.0] * 3, tokens=(1, 7, 2)), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.tokens) == (False, "different")
    assert "different tokens in 3 pairs" in found.reasons[0]


def test_tokens_that_one_side_does_not_tell_are_not_compared() -> None:
    found = compare_backends(Judge("a", [1.0] * 3), Judge("b", [1.0] * 3, tokens=None), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.tokens) == (True, "unknown")


def test_a_pair_that_only_one_backend_could_score_is_a_difference() -> None:
    found = compare_backends(Judge("a", [1.0, 2.0, None]), Judge("b", [1.0, None, None]), PROMPTS, LABELS, tolerance=0.02)
    assert not found.agree
    assert found.reasons == ("1 pairs have a margin from one of them only",)
    assert found.pairs[1].second_reason == "broken"


def test_two_backends_that_score_nothing_do_not_agree() -> None:
    found = compare_backends(Judge("a", [None] * 3), Judge("b", [None] * 3), PROMPTS, LABELS, tolerance=0.02)
    assert (found.agree, found.largest) == (False, None)


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["eval", "compare-backends", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_a_recording_agrees_with_the_backend_that_it_was_made_of(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    models = ("--model", "-", "--model", f"{file}=scripted")
    code, printed = run("--backend", "scripted", "--backend", "recorded", *models, "--pairs", 12)
    assert code == 0
    assert "They agree." in printed
    assert "scripted:pixels" in printed
    code, printed = run(
        "--backend", "scripted", "--backend", "recorded", "--model", "-", "--model", file, "--pairs", 12, "--json"
    )
    found = json.loads(printed)
    assert code == 0
    assert (found["agree"], found["largest"], len(found["pairs"])) == (True, 0.0, 12)
    assert found["second_name"] == "recorded:scripted:pixels@1"


def test_another_judge_differs_and_the_exit_code_says_so(tmp_path: Path) -> None:
    with serving() as server:  # it knows nothing of pixels: every margin is 0
        models = ("--model", "-", "--model", server.address)
        code, printed = run("--backend", "scripted", "--backend", "server", *models, "--pairs", 4, "--json")
    found = json.loads(printed)
    assert code == 1
    assert not found["agree"]
    assert found["largest"] >= 2.0


def test_own_videos_and_questions_are_used(tmp_path: Path, world: World) -> None:
    questions = tmp_path / "questions.tsv"
    questions.write_text("1\ta red circle\n2\tsomething moving left\n")
    own = ("--videos", world.videos, "--questions", questions)
    code, printed = run("--backend", "scripted", "--backend", "scripted", *own, "--pairs", 6, "--json")
    assert code == 0
    assert len(json.loads(printed)["pairs"]) == 6


@pytest.mark.parametrize("arguments", [("--backend", "scripted"), ("--backend", "scripted") * 3])
def test_two_backends_are_needed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match="two backends to compare"):
        run(*arguments)


def test_an_unmoving_black_video_is_a_prompt_like_any_other() -> None:
    black = Prompt("", (Frames(np.zeros((2, 32, 32, 3), np.uint8), np.array([0.0, 1.0])), "Query: a red circle"))
    with serving() as server:
        found = compare_backends(load_vlm("scripted"), load_vlm("server", server.address), [black], LABELS, tolerance=10)
    assert found.agree
