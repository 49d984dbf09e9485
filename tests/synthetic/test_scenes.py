"""Synthetic clips: records, rendered frames and files, and what scripted models find in them."""

import shutil
from pathlib import Path
from random import Random
from typing import NamedTuple

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from support.synthetic_clips import clip, make_shape
from support.world import plain_clips

from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.media import ClipMedia, Frames, read_frames
from rankvideo_rag.media.audio import read_audio
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.vlm import load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.schema import FrameBudget, TextSpan
from rankvideo_rag.synthetic import (
    Question,
    SyntheticClip,
    generate_questions,
    plan_clips,
    render_archive,
    render_frames,
    write_clips,
)
from rankvideo_rag.synthetic.facts import shuffled_facts, shuffled_signs
from rankvideo_rag.synthetic.render import format_srt, sample_frames
from rankvideo_rag.synthetic.scenes import HELD_OUT_PAIRS, HELD_OUT_TRIPLES, Attributes, is_held_out, training_scenes
from rankvideo_rag.synthetic.tts import synthesize_speech
from rankvideo_rag.testing.pattern_detector import detect_shapes, find_background

CLIPS = 16
NARRATION = (
    TextSpan(channel="speech", text="The mill of Penrow was opened in 1801.", start=0.5, end=2.5, source="subtitles"),
    TextSpan(channel="speech", text="It still grinds.", start=2.9, end=3.8, source="subtitles"),
)

needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed: narrators are silent")


