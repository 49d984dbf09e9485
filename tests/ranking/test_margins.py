"""The published score, to the letter: the tokens that the model reads, and the margins that a straight-line computation gives.

The chats are written by hand, and nothing of the package's code takes part in the computation that it is compared with.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from transformers import AutoModelForImageTextToText, AutoProcessor

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm.prompt_spec import get_prompt_spec
from rankvideo_rag.models.vlm.transformers import TransformersVLM, load
from rankvideo_rag.ranking.scores import score_from_logprobs
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

LONG = (
    "You are a helpful assistant specialized in video and text understanding. Given a text query and a video, your task is to "
    "determine if the video is relevant to the query. Respond with <answer>yes</answer> if the video is relevant, or "
    "<answer>no</answer> if it is not. "
)
SHORT = (
    "You are a helpful assistant specialized in video and text understanding. Given a text query and a video, determine if the "
    "video is relevant."
)
ASKS_LONG = "Query: {query}\nIs the video relevant to the query? Respond with <answer>yes</answer> or <answer>no</answer>."
ASKS_SHORT = "Query: {query}\nIs the video relevant? Answer with yes or no."
TURNS = "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
CHATS = {
    "rankvideo": TURNS.format(system=LONG, user=ASKS_LONG + "{video}"),
    "rankvideo-train": TURNS.format(system=SHORT, user="{video}" + ASKS_SHORT),
    "video-first": TURNS.format(system=LONG, user="{video}" + ASKS_LONG),
}
PREFILLS = {"first_token": "", "after_answer_tag": "<answer>"}
FORMATS = [(name, position) for name in CHATS for position in PREFILLS]

QUERIES = [
    "a red square moves to the left",
    "stars",
    "a blue circle is still, and a green star vanishes",
    "is it raining?",
    "Überschwemmung in Pakistan",
    "a helpful assistant",
    "no",
    "seconds",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("vlm") / "tiny")


@pytest.fixture(scope="module")
def vlm(folder: Path) -> TransformersVLM:
    return load(str(folder), device="cpu", batch_size=8)


def frames(number: int) -> Frames:
    """Eight videos of different lengths and shapes; odd and even numbers of frames, at uneven times."""
    width, height = [(64, 64), (96, 32), (32, 128)][number % 3]
    dice = np.random.default_rng(number)
    pixels = dice.integers(0, 256, (number + 1, height, width, 3), dtype=np.uint8)
    steps: NDArray[np.float64] = dice.uniform(0.05, 9, number + 1)
    return Frames(pixels, np.cumsum(steps).round(2))


def written_video(shown: Frames) -> str:
    """Two frames a time, the last one doubled where it is alone: the mean of their times, and a token for 32 x 32 pixels."""
    times = [*shown.times, shown.times[-1]][: len(shown) + len(shown) % 2]
    _, height, width, _ = shown.pixels.shape
    pads = "<|video_pad|>" * (height // 32 * (width // 32))
    pairs = [(a + b) / 2 for a, b in zip(times[::2], times[1::2], strict=True)]
    return "".join(f"<{time:.1f} seconds><|vision_start|>{pads}<|vision_end|>" for time in pairs)


def chat(name: str, position: str, query: str, shown: Frames) -> str:
    return CHATS[name].format(query=query, video=written_video(shown)) + PREFILLS[position]


@cache
def parts(folder: Path) -> tuple[Any, Any]:
    return AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)


def straight_line_margins(folder: Path, chats: Sequence[str], videos: Sequence[Frames], *, padding: str) -> list[float]:
    """log of the summed probability of all spellings of yes, less that of no, at each chat's last token; in float64."""
    processor, network = parts(folder)
    tokens = processor.tokenizer(list(chats), padding=True, padding_side=padding, return_tensors="pt")
    video = processor.video_processor(
        videos=[torch.tensor(shown.pixels).permute(0, 3, 1, 2) for shown in videos],
        do_resize=False,
        do_sample_frames=False,
        return_tensors="pt",
    )
    with torch.no_grad():
        logits = network(
            **tokens,
            mm_token_type_ids=2 * (tokens.input_ids == processor.video_token_id).int(),  # 2 marks a token of a video
            pixel_values_videos=video["pixel_values_videos"],
            video_grid_thw=video["video_grid_thw"],
        ).logits.double()
    last = [int(row.nonzero().max()) for row in tokens.attention_mask]
    at_last = np.stack([logits[row, position].numpy() for row, position in enumerate(last)])
    yes, no = (spellings(folder, label) for label in ("yes", "no"))
    margins: list[float] = (np.log(np.exp(at_last[:, yes]).sum(axis=1)) - np.log(np.exp(at_last[:, no]).sum(axis=1))).tolist()
    return margins


