"""The tiny models that ship, evaluated on clips that training has not seen, and a very short training of new ones."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from rankvideo_rag.cli import app
from rankvideo_rag.errors import InputError
from rankvideo_rag.models.bundled import bundled_names, local_folder
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.vlm import load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, resolve_prompt_spec
from rankvideo_rag.settings import Settings
from rankvideo_rag.synthetic import ablations, generate_questions, plan_clips
from rankvideo_rag.synthetic.evaluation import EvalResult, evaluate_models
from rankvideo_rag.synthetic.network import write_untrained_model
from rankvideo_rag.synthetic.train_tiny import PACKED, TinyTraining, pack
from rankvideo_rag.training.config import RerankerConfig, read_config


@pytest.fixture
def tiny_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """The profile as users have it: other tests use scripted models."""
    monkeypatch.delenv("RANKVIDEO_EMBEDDER")
    monkeypatch.delenv("RANKVIDEO_RERANKER")


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> EvalResult:
    """The models that ship, on sixty clips that are neither in training nor in the full evaluation."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RANKVIDEO_EMBEDDER")
        patch.delenv("RANKVIDEO_RERANKER")
        tiny = Settings.load(profile="tiny")
        return evaluate_models(
            tmp_path_factory.mktemp("eval"),
            embedder=str(tiny.embedder_model),
            reranker=str(tiny.reranker_model),
            clips=60,
            seed=123,
        )


def test_shipped_models_are_under_20_megabytes_and_have_model_cards() -> None:
    folders = [local_folder(name) for name in bundled_names() if name.startswith("bundled:tiny-")]
    assert [folder.name for folder in folders] == ["tiny-embedder", "tiny-reranker"]
    assert sum(file.stat().st_size for folder in folders for file in folder.rglob("*") if file.is_file()) < 20_000_000
    for folder in folders:
        assert {"README.md", "training.yaml", "model.safetensors"} <= {file.name for file in folder.rglob("*")}
        assert "rendered clips only" in (folder / "README.md").read_text(encoding="utf-8")
        assert not list(folder.rglob("*.bin"))


def test_the_shipped_reranker_has_its_training_prompt() -> None:
    spec = resolve_prompt_spec(None, "bundled:tiny-reranker")
    assert (spec.order, spec.read_position, spec.frames.max_frames) == ("video-first", "after_answer_tag", 8)
    assert spec.frames.max_pixels == 64 * 64
    assert resolve_prompt_spec("rankvideo", "bundled:tiny-reranker") == RANKVIDEO


def test_reranking_halves_the_error_of_the_best_first_stage(result: EvalResult) -> None:
    reranked = result.stages.pop("reranked")["nDCG@10"]
    best = max(measures["nDCG@10"] for measures in result.stages.values())
    assert reranked >= 0.95
    assert 1 - reranked <= (1 - best) / 2


def test_hard_negatives_rank_below_relevant_clips(result: EvalResult) -> None:
    assert result.pair_accuracy is not None
    assert result.pair_accuracy >= 0.98


def test_what_is_said_and_written_is_answered_by_its_quotation_with_reranking_on(result: EvalResult) -> None:
    assert result.answers.keys() == {"speech", "on screen"}
    assert min(result.answers.values()) >= 23 / 24


def test_demo_prints_its_figures_as_json(tiny_profile: None, tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "demo"), "--clips", "15", "--seed", "4", "--json"])
    assert run.exit_code == 0, run.output
    found = json.loads(run.stdout)
    assert found.keys() == {"first_stage", "reranked", "pair_accuracy", "questions"}
    assert found["first_stage"].keys() == found["reranked"].keys() == {"nDCG@10", "R@10"}
    assert found["questions"] == len(generate_questions(plan_clips(15, seed=4)))


def curve(lesson: Path, name: str) -> list[float]:
    entries = map(json.loads, (lesson / "curve.jsonl").read_text(encoding="utf-8").splitlines())
    return [entry[name] for entry in entries if name in entry]


@pytest.mark.parametrize(("kind", "share"), [("perception", 0.005), ("embedder", 0.02)])
def test_a_few_steps_of_training_reduce_the_loss(tmp_path: Path, kind: str, share: float) -> None:
    training = TinyTraining(tmp_path, seed=0, share=share)
    getattr(training, kind)(write_untrained_model(tmp_path / "untrained", seed=0))
    losses = curve(tmp_path / kind, "loss")
    assert losses[-1] < 0.9 * losses[0], losses


@pytest.mark.slow
def test_sixty_steps_from_random_weights_rank_pairs_better_than_chance(tmp_path: Path) -> None:
    """Seed 0, questions of one attribute. Of the last thirty steps' 2160 pairs chance has .5 right, give or take .011.

    So few are taken at twice the recipe's learning rate.
    """
    training = TinyTraining(tmp_path, seed=0, share=0.016)
    blank = write_untrained_model(tmp_path / "untrained", seed=0)
    training.reranker(
        blank,
        easy=1000.0,
        vision="trained",
        learning_rate=0.002,
        adamw_learning_rate=0.001,
        max_steps=60,
        groups_per_batch=24,
        gradient_accumulation=1,
        log_steps=30,
    )
    (first, last), (_, right) = (curve(tmp_path / "reranker", name) for name in ("loss", "pair_accuracy"))
    assert last < first
    assert right > 0.55


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a training of one or two steps each."""
    folder = tmp_path_factory.mktemp("training")
    checkpoints = TinyTraining(folder, seed=0, share=0.001).train_all()
    for name, place in PACKED.items():
        pack(getattr(checkpoints, name), folder / place)
    return folder


def test_training_from_random_weights_yields_models_that_load(trained: Path) -> None:
    packed = trained / PACKED["reranker"]
    record = (packed / "training.yaml").read_text(encoding="utf-8").splitlines()
    assert record[:2] == ["model: perception/model", "output: reranker"]
    assert str(trained) not in "".join(record)
    assert resolve_prompt_spec(None, str(packed)) == resolve_prompt_spec(None, "bundled:tiny-reranker")
    assert {weight.dtype for weight in load_file(packed / "model.safetensors").values()} == {torch.float16}
    assert load_vlm("transformers", str(packed), device="cpu").name
    assert load_embedder("sentence_transformers", str(trained / PACKED["embedder"]), device="cpu").info.dim == 128


@pytest.mark.slow
def test_ablations_are_evaluated_and_resumed(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ablations, "evaluate_models", partial(evaluate_models, clips=15))
    monkeypatch.setattr(ablations, "ABLATIONS", {name: ablations.ABLATIONS[name] for name in ("all of it", "pointwise only")})
    rows = ablations.run_ablations(tmp_path, seed=0, share=0.001, trained=trained)
    assert [(row.name, row.share) for row in rows] == [("all of it", 0.001), ("pointwise only", 0.001)]
    assert all(0 <= row.binding_and_order <= 1 for row in rows)
    records = [tmp_path / name / "model" / "training.yaml" for name in ("all-of-it", "pointwise-only")]
    assert [read_config(record, RerankerConfig).objective for record in records] == ["ranking", "pointwise"]
    monkeypatch.setattr(TinyTraining, "reranker", None)  # nothing is trained any more
    assert ablations.run_ablations(tmp_path, seed=0, share=0.001, trained=trained) == rows
    with pytest.raises(InputError, match="holds no finished training: rankvideo demo train --output"):
        ablations.run_ablations(tmp_path, seed=0, share=0.001, trained=tmp_path / "nowhere")
