"""The pattern detector and the scripted models that use it, on frames drawn here."""

import math
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import ClipMedia, Frames
from rankvideo_rag.models.embedders import Vector, load_embedder
from rankvideo_rag.models.vlm import LabelLogprobs, Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.testing.pattern_detector import (
    DetectedShape,
    ShapeDescription,
    colour_shares,
    detect_shapes,
    find_background,
)
from rankvideo_rag.testing.scripted_vlm import parse_descriptions

HEIGHT, WIDTH = 120, 160
RGB = {
    "red": (220, 40, 40),
    "orange": (245, 140, 20),
    "yellow": (245, 230, 40),
    "green": (40, 180, 80),
    "blue": (45, 95, 230),
    "purple": (160, 60, 210),
}
DARK, GREY, SANDY, NAVY = (30, 30, 34), (200, 200, 204), (202, 182, 142), (22, 30, 74)
PATHS = {  # (x, y) of the first and of the last frame, as shares of the picture
    "left": ((0.75, 0.5), (0.25, 0.5)),
    "right": ((0.25, 0.5), (0.75, 0.5)),
    "up": ((0.5, 0.7), (0.5, 0.3)),
    "down": ((0.5, 0.3), (0.5, 0.7)),
    "still": ((0.4, 0.6), (0.4, 0.6)),
}


def picture(background: tuple[int, int, int] = DARK) -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), background, dtype=np.uint8)


