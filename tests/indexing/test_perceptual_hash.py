"""Clips that show the same: recognised after another encoding, marked, left out on request, never because of colours alone."""

import json
import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from support.media_files import write_video
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag import VideoArchive, media
from rankvideo_rag.cli import app
from rankvideo_rag.indexing.perceptual_hash import find_duplicates, is_same_text, perceptual_hash
from rankvideo_rag.indexing.run import index
from rankvideo_rag.nodes import nodes_to_hits
from rankvideo_rag.schema import FrameBudget, Hit
from rankvideo_rag.settings import Settings


def encoded_again(source: Path, target: Path, size: tuple[int, int]) -> Path:
    """The same film in another size, by another encoder, much compressed."""
    side = size[0] * size[1]
    budget = FrameBudget(fps=30, max_frames=600, min_pixels=side, max_pixels=side, multiple=16)
    frames = media.read_frames(str(source), budget=budget)
    rate = round(len(frames) / (frames.times[-1] + frames.times[0]) if len(frames) > 1 else 25)
    height, width = frames.pixels.shape[1:3]
    return write_video(
        target, frames=list(frames.pixels), fps=rate, size=(width, height), codec="mpeg4", codec_options={"qscale": "8"}
    )


def look(video: Path) -> bytes:
    return perceptual_hash(media.read_frames(str(video), budget=FrameBudget(fps=2, max_frames=8)).pixels)


def same(one: bytes, other: bytes) -> bool:
    return list(find_duplicates([one, other], same_text=lambda a, b: True)) == [None, 0]


def test_a_clip_that_was_encoded_again_is_recognised(world: World, tmp_path: Path) -> None:
    for clip in world.clips[:6]:
        video = world.videos / f"{clip.stem}.mp4"
        assert same(look(video), look(encoded_again(video, tmp_path / f"{clip.stem}.mp4", (160, 160)))), clip.stem


def test_a_real_film_that_was_encoded_again_is_recognised(shared_videos: Path, tmp_path: Path) -> None:
    film = shared_videos / "nasa_13013.mp4"
    assert same(look(film), look(encoded_again(film, tmp_path / "again.mp4", (240, 144))))


def test_clips_of_other_things_are_not_alike(world: World) -> None:
    looks = [look(world.videos / f"{clip.stem}.mp4") for clip in world.clips]
    alike = [(a, b) for a, b in combinations(range(len(looks)), 2) if same(looks[a], looks[b])]
    assert alike == []


def test_plain_pictures_are_told_apart_by_their_colour() -> None:
    def plain(*colour: int) -> bytes:
        return perceptual_hash(np.full((8, 36, 64, 3), colour, np.uint8))

    assert same(plain(200, 30, 30), plain(204, 27, 33))
    assert not same(plain(200, 30, 30), plain(30, 30, 200))
    assert not same(plain(0, 0, 0), plain(60, 60, 60))


def test_one_frame_of_eight_may_differ_and_two_may_not() -> None:
    frames = np.full((8, 36, 64, 3), 90, np.uint8)
    other = frames.copy()
    other[3] = 255
    assert same(perceptual_hash(frames), perceptual_hash(other))
    other[6] = 255
    assert not same(perceptual_hash(frames), perceptual_hash(other))


def test_a_repetition_is_of_the_first_one_and_clips_without_a_picture_repeat_nothing() -> None:
    one, other = (perceptual_hash(np.full((4, 36, 64, 3), grey, np.uint8)) for grey in (40, 200))
    asked: list[tuple[int, int]] = []

    def same_text(earlier: int, later: int) -> bool:
        asked.append((earlier, later))
        return later != 5

    found = list(find_duplicates([one, None, other, one, None, one, other, one], same_text=same_text))
    assert found == [None, None, None, 0, None, None, 2, 0]
    assert asked == [(0, 3), (0, 5), (2, 6), (0, 7)]


@pytest.mark.parametrize(
    ("one", "other", "same_footage"),
    [
        ("the largest clean room in the world", "The largest cleanroom, in the world!", True),
        ("", "anything at all", True),  # one has no words: they say nothing against it
        ("the largest clean room in the world", "now let us turn to the weather", False),
        ("世界上最大的洁净室之一", "世界上最大的洁净室", True),
        ("世界上最大的洁净室之一", "现在来看明天的天气", False),
    ],
)
def test_other_words_make_another_clip(one: str, other: str, same_footage: bool) -> None:
    assert is_same_text(one, other) is same_footage


@pytest.fixture(scope="module")
def archive(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips of the world, and one of them again."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "videos").mkdir()
    for clip in world.clips[:3]:
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder / "videos")
    first = world.videos / f"{world.clips[0].stem}.mp4"
    encoded_again(first, folder / "videos" / "zz-again.mp4", (192, 192))
    index([folder / "videos"], folder / "archive", Settings.load(ocr="none"))
    return folder / "archive"


def found(archive: Path, question: str, *options: str) -> list[Hit]:
    done = CliRunner().invoke(app, ["search", str(archive), question, "--json", *options])
    assert done.exit_code == 0, done.output
    return [Hit.model_validate(hit) for hit in json.loads(done.stdout)]


def question_of(world: World) -> str:
    look = world.clips[0].cast.scenes[0][0]
    return f"a {look.colour} {look.shape}"


def test_a_hit_that_shows_the_same_as_a_better_one_is_marked_with_its_rank(world: World, archive: Path) -> None:
    hits = found(archive, question_of(world))
    copies = {hit.rank for hit in hits if Path(hit.path).stem in (world.clips[0].stem, "zz-again")}
    assert len(copies) == 2
    assert {hit.rank: hit.duplicate_of for hit in hits if hit.duplicate_of} == {max(copies): min(copies)}


def test_duplicates_are_left_out_on_request_and_others_fill_the_list(world: World, archive: Path) -> None:
    marked, distinct = found(archive, question_of(world)), found(archive, question_of(world), "--no-duplicates")
    assert [hit.path for hit in distinct] == [hit.path for hit in marked if hit.duplicate_of is None]
    with VideoArchive.open(archive) as opened:
        first_two = opened.as_retriever(top_k=2, no_duplicates=True).retrieve(question_of(world))
    assert [hit.path for hit in nodes_to_hits(first_two)] == [hit.path for hit in distinct[:2]]


def test_after_reranking_the_better_one_of_two_is_the_one_that_is_repeated(world: World, archive: Path) -> None:
    with VideoArchive.open(archive) as opened:
        nodes = opened.as_retriever(top_k=4).retrieve(question_of(world))
    hits = nodes_to_hits(nodes[::-1])
    (repeat,) = [hit for hit in hits if hit.duplicate_of]
    assert repeat.duplicate_of is not None
    assert repeat.duplicate_of < repeat.rank
    assert not any(hit.duplicate_of for hit in nodes_to_hits([node for node in nodes if "duplicate_of" in node.node.metadata]))
