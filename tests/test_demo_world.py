"""The little world: its files, its questions, and whether the scripted models find in them what the records say."""

from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from rankvideo_rag.demo import (
    Question,
    Thing,
    WorldClip,
    grade,
    plan_clips,
    questions,
    render_archive,
    render_frames,
)
from rankvideo_rag.demo.facts import FACTS, SIGNS
from rankvideo_rag.demo.render import subtitles
from rankvideo_rag.embedders import load_embedder
from rankvideo_rag.errors import InputError
from rankvideo_rag.media import ClipMedia, Frames, read_frames
from rankvideo_rag.media.pixels import Description, find_ground, find_shapes
from rankvideo_rag.schema import TextSpan
from rankvideo_rag.vlm import load_vlm
from rankvideo_rag.vlm.prompts import RANKVIDEO


class Archive(NamedTuple):
    folder: Path
    clips: list[WorldClip]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    folder = tmp_path_factory.mktemp("world")
    return Archive(folder, render_archive(folder))


@pytest.fixture(scope="module")
def media(archive: Archive) -> list[Frames]:
    """The clips as a judge gets them: read back from the files, with the default budget."""
    return [read_frames(str(archive.folder / f"{clip.stem}.mp4")) for clip in archive.clips]


def thing(colour: str, shape: str, motion: str) -> Thing:
    return Thing(colour=colour, shape=shape, motion=motion, size=50, x=160, y=150, reach=0 if motion == "still" else 80)


def clip(stem: str, *things: Thing) -> WorldClip:
    return WorldClip(stem=stem, seconds=4, ground="dark", things=things)


def attributes(shown: WorldClip) -> list[tuple[str, str, str]]:
    return sorted((one.colour, one.shape, one.motion) for one in shown.things)


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        render_archive(tmp_path / folder, clips=4, seed=7)
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "two").iterdir()
    }
    assert plan_clips(4, seed=7) != plan_clips(4, seed=8)


def test_file_names_and_metadata_give_nothing_away(archive: Archive) -> None:
    assert {path.stem for path in archive.folder.iterdir()} == {f"clip-{number:02d}" for number in range(1, 25)}
    with av.open(str(archive.folder / "clip-01.mp4")) as container:
        assert "title" not in container.metadata


def test_files_are_small_h264_with_a_key_frame_every_second(archive: Archive) -> None:
    for shown in archive.clips:
        path = archive.folder / f"{shown.stem}.mp4"
        assert path.stat().st_size < 100_000
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.format.name if stream.format else "") == ("h264", "yuv420p")
            assert (stream.width, stream.height, float(stream.average_rate or 0)) == (320, 240, 8.0)
            keys = [float(frame.time) for frame in container.decode(stream) if frame.key_frame and frame.time is not None]
        assert keys == list(range(int(shown.seconds)))


def test_no_two_files_are_alike(archive: Archive) -> None:
    files = [path.read_bytes() for path in archive.folder.glob("*.mp4")]
    assert len(set(files)) == len(files) == 24


def test_narrators_are_written_beside_their_clips(archive: Archive) -> None:
    told = {shown.stem: shown.narration for shown in archive.clips if shown.narration}
    assert {path.stem for path in archive.folder.glob("*.srt")} == set(told)
    for stem, lines in told.items():
        text = (archive.folder / f"{stem}.srt").read_text(encoding="utf-8")
        assert all(f"\n{line.text}\n" in text for line in lines)


def test_subtitles_are_in_the_subrip_format() -> None:
    def line(text: str, start: float, end: float) -> TextSpan:
        return TextSpan(channel="speech", text=text, start=start, end=end, source="subtitles")

    assert subtitles((line("Two rivers meet.", 0.3, 2.25), line("It rains.", 62.0, 3601.5))) == (
        "1\n00:00:00,300 --> 00:00:02,250\nTwo rivers meet.\n\n2\n00:01:02,000 --> 01:00:01,500\nIt rains.\n"
    )


def test_shapes_stay_in_the_picture_below_the_sign_and_apart() -> None:
    for seed in range(5):
        for shown in plan_clips(40, seed=seed):
            for number, one in enumerate(shown.things):
                across = one.size / 2 + one.reach / 2 * (one.motion in ("left", "right"))
                along = one.size / 2 + one.reach / 2 * (one.motion in ("up", "down"))
                half = 320 / len(shown.things)
                assert number * half < one.x - across < one.x + across < (number + 1) * half
                assert 60 < one.y - along < one.y + along < 240


def test_a_picture_shows_the_path_that_the_record_tells() -> None:
    frames = render_frames(clip("x", thing("red", "square", "left")))  # from x = 200 to x = 120, 50 pixels wide
    red = (frames[..., 0] > 150) & (frames[..., 1] < 90)
    centres = [np.argwhere(image).mean(axis=0) for image in (red[0], red[-1])]  # (row, column)
    np.testing.assert_allclose(centres, [(150, 200), (150, 120)], atol=1)
    assert len(frames) == 32


def test_a_world_of_no_clips_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        plan_clips(0)


