"""What many tests stand on: a small archive of rendered clips, indexed once."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from llama_index.core.schema import NodeWithScore

from rankvideo_rag.demo import Question, WorldClip, plan_clips, questions, write_clips
from rankvideo_rag.indexing.build import Report
from rankvideo_rag.indexing.run import index
from rankvideo_rag.nodes import hits_of
from rankvideo_rag.settings import Settings

SHARED_VIDEOS = Path(__file__).parents[2] / "shared" / "videos"


class World(NamedTuple):
    """A rendered world and its archive."""

    videos: Path
    archive: Path
    clips: list[WorldClip]
    report: Report


def stems(nodes: list[NodeWithScore]) -> list[str]:
    """The names of the clips that these nodes stand for."""
    return [Path(hit.path).stem for hit in hits_of(nodes)]


def asked(world: World, channel: str) -> list[Question]:
    """The questions about this world that this channel can answer, but for grounds, which the pixel rules do not know."""
    of_channel = [question for question in questions(world.clips) if question.channel == channel]
    return [question for question in of_channel if question.request is None or question.request.ground is None]


def narrated(world: World) -> WorldClip:
    """A clip in which somebody speaks."""
    return next(clip for clip in world.clips if clip.narration)


def plain_clips(count: int, *, seed: int) -> list[WorldClip]:
    """Those of so many clips that the pixel rules understand whole: one scene, nothing that comes or goes."""
    planned = (clip for clip in plan_clips(count, seed=seed) if len(clip.scenes) == 1)
    return [clip for clip in planned if all(look.event == "steady" for look in clip.cast.scenes[0])]


@pytest.fixture(scope="session", autouse=True)
def scripted_models() -> Iterator[None]:
    """The pixel rules stand in for models: at once there, and predictable by eye. Tests of the models that ship name them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKVIDEO_EMBEDDER", "scripted")
        patch.setenv("RANKVIDEO_RERANKER", "scripted")
        yield


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Scores are kept apart from those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Twelve clips of shapes that are always in sight, indexed without reading signs. Tests must not change it."""
    folder = tmp_path_factory.mktemp("world")
    clips = plain_clips(21, seed=7)
    write_clips(folder / "videos", clips)
    report = index([folder / "videos"], folder / "archive", Settings.load(ocr="none"))
    return World(folder / "videos", folder / "archive", clips, report)


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    """Real media beside the checkout; tests that need it are skipped where it is not there."""
    if not SHARED_VIDEOS.is_dir():
        pytest.skip("no real media beside the checkout")
    return SHARED_VIDEOS
