"""What many tests stand on: a small archive of rendered clips, indexed once."""

from pathlib import Path
from typing import NamedTuple

import pytest

from rankvideo_rag.demo import WorldClip, render_archive
from rankvideo_rag.indexing.build import Report
from rankvideo_rag.indexing.run import index
from rankvideo_rag.settings import Settings

SHARED_VIDEOS = Path(__file__).parents[2] / "shared" / "videos"


class World(NamedTuple):
    """A rendered world and its archive."""

    videos: Path
    archive: Path
    clips: list[WorldClip]
    report: Report


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Twelve clips, indexed with the tiny profile and without reading signs. Tests must not change it."""
    folder = tmp_path_factory.mktemp("world")
    clips = render_archive(folder / "videos", clips=12, seed=3)
    report = index([folder / "videos"], folder / "archive", Settings.load(ocr="none"))
    return World(folder / "videos", folder / "archive", clips, report)


@pytest.fixture(scope="session")
def shared_videos() -> Path:
    """Real media beside the checkout; tests that need it are skipped where it is not there."""
    if not SHARED_VIDEOS.is_dir():
        pytest.skip("no real media beside the checkout")
    return SHARED_VIDEOS