def spellings(folder: Path, label: str) -> list[int]:
    tokenizer = parts(folder)[0].tokenizer
    return [id for id in range(len(tokenizer)) if tokenizer.decode([id]).strip().lower() == label]


@pytest.mark.parametrize(("name", "position"), FORMATS)
def test_the_model_reads_the_published_prompt_letter_by_letter_and_token_by_token(
    folder: Path, vlm: TransformersVLM, name: str, position: str
) -> None:
    tokenizer = parts(folder)[0].tokenizer
    for number, query in enumerate(QUERIES):
        expected = chat(name, position, query, frames(number))
        ids = vlm.token_ids(get_prompt_spec(f"{name}@{position}").prompt(query, frames(number)))
        assert tokenizer.decode(ids) == expected
        assert ids == tokenizer(expected).input_ids


# The tiny vocabulary's ids. 397 and 398 begin and end a turn, 399 403 400 is a picture of one token between its marks;
# `<answer>` is 27 272 29 (`<`, `answer`, `>`), `yes` and `no` are 267 and 264 and merge with nothing around them.
ANSWER_TAG, YES_TAGS, NO_TAGS = [27, 272, 29], [288, 272, 29, 267, 281, 272, 29], [288, 272, 29, 264, 281, 272]
PICTURE = [27, 15, 13, 17, 306, 29, 399, 403, 400]  # <0.2 seconds>
QUERY_NO = [48, 84, 359, 25, 291, 198]
USER, ASSISTANT = [398, 198, 397, 84, 340, 198], [398, 198, 397, 64, 287, 304, 198]
IS_IT = [40, 82, 280, 307, 374]
RESPOND = [295, 280, 383, 30, 384, 389, *YES_TAGS, 356, *NO_TAGS, 308]
TOKENS_FROM_THE_USER_ON = {
    "rankvideo": [*USER, *QUERY_NO, *IS_IT, *RESPOND, *PICTURE, *ASSISTANT],
    "rankvideo-train": [
        *USER, *PICTURE, *QUERY_NO, *IS_IT, 30, 220, 32, 77, 266, 258, 389, 346, 356, 291, 13, *ASSISTANT, *ANSWER_TAG
    ],
    "video-first": [*USER, *PICTURE, *QUERY_NO, *IS_IT, *RESPOND, *ASSISTANT, *ANSWER_TAG],
}  # fmt: skip


@pytest.mark.parametrize("name", CHATS)
def test_a_prompt_has_the_tokens_that_it_always_had(vlm: TransformersVLM, name: str) -> None:
    shown = Frames(np.zeros((2, 32, 32, 3), np.uint8), np.array([0.0, 0.4]))
    ids = vlm.token_ids(get_prompt_spec(name).prompt("no", shown))
    expected = TOKENS_FROM_THE_USER_ON[name]
    assert ids[-len(expected) :] == expected
    assert len(ids) == len(expected) + {"rankvideo": 94, "rankvideo-train": 45, "video-first": 94}[name]  # the system's turn


@pytest.mark.parametrize("padding", ["left", "right"])
@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize(("name", "position"), FORMATS)
def test_a_margin_is_that_of_a_straight_line_computation(
    folder: Path, vlm: TransformersVLM, name: str, position: str, batch: int, padding: str
) -> None:
    videos = [frames(number) for number in range(batch)]
    chats = [chat(name, position, query, shown) for query, shown in zip(QUERIES, videos, strict=False)]
    expected = straight_line_margins(folder, chats, videos, padding=padding)
    spec = get_prompt_spec(f"{name}@{position}")
    prompts = [spec.prompt(query, shown) for query, shown in zip(QUERIES, videos, strict=False)]
    margins = [score_from_logprobs(answer).margin for answer in vlm.label_logprobs(prompts, spec.labels)]
    assert margins == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize(("name", "position"), FORMATS)
def test_the_margins_of_many_questions_on_one_video_are_those_of_a_straight_line_computation(
    folder: Path, vlm: TransformersVLM, name: str, position: str
) -> None:
    shown = frames(6)
    chats = [chat(name, position, query, shown) for query in QUERIES]
    expected = straight_line_margins(folder, chats, [shown] * len(QUERIES), padding="left")
    spec = get_prompt_spec(f"{name}@{position}")
    margins = [score_from_logprobs(a).margin for a in vlm.label_logprobs([spec.prompt(q, shown) for q in QUERIES], spec.labels)]
    assert margins == pytest.approx(expected, abs=2e-5)
    assert len({round(margin, 4) for margin in margins if margin is not None}) == len(QUERIES)
