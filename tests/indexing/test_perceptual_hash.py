"""Near-duplicate clips: found after re-encoding, marked in results, left out on request."""

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


def re_encode(source: Path, target: Path, size: tuple[int, int]) -> Path:
    """Write the same video in another size with another codec, strongly compressed."""
    side = size[0] * size[1]
    budget = FrameBudget(fps=30, max_frames=600, min_pixels=side, max_pixels=side, multiple=16)
    frames = media.read_frames(str(source), budget=budget)
    rate = round(len(frames) / (frames.times[-1] + frames.times[0]) if len(frames) > 1 else 25)
    height, width = frames.pixels.shape[1:3]
    return write_video(
        target, frames=list(frames.pixels), fps=rate, size=(width, height), codec="mpeg4", codec_options={"qscale": "8"}
    )


def hash_of(video: Path) -> bytes:
    return perceptual_hash(media.read_frames(str(video), budget=FrameBudget(fps=2, max_frames=8)).pixels)


def are_duplicates(one: bytes, other: bytes) -> bool:
    return list(find_duplicates([one, other], same_text=lambda a, b: True)) == [None, 0]


def test_a_re_encoded_clip_is_a_duplicate(world: World, tmp_path: Path) -> None:
    for clip in world.clips[:6]:
        video = world.videos / f"{clip.stem}.mp4"
        assert are_duplicates(hash_of(video), hash_of(re_encode(video, tmp_path / f"{clip.stem}.mp4", (160, 160)))), clip.stem


def test_a_re_encoded_real_video_is_a_duplicate(shared_videos: Path, tmp_path: Path) -> None:
    film = shared_videos / "nasa_13013.mp4"
    assert are_duplicates(hash_of(film), hash_of(re_encode(film, tmp_path / "again.mp4", (240, 144))))


def test_different_clips_are_not_duplicates(world: World) -> None:
    hashes = [hash_of(world.videos / f"{clip.stem}.mp4") for clip in world.clips]
    alike = [(a, b) for a, b in combinations(range(len(hashes)), 2) if are_duplicates(hashes[a], hashes[b])]
    assert alike == []


def test_plain_frames_of_different_colours_are_not_duplicates() -> None:
    def plain(*colour: int) -> bytes:
        return perceptual_hash(np.full((8, 36, 64, 3), colour, np.uint8))

    assert are_duplicates(plain(200, 30, 30), plain(204, 27, 33))
    assert not are_duplicates(plain(200, 30, 30), plain(30, 30, 200))
    assert not are_duplicates(plain(0, 0, 0), plain(60, 60, 60))


def test_one_frame_of_eight_may_differ_and_two_may_not() -> None:
    frames = np.full((8, 36, 64, 3), 90, np.uint8)
    other = frames.copy()
    other[3] = 255
    assert are_duplicates(perceptual_hash(frames), perceptual_hash(other))
    other[6] = 255
    assert not are_duplicates(perceptual_hash(frames), perceptual_hash(other))


def test_a_duplicate_refers_to_the_first_clip_and_clips_without_frames_to_none() -> None:
    one, other = (perceptual_hash(np.full((4, 36, 64, 3), grey, np.uint8)) for grey in (40, 200))
    asked: list[tuple[int, int]] = []

    def same_text(earlier: int, later: int) -> bool:
        asked.append((earlier, later))
        return later != 5

    found = list(find_duplicates([one, None, other, one, None, one, other, one], same_text=same_text))
    assert found == [None, None, None, 0, None, None, 2, 0]
    assert asked == [(0, 3), (0, 5), (2, 6), (0, 7)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("the largest clean room in the world", "The largest cleanroom, in the world!", True),
        ("", "anything at all", True),  # without text nothing speaks against it
        ("the largest clean room in the world", "now let us turn to the weather", False),
        ("世界上最大的洁净室之一", "世界上最大的洁净室", True),
        ("世界上最大的洁净室之一", "现在来看明天的天气", False),
    ],
)
def test_clips_with_different_text_are_not_duplicates(one: str, other: str, expected: bool) -> None:
    assert is_same_text(one, other) is expected


@pytest.fixture(scope="module")
def archive(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips, and one of them re-encoded."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "videos").mkdir()
    for clip in world.clips[:3]:
        shutil.copy2(world.videos / f"{clip.stem}.mp4", folder / "videos")
    first = world.videos / f"{world.clips[0].stem}.mp4"
    re_encode(first, folder / "videos" / "zz-again.mp4", (192, 192))
    index([folder / "videos"], folder / "archive", Settings.load(ocr="none"))
    return folder / "archive"


def found(archive: Path, question: str, *options: str) -> list[Hit]:
    done = CliRunner().invoke(app, ["search", str(archive), question, "--json", *options])
    assert done.exit_code == 0, done.output
    return [Hit.model_validate(hit) for hit in json.loads(done.stdout)]


def question_about_first(world: World) -> str:
    shape = world.clips[0].scene.shots[0][0]
    return f"a {shape.colour} {shape.shape}"


def test_a_duplicate_hit_is_marked_with_the_rank_of_the_better_one(world: World, archive: Path) -> None:
    hits = found(archive, question_about_first(world))
    copies = {hit.rank for hit in hits if Path(hit.path).stem in (world.clips[0].stem, "zz-again")}
    assert len(copies) == 2
    assert {hit.rank: hit.duplicate_of for hit in hits if hit.duplicate_of} == {max(copies): min(copies)}


def test_duplicates_are_replaced_by_other_hits_on_request(world: World, archive: Path) -> None:
    marked, distinct = (
        found(archive, question_about_first(world)),
        found(archive, question_about_first(world), "--no-duplicates"),
    )
    assert [hit.path for hit in distinct] == [hit.path for hit in marked if hit.duplicate_of is None]
    with VideoArchive.open(archive) as opened:
        first_two = opened.as_retriever(top_k=2, no_duplicates=True).retrieve(question_about_first(world))
    assert [hit.path for hit in nodes_to_hits(first_two)] == [hit.path for hit in distinct[:2]]


def test_after_reranking_the_better_one_of_two_is_the_original(world: World, archive: Path) -> None:
    with VideoArchive.open(archive) as opened:
        nodes = opened.as_retriever(top_k=4).retrieve(question_about_first(world))
    hits = nodes_to_hits(nodes[::-1])
    (repeat,) = [hit for hit in hits if hit.duplicate_of]
    assert repeat.duplicate_of is not None
    assert repeat.duplicate_of < repeat.rank
    assert not any(hit.duplicate_of for hit in nodes_to_hits([node for node in nodes if "duplicate_of" in node.node.metadata]))
