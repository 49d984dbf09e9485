"""Fixtures that many tests share."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from support.world import World, plain_clips

from rankvideo_rag.indexing.run import index
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic import write_clips

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the models in tests are so small that a second thread makes them slower

hypothesis_settings.register_profile("no-deadline", deadline=None)  # no test depends on the machine's speed
hypothesis_settings.load_profile("no-deadline")

SHARED_VIDEOS = Path(__file__).parents[2] / "shared" / "videos"


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


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[Any], Path]:
    """Write bytes, a text or a JSON value to a file, and return its path."""

    def write(content: Any) -> Path:
        path = tmp_path / "file"
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
        return path

    return write