def draw(image: NDArray[np.uint8], colour: str, shape: str, x: float, y: float, *, size: float = 30) -> None:
    """Paint a shape around a point given in shares of the picture."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    across, below = (columns + 0.5 - x * WIDTH) / size, (rows + 0.5 - y * HEIGHT) / size  # the box spans -.5 to .5
    inside = {
        "circle": across**2 + below**2 <= 0.25,
        "square": np.maximum(abs(across), abs(below)) <= 0.5,
        "triangle": (abs(below) <= 0.5) & (abs(across) <= (below + 0.5) / 2),
        "diamond": abs(across) + abs(below) <= 0.5,
        "bar": (abs(across) <= 0.5) & (abs(below) <= 0.15),
    }[shape]
    image[inside] = RGB[colour]


def draw_clip(*shapes: tuple[str, str, str], background: tuple[int, int, int] = DARK, count: int = 6) -> NDArray[np.uint8]:
    """Frames of (colour, shape, motion) shapes, each in its own half where there are two."""
    images = [picture(background) for _ in range(count)]
    for number, (colour, shape, motion) in enumerate(shapes):
        (x0, y0), (x1, y1) = PATHS[motion]
        for image, progress in zip(images, np.linspace(0, 1, count), strict=True):
            x, y = x0 + (x1 - x0) * progress, y0 + (y1 - y0) * progress
            draw(image, colour, shape, (number + x) / len(shapes), y)
    return np.stack(images)


def frames_of(*shapes: tuple[str, str, str]) -> Frames:
    pixels = draw_clip(*shapes)
    return Frames(pixels, np.arange(len(pixels)) / 2)


def score(question: str, *shapes: tuple[str, str, str]) -> LabelLogprobs:
    (result,) = load_vlm("scripted").label_logprobs([RANKVIDEO.prompt(question, frames_of(*shapes))], ("yes", "no"))
    return result


def margin(question: str, *shapes: tuple[str, str, str]) -> float:
    values = score(question, *shapes).values
    assert values is not None
    return values[0] - values[1]


@pytest.mark.parametrize("background", [DARK, GREY, SANDY, NAVY])
@pytest.mark.parametrize("motion", PATHS)
def test_every_colour_shape_and_motion_is_detected_on_every_background(motion: str, background: tuple[int, int, int]) -> None:
    for colour in RGB:
        for shape in ("circle", "square", "triangle"):
            assert detect_shapes(draw_clip((colour, shape, motion), background=background)) == [(colour, shape, motion)]


def test_colour_shares_are_shares_of_the_frame() -> None:
    image = picture()
    image[:, :80] = RGB["red"]
    image[:60, 80:] = RGB["blue"]
    assert colour_shares(image[None]) == {"red": 0.5, "blue": 0.25}


def test_white_boards_letters_and_backgrounds_are_not_shapes() -> None:
    for background in (DARK, GREY, SANDY, NAVY):
        image = picture(background)
        image[5:30, 10:150] = 255
        image[10:25, 20:35] = 0
        assert detect_shapes(np.stack([image] * 4)) == []
        assert colour_shares(image[None]) == {}


def test_only_known_backgrounds_are_named() -> None:
    for name, background in {"dark": DARK, "grey": GREY, "sandy": SANDY, "navy": NAVY}.items():
        assert find_background(draw_clip(("red", "square", "left"), background=background)) == name
    assert find_background(draw_clip(("red", "square", "left"), background=(90, 130, 120))) is None


def test_two_shapes_of_one_colour_are_tracked_separately() -> None:
    seen = detect_shapes(draw_clip(("green", "square", "up"), ("green", "square", "down")))
    assert sorted(seen) == [("green", "square", "down"), ("green", "square", "up")]


def test_other_outlines_are_ignored() -> None:
    assert detect_shapes(draw_clip(("red", "diamond", "left"), ("blue", "bar", "left"))) == []


def test_a_shape_cut_by_the_border_is_ignored() -> None:
    image = picture()
    draw(image, "red", "square", 0.0, 0.5)
    assert detect_shapes(image[None]) == []


def test_a_shape_visible_in_fewer_than_half_of_the_frames_is_ignored() -> None:
    pixels = draw_clip(("red", "square", "still"), count=6)
    pixels[2:] = DARK
    assert detect_shapes(pixels) == []


def test_one_frame_has_no_motion() -> None:
    assert detect_shapes(draw_clip(("blue", "circle", "left"), count=1)) == [DetectedShape("blue", "circle", None)]


def test_no_frames_have_no_shapes() -> None:
    empty = np.zeros((0, HEIGHT, WIDTH, 3), dtype=np.uint8)
    assert (detect_shapes(empty), colour_shares(empty), find_background(empty)) == ([], {}, None)


def test_noise_has_no_shapes() -> None:
    assert detect_shapes(np.random.default_rng(0).integers(0, 256, (8, HEIGHT, WIDTH, 3), dtype=np.uint8)) == []


def test_a_filmed_scene_has_no_drawn_shapes() -> None:
    path = Path(__file__).parents[3] / "shared" / "videos" / "nasa_13013.mp4"
    if not path.exists():
        pytest.skip("needs ../shared/videos")
    with av.open(str(path)) as container:
        frames = [
            f.to_ndarray(format="rgb24", width=416, height=320) for i, f in enumerate(container.decode(video=0)) if i % 24 == 0
        ]
    assert detect_shapes(np.stack(frames)) == []


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("a red circle moving to the left", [ShapeDescription("red", "circle", "left")]),
        ("Where is a scarlet disc that drifts leftwards?", [ShapeDescription("red", "circle", "left")]),
        ("a violet box which does not move", [ShapeDescription("purple", "square", "still")]),
        ("something yellow that rises", [ShapeDescription("yellow", None, "up")]),
        ("What moves to the right?", [ShapeDescription(None, None, "right")]),
        ("a red circle moving from left to right", [ShapeDescription("red", "circle", "right")]),
        ("a green ball in the clip, sinking", [ShapeDescription("green", "circle", "down")]),
        ("a circle and a blue square", [ShapeDescription(shape="circle"), ShapeDescription("blue", "square")]),
        (
            "the circle moves left and the blue square stays still",
            [ShapeDescription(None, "circle", "left"), ShapeDescription("blue", "square", "still")],
        ),
        ("a red square to the left of a blue square", [ShapeDescription("red", "square"), ShapeDescription("blue", "square")]),
        ("How many people are still left up there?", []),
        ("When was the lighthouse at Cape Morrow built?", []),
    ],
)
def test_shapes_are_parsed_from_questions(question: str, expected: list[ShapeDescription]) -> None:
    assert parse_descriptions(question) == expected


def test_a_full_match_gives_a_margin_of_four_nats() -> None:
    result = score("a red circle moving to the left", ("red", "circle", "left"))
    # Margin 4 with .99 of the probability on the two labels: .99 / (1 + exp(-4)) and .99 / (1 + exp(4)).
    assert result.values == pytest.approx((math.log(0.972194), math.log(0.017806)), abs=1e-4)
    assert math.fsum(map(math.exp, result.values or ())) <= 1


def test_the_margin_grows_with_the_matching_attributes() -> None:
    question = "a red circle moving to the left"
    none = margin(question, ("blue", "square", "up"))
    one = margin(question, ("red", "square", "up"))
    two = margin(question, ("red", "circle", "up"))
    with_another = margin(question, ("red", "circle", "left"), ("blue", "square", "up"))
    alone = margin(question, ("red", "circle", "left"))
    assert none < one < two < 0 < with_another < alone


def test_attributes_of_two_shapes_are_not_mixed() -> None:
    question = "a red circle moving left and a blue square that stays still"
    assert margin(question, ("red", "circle", "left"), ("blue", "square", "still")) > 0
    assert margin(question, ("blue", "square", "still"), ("red", "circle", "left")) > 0
    assert margin(question, ("blue", "circle", "left"), ("red", "square", "still")) < 0
    assert margin(question, ("red", "circle", "still"), ("blue", "square", "left")) < 0


def test_one_shape_matches_one_description() -> None:
    assert margin("a red square and a square", ("red", "square", "left")) < 0
    assert margin("a red square and a square", ("red", "square", "left"), ("blue", "square", "up")) > 0


def test_log_probabilities_have_the_order_of_the_labels() -> None:
    prompt = RANKVIDEO.prompt("a red circle", frames_of(("red", "circle", "left")))
    vlm = load_vlm("scripted")
    (forward,), (backward,) = vlm.label_logprobs([prompt], ("yes", "no")), vlm.label_logprobs([prompt], ("no", "yes"))
    assert forward.values is not None
    assert backward.values == forward.values[::-1]


def test_the_model_abstains_from_other_queries_and_without_frames() -> None:
    result = score("When was the lighthouse at Cape Morrow built?", ("red", "circle", "left"))
    reason = "the scripted model knows only colours, shapes and motions, and the query names none"
    assert result == LabelLogprobs(None, reason=reason, abstained=True)
    (unseen,) = load_vlm("scripted").label_logprobs([Prompt("", ("Query: a red circle",))], ("yes", "no"))
    assert (unseen.values, unseen.abstained) == (None, True)


def test_a_prompt_without_a_query_is_a_failure() -> None:
    (result,) = load_vlm("scripted").label_logprobs([Prompt("", (frames_of(("red", "circle", "left")),))], ("yes", "no"))
    assert (result.values, result.abstained) == (None, False)
    assert "'Query: '" in (result.reason or "")


def test_other_labels_than_yes_and_no_are_refused() -> None:
    with pytest.raises(ModelError, match="maybe"):
        load_vlm("scripted").label_logprobs([], ("yes", "maybe"))


def test_a_caption_names_the_shapes_within_its_length() -> None:
    prompt = RANKVIDEO.prompt("anything", frames_of(("orange", "triangle", "down"), ("blue", "circle", "still")))
    vlm = load_vlm("scripted")
    ((caption, _),) = vlm.generate([prompt], max_tokens=50)
    assert sorted(caption.removesuffix(" on a dark background.").split(" and ")) == [
        "a blue circle staying still",
        "an orange triangle moving down",
    ]
    assert vlm.generate([prompt], max_tokens=3) == [(" ".join(caption.split()[:3]), 3)]
    assert vlm.generate([RANKVIDEO.prompt("anything", frames_of())], max_tokens=50) == [
        ("no coloured shape on a dark background.", 7)
    ]


def assert_vectors(vectors: list[Vector | None], expected: list[list[float] | None]) -> None:
    assert [None if v is None else v.tolist() for v in vectors] == [
        None if e is None else pytest.approx(e, abs=1e-6) for e in expected
    ]


def test_clips_and_queries_are_embedded_by_colour() -> None:
    embedder = load_embedder("scripted")
    red = [1.0, 0, 0, 0, 0, 0]
    any_colour = [0.408248] * 6  # 1 / sqrt(6)
    questions = ["a red box and a blue ball", "something scarlet", "a ball moving left", "When was it built?"]
    assert_vectors(embedder.embed_queries(questions), [[0.707107, 0, 0, 0, 0.707107, 0], red, any_colour, None])
    clips = [ClipMedia(frames_of(("red", "square", "left"))), ClipMedia(frames_of(("red", "circle", "still")))]
    assert_vectors(embedder.embed_clips(clips), [red, red])
    assert embedder.info.dim == 6


def test_colours_are_weighted_by_area() -> None:
    image = picture()
    image[:40] = RGB["green"]
    image[40:70] = RGB["purple"]
    vectors = load_embedder("scripted").embed_clips([ClipMedia(Frames(image[None], np.zeros(1)))])
    assert_vectors(vectors, [[0, 0, 0, 0.8, 0, 0.6]])  # 4 : 3, so length 5


def test_clips_without_frames_or_colour_have_no_vector() -> None:
    assert load_embedder("scripted").embed_clips([ClipMedia(None), ClipMedia(frames_of())]) == [None, None]


def test_scripted_models_take_no_checkpoint() -> None:
    with pytest.raises(InputError, match="my-model"):
        load_vlm("scripted", "my-model")
    with pytest.raises(InputError, match="my-model"):
        load_embedder("scripted", "my-model")