def test_every_size_of_world_has_that_many_clips_and_no_word_twice() -> None:
    for count in (1, 2, 5, 100):
        clips = plan_clips(count)
        said = [line.text for shown in clips for line in shown.narration]
        written = [shown.sign for shown in clips if shown.sign]
        assert len(clips) == count
        assert said
        assert written
        assert len(set(said)) == len(said)
        assert len(set(written)) == len(written)
        questions(clips)


def test_grades_tell_shown_alone_from_shown_beside_something_from_not_shown() -> None:
    circle, square = thing("red", "circle", "left"), thing("blue", "square", "still")
    red_circle = (Description("red", "circle", "left"),)
    assert grade(red_circle, clip("a", circle)) == 2
    assert grade(red_circle, clip("b", circle, square)) == 1
    assert grade(red_circle, clip("c", thing("red", "circle", "right"))) == 0
    assert grade((Description(shape="circle"), Description("blue")), clip("d", square, circle)) == 2
    assert grade((Description(shape="circle"), Description("red")), clip("e", circle)) == 0


def test_questions_come_with_judgements_and_answers() -> None:
    clips = [
        clip("a", thing("red", "circle", "left")),
        clip("b", thing("red", "circle", "up")),
        clip("c", thing("red", "square", "left")),
        clip("d", thing("blue", "circle", "left")),
        clip("e", thing("red", "square", "left"), thing("blue", "circle", "still")),
    ]
    assert [(q.text, q.judgements, q.answer) for q in questions(clips)] == [
        ("a red circle that moves left", {"a": 2}, "A red circle moves to the left."),
        (
            "something red moving leftwards",
            {"a": 2, "c": 2, "e": 1},
            "A red circle moves to the left. A red square moves to the left.",
        ),
        ("a circle moving to the left", {"a": 2, "d": 2}, "A red circle moves to the left. A blue circle moves to the left."),
        (
            "a red square that moves left and a blue circle that does not move",
            {"e": 2},
            "A red square moves to the left and a blue circle stays still.",
        ),
    ]


@pytest.mark.parametrize("seed", range(4))
def test_every_world_has_questions_of_each_channel_with_distinct_texts(seed: int) -> None:
    asked = questions(plan_clips(seed=seed))
    assert {channel: sum(q.channel == channel for q in asked) >= 10 for channel in ("visual", "speech", "on_screen")} == {
        "visual": True,
        "speech": True,
        "on_screen": True,
    }
    assert len({q.text for q in asked}) == len({q.question_id for q in asked}) == len(asked)
    assert all(q.judgements for q in asked)


def test_words_of_the_world_name_no_shape_so_that_the_pixel_judge_abstains() -> None:
    texts = [text for fact in FACTS for text in (fact.question, *fact.sentences)] + [
        text for sign in SIGNS for text in (sign.question, sign.text)
    ]
    frames = Frames(render_frames(clip("x", thing("red", "circle", "left")))[::8], np.arange(4.0))
    verdicts = load_vlm("scripted").label_logprobs([RANKVIDEO.prompt(text, frames) for text in texts], ("yes", "no"))
    assert all(verdict.abstained for verdict in verdicts)
    assert load_embedder("scripted").embed_queries(texts) == [None] * len(texts)


def test_shapes_and_grounds_are_found_in_the_files_as_the_records_tell_them(archive: Archive, media: list[Frames]) -> None:
    for shown, frames in zip(archive.clips, media, strict=True):
        assert sorted(find_shapes(frames.pixels)) == attributes(shown)
        assert find_ground(frames.pixels) == shown.ground


def test_the_scripted_judge_says_yes_to_the_judged_clips_and_puts_the_best_first(archive: Archive, media: list[Frames]) -> None:
    vlm = load_vlm("scripted")
    for question in visual(archive):
        verdicts = vlm.label_logprobs([RANKVIDEO.prompt(question.text, frames) for frames in media], ("yes", "no"))
        margins = {c.stem: v.values[0] - v.values[1] for c, v in zip(archive.clips, verdicts, strict=True) if v.values}
        assert {stem for stem, margin in margins.items() if margin > 0} == set(question.judgements)
        grades = [question.judgements.get(stem, 0) for stem in sorted(margins, key=lambda stem: -margins[stem])]
        assert grades == sorted(grades, reverse=True)


def test_colours_alone_cannot_rank_the_world(archive: Archive, media: list[Frames]) -> None:
    embedder = load_embedder("scripted")
    vectors = embedder.embed_clips([ClipMedia(frames) for frames in media])
    asked = visual(archive)
    fooled = 0
    for question, wanted in zip(asked, embedder.embed_queries([q.text for q in asked]), strict=True):
        if wanted is None:
            continue
        cosine = {c.stem: float(wanted @ v) for c, v in zip(archive.clips, vectors, strict=True) if v is not None}
        best_wrong = max(value for stem, value in cosine.items() if stem not in question.judgements)
        fooled += best_wrong >= min(cosine[stem] for stem in question.judgements) - 0.01
    assert fooled >= len(asked) / 2


def visual(archive: Archive) -> list[Question]:
    return [question for question in questions(archive.clips) if question.channel == "visual"]
