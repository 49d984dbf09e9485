"""Options and where they come from."""

from pathlib import Path

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RANKVIDEO_EMBEDDER", "RANKVIDEO_RERANKER"):  # the stand-ins of conftest
        monkeypatch.delenv(name, raising=False)


def test_a_profile_brings_its_models() -> None:
    assert Settings.load(profile="gpu").reranker_model == "hltcoe/RankVideo"


def test_an_argument_beats_the_environment_which_beats_the_file_which_beats_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "rankvideo.toml").write_text('profile = "gpu"\ntop_n = 7\nrerank_depth = 30\nclip_seconds = 9.0\n')
    monkeypatch.setenv("RANKVIDEO_RERANK_DEPTH", "40")
    monkeypatch.setenv("RANKVIDEO_CLIP_SECONDS", "8")
    settings = Settings.load(clip_seconds=7.0)
    assert (settings.clip_seconds, settings.rerank_depth, settings.top_n, settings.reranker) == (7.0, 40, 7, "transformers")


def test_only_what_somebody_asked_for_counts_as_given() -> None:
    assert Settings.load(top_n=3).given == {"top_n"}
    assert {"profile", "embedder", "reranker"} <= Settings.load(profile="tiny").given


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "huge"}, "unknown profile 'huge': choose one of tiny, cpu, gpu"),
        ({"clip_secs": 3}, "unknown option 'clip_secs'"),
        ({"clip_seconds": 0}, "clip_seconds = 0: Input should be greater than 0"),
        ({"clip_seconds": 10, "clip_overlap": 10}, "must be less than clip_seconds"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_may_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        Settings.load(**options)


def test_the_path_of_a_local_model_is_remembered_whole(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert Settings.load(embedder_model="checkpoint").embedder_model == str(tmp_path / "checkpoint")
    assert Settings.load(embedder_model="org/name").embedder_model == "org/name"


def test_the_margin_from_which_on_an_archive_answers_is_a_finite_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKVIDEO_MIN_MARGIN", "1.5")
    assert Settings.load().min_margin == 1.5
    with pytest.raises(InputError, match="min_margin = nan"):
        Settings.load(min_margin=float("nan"))