class Archive(NamedTuple):
    folder: Path
    clips: list[SyntheticClip]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Every kind of clip, with and without words."""
    folder = tmp_path_factory.mktemp("world")
    return Archive(folder, render_archive(folder, clips=CLIPS))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """Clips that the pixel rules understand whole."""
    folder = tmp_path_factory.mktemp("plain")
    clips = plain_clips(30, seed=0)
    write_clips(folder, clips)
    return Archive(folder, clips)


@pytest.fixture(scope="module")
def media(plain: Archive) -> list[Frames]:
    """The plain clips as a judge gets them: read back from the files, with the default budget."""
    return [read_frames(str(plain.folder / f"{shown.stem}.mp4")) for shown in plain.clips]


def red(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (frames[..., 0] > 150) & (frames[..., 1] < 90)


def blue(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return (frames[..., 2] > 150) & (frames[..., 0] < 90)


def centre(mask: NDArray[np.bool_]) -> tuple[float, float]:
    """(x, y) of what is marked in one picture."""
    row, column = np.argwhere(mask).mean(axis=0)
    return float(column), float(row)


def loudest(sound: NDArray[np.float32], start: float, end: float) -> float:
    """Between two times, in seconds."""
    return float(abs(sound[round(start * 16_000) : round(end * 16_000)]).max())


def shapes(clips: list[SyntheticClip]) -> list[Attributes]:
    return [attributes for shown in clips for shot in shown.scene.shots for attributes in shot]


def is_kept_from_training(attributes: Attributes) -> bool:
    named = (attributes.colour, attributes.shape, attributes.motion)
    apart = {("purple", "triangle"), ("yellow", "up"), ("circle", "down")}
    return named in HELD_OUT_TRIPLES or bool(apart & {named[:2], named[::2], named[1:]})


def test_the_same_seed_makes_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        render_archive(tmp_path / folder, clips=4, seed=7)
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "two").iterdir()
    }
    assert plan_clips(4, seed=7) != plan_clips(4, seed=8)


def test_file_names_and_metadata_do_not_reveal_the_content(archive: Archive) -> None:
    assert {path.stem for path in archive.folder.iterdir()} == {f"clip-{number:02d}" for number in range(1, CLIPS + 1)}
    with av.open(str(archive.folder / "clip-01.mp4")) as container:
        assert "title" not in container.metadata


def test_file_names_sort_by_number() -> None:
    stems = [shown.stem for shown in plan_clips(120)]
    assert stems[0] == "clip-001"
    assert stems == sorted(stems)


def test_files_are_small_h264_with_a_key_frame_every_second(archive: Archive) -> None:
    for shown in archive.clips:
        path = archive.folder / f"{shown.stem}.mp4"
        assert path.stat().st_size < 100_000
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert (stream.codec_context.name, stream.format.name if stream.format else "") == ("h264", "yuv420p")
            assert (stream.width, stream.height, float(stream.average_rate or 0)) == (256, 256, 8.0)
            times = [(float(frame.time or 0), frame.key_frame) for frame in container.decode(stream)]
        assert len(times) == 8 * shown.seconds
        keys = [time for time, is_key in times if is_key]  # more of them where the picture changes at once
        assert keys[0] == 0
        assert np.diff([*keys, shown.seconds]).max() <= 1


def test_no_two_files_are_alike(archive: Archive) -> None:
    files = [path.read_bytes() for path in archive.folder.glob("*.mp4")]
    assert len(set(files)) == len(files) == CLIPS


def test_every_kind_of_clip_comes_up(archive: Archive) -> None:
    assert {shown.seconds for shown in archive.clips} == {4.0, 5.0, 6.0, 8.0}
    assert {tuple(map(len, shown.shots)) for shown in archive.clips} == {(1,), (2,), (1, 1)}
    assert {attributes.event for attributes in shapes(plan_clips(210, seed=77))} == {
        "steady",
        "flashing",
        "vanishing",
        "appearing",
    }


def test_narration_is_written_as_a_subtitle_file(archive: Archive) -> None:
    told = {shown.stem: shown.narration for shown in archive.clips if shown.narration}
    assert {path.stem for path in archive.folder.glob("*.srt")} == set(told)
    for stem, lines in told.items():
        text = (archive.folder / f"{stem}.srt").read_text(encoding="utf-8")
        assert all(f"\n{line.text}\n" in text for line in lines)


def test_subtitles_are_in_the_subrip_format() -> None:
    def line(text: str, start: float, end: float) -> TextSpan:
        return TextSpan(channel="speech", text=text, start=start, end=end, source="subtitles")

    assert format_srt((line("Two rivers meet.", 0.3, 2.25), line("It rains.", 62.0, 3601.5))) == (
        "1\n00:00:00,300 --> 00:00:02,250\nTwo rivers meet.\n\n2\n00:01:02,000 --> 01:00:01,500\nIt rains.\n"
    )


def test_shapes_stay_in_the_picture_below_the_sign_and_apart() -> None:
    shots = [shot for seed in range(5) for shown in plan_clips(40, seed=seed) for shot in shown.shots]
    for shot in shots:
        for number, one in enumerate(shot):
            across = one.size / 2 + one.reach / 2 * (one.motion in ("left", "right"))
            along = one.size / 2 + one.reach / 2 * (one.motion in ("up", "down"))
            room = 256 / len(shot)
            assert number * room < one.x - across < one.x + across < (number + 1) * room
            assert 48 < one.y - along < one.y + along < 256


def test_shapes_that_move_can_be_seen_to_move() -> None:
    for shown in plan_clips(100, seed=1):
        for one in (one for shot in shown.shots for one in shot):
            assert one.reach == 0 if one.motion == "still" else one.reach > 0.12 * 256


def test_rendered_frames_follow_the_recorded_path() -> None:
    frames = render_frames(clip("x", make_shape("red", "square", "left", x=160)))  # from x = 200 to x = 120, 50 pixels wide
    assert frames.shape == (32, 256, 256, 3)
    np.testing.assert_allclose([centre(red(frames[0])), centre(red(frames[-1]))], [(200, 150), (120, 150)], atol=1)


@pytest.mark.parametrize(
    ("event", "in_sight"),
    [
        ("steady", "################################"),
        ("vanishing", "################                "),
        ("appearing", "                ################"),
        ("flashing", "####    ####    ####    ####    "),
    ],
)
def test_shapes_appear_and_disappear_by_their_event(event: str, in_sight: str) -> None:
    shown = clip("x", make_shape("red", "square", "still", event))  # type: ignore[arg-type]
    assert "".join("#" if red(frame).any() else " " for frame in render_frames(shown)) == in_sight


def test_each_scene_is_rendered_with_its_whole_path() -> None:
    shown = clip("x", make_shape("red", "circle", "left"), make_shape("blue", "square", "down"), seconds=8)
    frames = render_frames(shown)  # reach 80 around (128, 150)
    assert [(red(frame).any(), blue(frame).any()) for frame in frames] == [(True, False)] * 32 + [(False, True)] * 32  # type: ignore[comparison-overlap]
    ends = [centre(red(frames[0])), centre(red(frames[31])), centre(blue(frames[32])), centre(blue(frames[63]))]
    np.testing.assert_allclose(ends, [(168, 150), (88, 150), (128, 110), (128, 190)], atol=1)


def test_events_restart_with_every_scene() -> None:
    shown = clip(
        "x", make_shape("red", "circle", "still", "vanishing"), make_shape("red", "square", "still", "appearing"), seconds=8
    )
    in_sight = [bool(red(frame).any()) for frame in render_frames(shown)]
    assert in_sight == [True] * 16 + [False] * 32 + [True] * 16


def test_signs_are_at_the_top_and_hide_no_shape() -> None:
    bare = clip("x", make_shape("red", "square", "up", y=120))  # its upper edge reaches row 55
    changed = (render_frames(bare) != render_frames(bare.model_copy(update={"sign": "MILL LANE 4"}))).any(axis=(0, 2, 3))
    assert changed[5:42].all()
    assert not changed[48:].any()


def test_backgrounds_are_painted_behind_the_shapes() -> None:
    grounds = {"dark": (30, 30, 34), "grey": (200, 200, 204), "sandy": (202, 182, 142), "navy": (22, 30, 74)}
    for background, colour in grounds.items():
        assert tuple(render_frames(clip("x", make_shape("red", "circle", "still"), background=background))[0, -1, 0]) == colour


@pytest.mark.parametrize("max_frames", [8, 32])
def test_frames_drawn_in_memory_equal_those_read_from_the_file(archive: Archive, max_frames: int) -> None:
    budget = FrameBudget(max_frames=max_frames, min_pixels=64 * 64, max_pixels=64 * 64)
    one_of_each = {(shown.seconds, len(shown.scene.shapes)): shown for shown in archive.clips}.values()
    assert len(one_of_each) > 4
    for shown in one_of_each:
        read = read_frames(str(archive.folder / f"{shown.stem}.mp4"), budget=budget)
        drawn = sample_frames(shown, budget, side=64)
        assert drawn.times.tolist() == read.times.tolist()
        assert drawn.pixels.shape == read.pixels.shape == (len(read), 64, 64, 3)
        assert abs(drawn.pixels.astype(float) - read.pixels).mean() < 3  # of 255: the codec, and another way of resizing


def test_zero_clips_are_refused() -> None:
    with pytest.raises(InputError, match="at least 1"):
        plan_clips(0)


@pytest.mark.parametrize("count", [1, 2, 5, 100, 210])
def test_every_data_set_has_the_requested_clips_without_repeated_text(count: int) -> None:
    clips = plan_clips(count)
    said = [line.text for shown in clips for line in shown.narration]
    written = [shown.sign for shown in clips if shown.sign]
    assert len(clips) == count
    assert said
    assert written
    assert len(set(said)) == len(said)
    assert len(set(written)) == len(written)
    asked = generate_questions(clips)
    assert len({question.text for question in asked}) == len(asked)


def test_narration_lies_within_its_clip_without_overlap() -> None:
    for shown in plan_clips(100):
        times = [time for line in shown.narration for time in (line.start, line.end)]
        assert times == sorted(times)
        assert all(0 < time < shown.seconds for time in times)


def test_the_held_out_combinations_are_unchanged() -> None:
    assert {("purple", "triangle"), ("yellow", "up"), ("circle", "down")} == HELD_OUT_PAIRS
    assert {
        ("blue", "square", "down"),
        ("blue", "square", "up"),
        ("green", "square", "still"),
        ("green", "square", "up"),
        ("orange", "circle", "left"),
        ("orange", "square", "up"),
        ("purple", "circle", "left"),
        ("purple", "circle", "still"),
        ("red", "circle", "still"),
        ("red", "square", "up"),
        ("yellow", "square", "left"),
        ("yellow", "square", "right"),
    } == HELD_OUT_TRIPLES


@pytest.mark.parametrize(
    ("attributes", "held_out"),
    [
        (Attributes("purple", "triangle", "left"), True),
        (Attributes("purple", "triangle"), True),
        (Attributes("yellow", "square", "up"), True),
        (Attributes("yellow", None, "up", "flashing"), True),
        (Attributes("red", "circle", "down"), True),
        (Attributes("red", "circle", "still"), True),
        (Attributes("red", None, "still"), False),
        (Attributes("purple", "square", "left"), False),
        (Attributes("circle", "up"), False),  # no such colour or shape
        (Attributes(), False),
    ],
)
def test_a_combination_is_held_out_when_its_attributes_are_named(attributes: Attributes, held_out: bool) -> None:
    assert is_held_out(attributes) is held_out


def test_no_training_group_shows_a_held_out_combination() -> None:
    random = Random(0)
    for _ in range(500):
        family = training_scenes(random)
        assert 2 <= len(family) <= 4
        assert not any(is_kept_from_training(attributes) for scene in family for attributes in scene.shapes)


def test_archives_show_held_out_pairs_and_triples() -> None:
    shown = shapes(plan_clips(210, seed=77))
    assert {pair for pair in HELD_OUT_PAIRS if any(set(pair) <= {*attributes} for attributes in shown)} == HELD_OUT_PAIRS
    assert len({attributes[:3] for attributes in shown} & HELD_OUT_TRIPLES) >= 6
    assert 0.05 < np.mean([is_kept_from_training(attributes) for attributes in shown]) < 0.5


@needs_voice
def test_speech_is_audible_during_its_subtitles(tmp_path: Path) -> None:
    write_clips(tmp_path, [clip("told", make_shape("red", "circle", "left")).model_copy(update={"narration": NARRATION})])
    heard = read_audio(str(tmp_path / "told.mp4"))
    assert heard is not None
    assert len(heard) == pytest.approx(4 * 16_000, abs=2048)  # AAC writes whole blocks of 1024 samples
    assert loudest(heard, 0.6, 2.4) > 0.1
    assert loudest(heard, 2.9, 3.8) > 0.1
    assert max(loudest(heard, start, end) for start, end in ((0, 0.4), (2.55, 2.85), (3.85, 3.99))) < 0.02


@needs_voice
def test_speech_is_sped_up_to_end_in_time() -> None:
    for text in ("The theatre of Hexley was opened in 1797.", "The harbour of Ulverby was opened in 1751.", "It was a mill."):
        line = TextSpan(channel="speech", text=text, start=0.3, end=2.3, source="subtitles")
        sound = synthesize_speech((line,), 4.0)
        assert loudest(sound, 0.4, 1.2) > 0.1
        assert loudest(sound, 2.35, 4.0) < 0.02


def test_without_tts_clips_are_silent_with_subtitles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    write_clips(tmp_path, [clip("told", make_shape("red", "circle", "left")).model_copy(update={"narration": NARRATION})])
    assert not synthesize_speech(NARRATION, 4.0).any()
    heard = read_audio(str(tmp_path / "told.mp4"))
    assert heard is not None
    assert loudest(heard, 0, 4) < 0.001
    assert "The mill of Penrow was opened in 1801." in (tmp_path / "told.srt").read_text()


def test_a_failing_tts_is_reported_with_its_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "espeak-ng").write_text("#!/bin/sh\necho no voices >&2\nexit 3\n")
    (tmp_path / "espeak-ng").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RankVideoError, match=r"espeak-ng failed: no voices.*remove it"):
        synthesize_speech(NARRATION, 4.0)


@pytest.mark.parametrize(
    "texts",
    [
        [text for fact in shuffled_facts(Random(0)) for text in (fact.question, *fact.sentences)],
        [text for sign in shuffled_signs(Random(0)) for text in (sign.question, sign.text)],
    ],
    ids=["facts", "signs"],
)
def test_texts_name_no_shape_so_that_the_scripted_model_abstains(texts: list[str]) -> None:
    frames = Frames(render_frames(clip("x", make_shape("red", "circle", "left")))[::8], np.arange(4.0))
    verdicts = load_vlm("scripted").label_logprobs([RANKVIDEO.prompt(text, frames) for text in texts], ("yes", "no"))
    assert all(verdict.abstained for verdict in verdicts)
    assert load_embedder("scripted").embed_queries(texts) == [None] * len(texts)


def test_shapes_and_backgrounds_are_detected_as_recorded(plain: Archive, media: list[Frames]) -> None:
    for shown, frames in zip(plain.clips, media, strict=True):
        assert sorted(detect_shapes(frames.pixels)) == sorted(attributes[:3] for attributes in shown.scene.shapes)
        assert find_background(frames.pixels) == shown.background


def test_the_scripted_model_ranks_relevant_clips_first(plain: Archive, media: list[Frames]) -> None:
    vlm = load_vlm("scripted")
    for question in seen(plain):
        verdicts = vlm.label_logprobs([RANKVIDEO.prompt(question.text, frames) for frames in media], ("yes", "no"))
        margins = {c.stem: v.values[0] - v.values[1] for c, v in zip(plain.clips, verdicts, strict=True) if v.values}
        assert {stem for stem, margin in margins.items() if margin > 0} == set(question.judgements)
        grades = [question.judgements.get(stem, 0) for stem in sorted(margins, key=lambda stem: -margins[stem])]
        assert grades == sorted(grades, reverse=True)


def test_colours_alone_do_not_rank_the_clips(plain: Archive, media: list[Frames]) -> None:
    embedder = load_embedder("scripted")
    vectors = embedder.embed_clips([ClipMedia(frames) for frames in media])
    asked = seen(plain)
    fooled = 0
    for question, wanted in zip(asked, embedder.embed_queries([q.text for q in asked]), strict=True):
        if wanted is None:
            continue
        cosine = {c.stem: float(wanted @ v) for c, v in zip(plain.clips, vectors, strict=True) if v is not None}
        best_wrong = max(value for stem, value in cosine.items() if stem not in question.judgements)
        fooled += best_wrong >= min(cosine[stem] for stem in question.judgements) - 0.01
    assert fooled >= len(asked) / 2


def seen(archive: Archive) -> list[Question]:
    """Questions about shapes alone: the scripted model does not read backgrounds."""
    asked = [question for question in generate_questions(archive.clips) if question.query and question.query.shapes]
    asked = [question for question in asked if question.query and question.query.background is None]
    assert len(asked) >= 4
    return asked
