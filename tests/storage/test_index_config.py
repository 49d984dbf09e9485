"""The index config: what an archive remembers of the way it was made."""

import pytest

from rankvideo_rag.settings import Settings
from rankvideo_rag.storage.index_config import IndexConfig, resolve_settings
from rankvideo_rag.testing.scripted_embedder import ScriptedEmbedder


def config(**options: object) -> IndexConfig:
    return IndexConfig.from_settings(Settings.load(ocr="none", **options), ScriptedEmbedder.info)


@pytest.mark.parametrize(
    "options", [{"segment_by": "shots"}, {"frame_sampling": "exact"}, {"audio_only": False}, {"clip_seconds": 7.0}]
)
def test_an_option_that_changes_what_is_stored_changes_the_fingerprint(options: dict[str, object]) -> None:
    assert config().fingerprint == config().fingerprint
    assert config(**options).fingerprint != config().fingerprint


def test_a_stored_config_is_read_back_and_its_settings_count_again() -> None:
    stored = config(frame_sampling="exact", segment_by="shots").model_dump(mode="json")
    assert IndexConfig.model_validate(stored) == config(frame_sampling="exact", segment_by="shots")
    resolved = resolve_settings("archive", stored, Settings.load(clip_seconds=7.0))
    assert (resolved.frame_sampling, resolved.segment_by, resolved.clip_seconds) == ("exact", "shots", 7.0)
