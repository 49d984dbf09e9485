"""Many questions on one video: the video is processed once, and each answer is that of the question asked alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import LabelLogprobs, Prompt
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, VIDEO_FIRST
from rankvideo_rag.models.vlm.shared_prefix import SharedPrefix
from rankvideo_rag.models.vlm.transformers import TransformersVLM, load
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

LABELS = ("yes", "no")
QUESTIONS = [f"a red square moves to the left{' again' * (number % 5)}, number {number}" for number in range(16)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("vlm") / "tiny")


@pytest.fixture(scope="module")
def vlm(folder: Path) -> TransformersVLM:
    return load(str(folder), device="cpu")


def frames(count: int = 4, *, width: int = 64, height: int = 64, seed: int = 0) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), dtype=np.uint8)
    return Frames(pixels, np.arange(count) / 2)


def margin(answer: LabelLogprobs) -> float:
    assert answer.values is not None
    return answer.values[0] - answer.values[1]


def margins(vlm: TransformersVLM, prompts: list[Prompt]) -> list[float]:
    return [margin(answer) for answer in vlm.label_logprobs(prompts, LABELS)]


def margins_alone(vlm: TransformersVLM, prompts: list[Prompt]) -> list[float]:
    return [margins(vlm, [prompt])[0] for prompt in prompts]


@contextmanager
def calls(module: Any) -> Iterator[list[int]]:
    """The size of each batch that a part of the network is given while the block runs."""
    sizes: list[int] = []

    def count(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        sizes.append(len(given[0] if given else named["inputs_embeds"]))

    hook = module.register_forward_pre_hook(count, with_kwargs=True)
    yield sizes
    hook.remove()


def test_a_video_is_looked_at_once_for_all_its_questions(vlm: TransformersVLM) -> None:
    shown, other = frames(), frames(seed=1)
    prompts = [VIDEO_FIRST.prompt(question, video) for question in QUESTIONS[:5] for video in (shown, other)]
    with calls(vlm.network.model.visual) as looks:
        vlm.label_logprobs(prompts, LABELS)
    assert len(looks) == 2
    with calls(vlm.network.model.visual) as looks:
        vlm.label_logprobs([RANKVIDEO.prompt(question, shown) for question in QUESTIONS[:5]], LABELS)
    assert len(looks) == 2  # question-first: batches of 4 and 1, a video for each question in them


def test_questions_are_read_in_batches_that_bound_the_memory(folder: Path, vlm: TransformersVLM) -> None:
    shown = frames()
    prompts = [VIDEO_FIRST.prompt(question, shown) for question in QUESTIONS[:7]]
    frugal = load(str(folder), device="cpu", question_batch_size=3)
    with calls(frugal.network.model.language_model) as batches:
        found = margins(frugal, prompts)
    assert batches == [1, 3, 3, 1]  # the video, then the questions
    assert found == pytest.approx(margins(vlm, prompts), abs=1e-4)
    with pytest.raises(InputError, match="question_batch_size = 0"):
        load(str(folder), device="cpu", question_batch_size=0)


def test_one_layer_at_a_time_holds_a_copy_of_the_video_for_each_question(vlm: TransformersVLM) -> None:
    held: list[SharedPrefix] = []

    def remember(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        held.append(named["past_key_values"])

    hook = vlm.network.model.language_model.register_forward_pre_hook(remember, with_kwargs=True)
    shown = frames()
    vlm.label_logprobs([VIDEO_FIRST.prompt(question, shown) for question in QUESTIONS], LABELS)
    hook.remove()
    ids = vlm.token_ids(VIDEO_FIRST.prompt("stars", shown))
    prefix = len(ids) - ids[::-1].index(vlm.processor.vision_end_token_id)  # up to the end of the last picture
    assert {len(layer.keys) for layer in held[-1].layers} == {1}
    assert {layer.keys.shape[-2] for layer in held[-1].layers} == {prefix}


@pytest.mark.parametrize("spec", [VIDEO_FIRST, VIDEO_FIRST.model_copy(update={"read_position": "first_token"})])
def test_answers_are_those_of_each_question_asked_alone(vlm: TransformersVLM, spec: Any) -> None:
    for shown in (frames(), frames(1, seed=1), frames(7, width=32, height=160, seed=2)):
        prompts = [spec.prompt(question, shown) for question in ["", *QUESTIONS, "a" * 500]]
        together = margins(vlm, prompts)
        assert together == pytest.approx(margins_alone(vlm, prompts), abs=1e-4)
        assert len({round(value, 3) for value in together}) > 10


def test_prompts_of_all_kinds_in_one_call_get_each_their_own_answer(vlm: TransformersVLM) -> None:
    one, two, nothing = frames(), frames(seed=1), frames(0)
    prompts = [
        VIDEO_FIRST.prompt("stars", one),
        RANKVIDEO.prompt("stars", one),
        VIDEO_FIRST.prompt("stars", two),
        VIDEO_FIRST.prompt("stars", nothing),
        VIDEO_FIRST.prompt("moons", one),
        Prompt("Another system.", (one, "moons")),
        Prompt(VIDEO_FIRST.system, (one, "before or after ", two)),
        VIDEO_FIRST.prompt("moons", nothing),
        VIDEO_FIRST.prompt("moons", frames()),  # the same pictures, another object
        Prompt("", ("no video at all",)),
        VIDEO_FIRST.prompt("moons", two),
        Prompt("", (one,)),
    ]
    answers = vlm.label_logprobs(prompts, LABELS)
    for prompt, answer in zip(prompts, answers, strict=True):
        [alone] = vlm.label_logprobs([prompt], LABELS)
        assert (answer.reason, answer.abstained) == (alone.reason, alone.abstained)
        if alone.values is not None:
            assert answer.values == pytest.approx(alone.values, abs=1e-4)
    assert [i for i, answer in enumerate(answers) if answer.abstained] == [3, 7]


def test_many_questions_on_one_video_do_not_disturb_what_is_asked_next(vlm: TransformersVLM) -> None:
    shown = frames(3, width=96)
    next_ones = [RANKVIDEO.prompt("stars", frames(2, seed=3)), Prompt("", ("stars",))]
    before = margins_alone(vlm, next_ones), vlm.generate(next_ones, max_tokens=3)
    vlm.label_logprobs([VIDEO_FIRST.prompt(question, shown) for question in QUESTIONS], LABELS)
    assert (margins_alone(vlm, next_ones), vlm.generate(next_ones, max_tokens=3)) == before
