"""Training a tiny Qwen3-VL with random weights: inputs, objectives, checkpoints, resuming, configurations."""

import json
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import yaml
from safetensors.torch import load_file
from support.tiny_embedders import tiny_omni_embedder
from torch.utils.data import BatchSampler
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, Qwen3VLForConditionalGeneration
from typer.testing import CliRunner

from rankvideo_rag.cli.train import app
from rankvideo_rag.errors import InputError, MissingDependency, ModelError
from rankvideo_rag.formats.rankvideo import scores_to_json
from rankvideo_rag.formats.training_data import TrainingExample, read_examples, write_examples
from rankvideo_rag.media import ClipMedia, Frames
from rankvideo_rag.models.checkpoints import fetch_checkpoint
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO, RANKVIDEO_TRAIN, VIDEO_FIRST, PromptSpec, load_prompt_spec
from rankvideo_rag.models.vlm.transformers import load
from rankvideo_rag.schema import FrameBudget, Score
from rankvideo_rag.synthetic import render_archive
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl
from rankvideo_rag.training.adapters import merge_adapter
from rankvideo_rag.training.batches import Collator, PromptRow
from rankvideo_rag.training.checkpointing import TrainState
from rankvideo_rag.training.config import EmbedderConfig, PerceptionConfig, RerankerConfig, TrainingConfig, read_config
from rankvideo_rag.training.embedder import EmbedderTask, teacher_scores, train_embedder
from rankvideo_rag.training.inputs import InputProcessor, video_shape
from rankvideo_rag.training.losses import infonce, symmetric_kl, teacher_distillation, weighted_pointwise
from rankvideo_rag.training.model_selection import make_pools
from rankvideo_rag.training.optimizers import Muon, MuonAndAdamW, make_optimizer, make_schedule, orthogonalize
from rankvideo_rag.training.packing import pack_prompts
from rankvideo_rag.training.perception import CaptionedVideo, PerceptionTask, collect_captions, train_perception
from rankvideo_rag.training.reranker import RerankerTask, train_reranker
from rankvideo_rag.training.synthesis.prompts import CAPTION
from rankvideo_rag.training.trainable_embedder import load_trainable_embedder
from rankvideo_rag.training.vision_cache import VisionFeatureCache, fast_vision

SPECS = (RANKVIDEO, RANKVIDEO_TRAIN, VIDEO_FIRST)
# Few tokens, so that a step is quick.
SHORT = PromptSpec(
    name="short", version=1, system="", question="{query}?", order="video-first", read_position="after_answer_tag"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("train") / "tiny")


@pytest.fixture
def network(folder: Path) -> Any:
    return AutoModelForImageTextToText.from_pretrained(folder)


def frame_source(path: str) -> Frames:
    """Noise that follows from the path; every fifth video is wider, and has an odd number of frames."""
    seed = int(path)
    count, width = (5, 96) if seed % 5 == 4 else (8, 64)
    pixels = np.random.default_rng(seed).integers(0, 256, (count, 64, width, 3), dtype=np.uint8)
    return Frames(pixels, np.arange(count) / 2 + seed % 3)


def input_processor(folder: Path) -> InputProcessor:
    return InputProcessor(AutoProcessor.from_pretrained(folder), model_type="qwen3_vl")


def collator_of(folder: Path, spec: PromptSpec, watched: Callable[[str], Frames] = frame_source) -> Collator:
    processor = input_processor(folder)
    return Collator(
        processor,
        watched,
        lambda query, frames: PromptRow(processor.prompt(spec.prompt(query, frames))),
        is_cached=lambda _: False,
    )


def examples(queries: int = 6, *, videos: int = 4) -> list[TrainingExample]:
    """For each query one relevant video and some others, each with a caption and a teacher's opinion."""
    return [
        TrainingExample(
            query_id=f"q{query}",
            query=f"a red square number {query}",
            doc_id=f"d{query * videos + video}",
            videos=(str(query * videos + video),),
            true_label=int(video == 0),
            teacher_p_yes=0.9 if video == 0 else 0.1,
            evidence={"caption": f"a blue circle is still {query} {video}"},
        )
        for query in range(queries)
        for video in range(videos)
    ]


def reranker(folder: Path, output: Path, **options: Any) -> RerankerConfig:
    """A configuration that fits a tiny model: few, long steps."""
    quick = {"adapter": "none", "vision": "cached", "gradient_accumulation": 1, "gradient_checkpointing": False}
    steps = {"max_steps": 4, "learning_rate": 1e-3, "schedule": "constant", "device": "cpu", "log_steps": 1}
    rest = {"groups_per_batch": 3, "prompt": SHORT}
    return RerankerConfig(model=str(folder), output=str(output), **(quick | steps | rest | options))


def perception(folder: Path, output: Path, **options: Any) -> PerceptionConfig:
    quick = {"adapter": "none", "vision": "trained", "gradient_accumulation": 1, "gradient_checkpointing": False}
    steps = {"max_steps": 4, "learning_rate": 3e-3, "schedule": "constant", "device": "cpu", "log_steps": 1}
    return PerceptionConfig(model=str(folder), output=str(output), **(quick | steps | options))


def curve(output: Path, name: str) -> list[float]:
    """The values of that name in the learning curve."""
    entries = [json.loads(line) for line in (output / "curve.jsonl").read_text().splitlines()]
    return [entry[name] for entry in entries if name in entry]


def weights(model: Path) -> dict[str, torch.Tensor]:
    return dict(AutoModelForImageTextToText.from_pretrained(model).state_dict())


# Is what is trained what is used?


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("video", ["0", "2", "4"])
def test_the_tokens_of_training_are_those_of_inference(folder: Path, spec: PromptSpec, video: str) -> None:
    prompt = spec.prompt("Is a star shown?", frame_source(video))
    assert input_processor(folder).prompt(prompt).tolist() == load(str(folder), device="cpu").token_ids(prompt)


@pytest.mark.parametrize("video", ["0", "4"])
def test_the_patches_of_training_are_those_of_the_processor(folder: Path, video: str) -> None:
    processor = input_processor(folder)
    expected = processor.hf.video_processor(
        videos=[torch.tensor(frame_source(video).pixels).permute(0, 3, 1, 2)],
        do_resize=False,
        do_sample_frames=False,
        return_tensors="pt",
    )
    torch.testing.assert_close(processor.patches(frame_source(video)), expected["pixel_values_videos"], atol=1e-6, rtol=0)
    assert [processor.grid(video_shape(frame_source(video)))] == [tuple(grid) for grid in expected["video_grid_thw"].tolist()]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_positions_of_training_are_those_of_the_model(folder: Path, network: Any, spec: PromptSpec) -> None:
    batch = collator_of(folder, spec).batch([("a star", "0"), ("is a blue circle still there?", "4"), ("a", "4")])
    videos = torch.tensor([batch.grids[video] for video in batch.videos])
    expected, _ = network.model.get_rope_index(
        batch.tokens,
        mm_token_type_ids=2 * (batch.tokens == network.config.video_token_id).int(),
        video_grid_thw=videos,
        attention_mask=batch.mask,
    )
    assert torch.equal(batch.positions, expected)
    assert sorted(batch.patches) == ["0", "4"]  # a video that two prompts show is there once


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_the_margins_of_training_are_those_of_the_checkpoint_in_use(folder: Path, network: Any, spec: PromptSpec) -> None:
    pairs = [("a star", "0"), ("is a blue circle still there?", "4"), ("a star", "4"), ("a long red square, or none", "0")]
    used = load(str(folder), device="cpu", batch_size=1)
    expected = []
    for query, video in pairs:
        [answer] = used.label_logprobs([spec.prompt(query, frame_source(video))], spec.labels)
        assert answer.values is not None
        expected.append(answer.values[0] - answer.values[1])
    task = task_of(folder, network, RerankerConfig(model=str(folder), output="unused", prompt=spec))
    collator = collator_of(folder, spec)
    together = task.margins(network, pack_prompts(*collator.rows(pairs))).tolist()  # two prompts share a video each
    apart = pairs[:2]  # of two lengths: padded on the left
    assert task.margins(network, pack_prompts(*collator.rows(apart))).tolist() == pytest.approx(expected[:2], abs=1e-5)
    alone = [task.margins(network, pack_prompts(*collator.rows([pair]))).item() for pair in pairs]
    assert together == pytest.approx(expected, abs=1e-5)
    assert alone == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 0.1  # margins that differ, so that a mix-up would show


def train_state(folder: Path, network: Any) -> TrainState:
    checkpoint = fetch_checkpoint(str(folder), backend="transformers", setting="model")
    return TrainState(
        network.eval(), input_processor(folder), VisionFeatureCache(network.model, enabled=False), checkpoint, torch.float32
    )


def task_of(folder: Path, network: Any, config: RerankerConfig) -> RerankerTask:
    """What a run does with a batch, outside of a run."""
    return RerankerTask(config, train_state(folder, network), examples(), frame_source, None)


@pytest.mark.parametrize("videos", [("0", "1", "2"), ("0", "4")], ids=["of one size", "of two sizes"])
def test_fast_vision_keeps_outputs_and_gradients(folder: Path, network: Any, videos: tuple[str, ...]) -> None:
    batch = collator_of(folder, VIDEO_FIRST).batch([("a star", video) for video in videos])

    network.double()  # in float32 this model's wide weights make 1e-5 of a rounding

    def seen() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        network.zero_grad()
        found = VisionFeatureCache(network.model, enabled=False).features(batch)
        every = torch.stack([layer for [layer] in (found.pooler_output, *found.deepstack_features)])
        every.square().mean().backward()  # type: ignore[no-untyped-call]
        return every.detach(), {name: weight.grad for name, weight in network.model.visual.named_parameters()}

    expected, gradients = seen()
    with fast_vision(network):
        found, quick = seen()
    torch.testing.assert_close(found, expected, atol=3e-6, rtol=1e-5)
    for name, gradient in gradients.items():
        torch.testing.assert_close(quick[name], gradient, atol=3e-6, rtol=1e-5, msg=name)
    again, _ = seen()
    assert torch.equal(again, expected)  # the network's own way is back


# Does a run do what it was told?


def watched_by(used: Path, spec: PromptSpec, of: Sequence[TrainingExample]) -> list[float]:
    """The margins that the transformers backend gives these examples."""
    prompts = [spec.prompt(example.query, frame_source(example.videos[0])) for example in of]
    found = [answer.values for answer in load(str(used), device="cpu").label_logprobs(prompts, spec.labels)]
    return [values[0] - values[1] for values in found if values is not None]


def test_stage_two_overfits_a_small_training_set(folder: Path, tmp_path: Path) -> None:
    few = examples(3)
    found = train_reranker(reranker(folder, tmp_path, max_steps=25), few, frame_source=frame_source)
    assert found == tmp_path / "model"
    assert curve(tmp_path, "loss")[-1] < 0.9 * curve(tmp_path, "loss")[0]
    assert curve(tmp_path, "pair_accuracy")[-1] == 1.0
    margins = watched_by(found, SHORT, few)
    for begin in range(0, len(few), 4):
        assert margins[begin] > max(margins[begin + 1 : begin + 4])


def test_the_loss_of_a_batch_is_the_mean_of_the_papers_loss_over_groups(folder: Path, network: Any) -> None:
    task = task_of(folder, network, reranker(folder, Path("unused")))
    items = [examples()[place] for place in (0, 1, 3, 4, 6, 7)]  # two groups: a relevant video and two others
    batch = task.collate(items)
    loss = task.loss(network, batch)
    margins = task.margins(network, batch.prompts)
    labels, teacher = torch.tensor([1, 0, 0]), torch.tensor([0.9, 0.1, 0.1])
    per_group = [  # section 3.2
        -torch.log_softmax(group / 10, dim=0)[0]
        + 5 * teacher_distillation(group, teacher, tau=5)
        + 0.5 * weighted_pointwise(group, labels, tau=1)
        for group in margins.view(2, 3)
    ]
    expected = torch.stack(per_group).mean()
    torch.testing.assert_close(loss.total, expected, atol=1e-6, rtol=0)
    weighted = loss.parts["pair"] + 5 * loss.parts["teacher"] + 0.5 * loss.parts["pointwise"]  # section 3.2's weights
    torch.testing.assert_close(weighted, expected, atol=1e-6, rtol=0)


def test_each_caption_is_used_once_per_epoch_in_file_order_without_shuffling(folder: Path, network: Any) -> None:
    def sampler(count: int, size: int, *, shuffle: bool, rank: int = 0, world_size: int = 1) -> BatchSampler:
        config = PerceptionConfig(model="x", output="y", batch_size=size, shuffle=shuffle, seed=0)
        captions = [CaptionedVideo("A disc.", str(number)) for number in range(count)]
        return PerceptionTask(config, train_state(folder, network), captions, frame_source).batch_sampler(rank, world_size)

    in_order = sampler(5, 2, shuffle=False)
    assert list(in_order) == [[0, 1], [2, 3], [4]]
    assert len(in_order) == 3
    shuffled = sampler(50, 8, shuffle=True)
    first = list(shuffled)
    shuffled.sampler.set_epoch(1)  # type: ignore[union-attr]  # as accelerate's DataLoader does
    second = list(shuffled)
    for epoch in (first, second):
        assert sorted(place for batch in epoch for place in batch) == list(range(50))
    assert first != second
    ranks = [list(sampler(5, 2, shuffle=True, rank=rank, world_size=2)) for rank in (0, 1)]
    assert [len(batches) for batches in ranks] == [1, 1]  # as many for each, so one video is left out of the epoch
    assert len(set(ranks[0][0] + ranks[1][0])) == 4
    with pytest.raises(InputError, match="1 videos for 2 processes"):
        sampler(1, 2, shuffle=True, world_size=2)


@pytest.mark.parametrize("objective", ["pairwise", "pointwise", "bce", "ranknet", "lambdarank", "listnet"])
def test_every_objective_changes_the_weights(folder: Path, network: Any, objective: Any) -> None:
    task = task_of(folder, network, reranker(folder, Path("unused"), objective=objective))
    task.loss(network, task.collate([examples()[place] for place in (0, 1, 2)])).total.backward()  # type: ignore[no-untyped-call]
    gradient = network.model.language_model.layers[0].mlp.up_proj.weight.grad
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_stage_one_learns_captions_from_the_assistants_tokens_only(folder: Path, tmp_path: Path) -> None:
    config = perception(folder, tmp_path, max_steps=12, batch_size=3)
    found = train_perception(config, examples(3), frame_source=frame_source)
    losses = curve(tmp_path, "loss")
    assert losses[-1] < 0.5 * losses[0]
    assert not (found / "prompt_spec.json").exists()  # it says nothing of yes and no


def test_the_loss_of_a_caption_is_that_of_its_tokens_and_the_end_of_the_turn(folder: Path, network: Any) -> None:
    captions = collect_captions(examples(1))
    state = train_state(folder, network)
    task = PerceptionTask(perception(folder, Path("unused")), state, captions, frame_source)
    processor, used, taught = state.processor.hf, load(str(folder), device="cpu"), []
    for caption, video in captions[:2]:
        prompt = used.token_ids(CAPTION.prompt(frame_source(video)))
        answer = processor.tokenizer(f"<think>{caption}</think><|im_end|>")["input_ids"]
        row = task.collate([CaptionedVideo(caption, video)])
        assert row.tokens[0].tolist() == prompt + answer
        with torch.no_grad():
            logits = network(
                input_ids=row.tokens,
                mm_token_type_ids=2 * (row.tokens == network.config.video_token_id).int(),
                pixel_values_videos=row.patches[video],
                video_grid_thw=torch.tensor([row.grids[video]]),
            ).logits[0]
        logprobs = logits.log_softmax(dim=1)
        taught += [-logprobs[len(prompt) + place - 1, token].item() for place, token in enumerate(answer)]
    both = task.loss(network, task.collate(captions[:2])).total.item()
    assert both == pytest.approx(sum(taught) / len(taught), abs=1e-4)


@pytest.mark.slow
def test_cached_and_frozen_vision_give_the_same_weights(folder: Path, tmp_path: Path) -> None:
    found = {}
    for vision in ("trained", "frozen", "cached"):
        # Unclipped, as the gradients of eyes that are trained count in the norm.
        config = reranker(folder, tmp_path / vision, vision=vision, max_steps=2, max_gradient_norm=1e9)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("rankvideo_rag.training.trainer.make_optimizer", without_eyes)
            found[vision] = weights(train_reranker(config, examples(), frame_source=frame_source))
    before = weights(folder)
    for name, weight in found["trained"].items():
        torch.testing.assert_close(found["frozen"][name], weight, atol=1e-5, rtol=0, msg=name)
        torch.testing.assert_close(found["cached"][name], weight, atol=1e-5, rtol=0, msg=name)
        if "visual" in name:
            assert torch.equal(weight, before[name])


def without_eyes(network: Any, config: TrainingConfig) -> torch.optim.Optimizer:
    """Plain descent, in which rounding stays rounding, with a learning rate of 0 for the eyes."""
    mind = [weight for name, weight in network.named_parameters() if "visual" not in name]
    eyes = list(network.model.visual.parameters())
    groups: list[dict[str, Any]] = [{"params": mind}, {"params": eyes, "lr": 0.0}]
    return torch.optim.SGD(groups, lr=config.learning_rate)


def test_kept_frames_and_cached_features_are_read_once(folder: Path, tmp_path: Path) -> None:
    read: list[str] = []

    def counted(path: str) -> Frames:
        read.append(path)
        return frame_source(path)

    train_reranker(reranker(folder, tmp_path / "a", max_steps=3), examples(3), frame_source=counted)
    assert sorted(read) == sorted(set(read))
    read.clear()
    kept = reranker(folder, tmp_path / "b", vision="trained", keep_frames=True, max_steps=3)
    train_reranker(kept, examples(3), frame_source=counted)
    assert sorted(read) == sorted(set(read))


class Killed(Exception):
    """Stands for a power cut."""


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_ends_with_the_weights_of_an_uninterrupted_one(folder: Path, tmp_path: Path, optimizer: Any) -> None:
    # Two batches an epoch: it is killed in the middle of the third one, a step after its last checkpoint.
    options: dict[str, Any] = {"max_steps": 7, "schedule": "cosine", "optimizer": optimizer, "adapter": "none"}
    whole = train_reranker(reranker(folder, tmp_path / "whole", **options), examples(), frame_source=frame_source)
    steps = 0

    def killed(self: RerankerTask, network: Any, batch: Any) -> Any:
        nonlocal steps
        steps += 1
        if steps == 6:
            raise Killed
        return loss(self, network, batch)

    loss = RerankerTask.loss
    options["save_steps"] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RerankerTask, "loss", killed)
        with pytest.raises(Killed):
            train_reranker(reranker(folder, tmp_path / "cut", **options), examples(), frame_source=frame_source)
    with pytest.raises(InputError, match="resume: true"):
        train_reranker(reranker(folder, tmp_path / "cut", **options), examples(), frame_source=frame_source)
    resumed = train_reranker(reranker(folder, tmp_path / "cut", resume=True, **options), examples(), frame_source=frame_source)
    found = weights(resumed)
    for name, weight in weights(whole).items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=0, msg=name)
    assert curve(tmp_path / "cut", "loss") == pytest.approx(curve(tmp_path / "whole", "loss"), abs=1e-6)
    assert len(curve(tmp_path / "cut", "loss")) == 7  # no step twice


def test_the_checkpoint_that_ranks_the_pools_best_is_kept(folder: Path, tmp_path: Path) -> None:
    # The pools contradict the training data: every step makes their order worse.
    contrary = make_pools([example.model_copy(update={"true_label": 1 - example.true_label}) for example in examples(3)])  # type: ignore[operator]
    config = reranker(folder, tmp_path, max_steps=6, eval_steps=2, learning_rate=3e-3)
    found = train_reranker(config, examples(3), frame_source=frame_source, pools=contrary)
    judged = curve(tmp_path, "eval_nDCG@10")
    record = yaml.safe_load((found / "training.yaml").read_text())
    assert len(judged) == 3
    assert record["used"]["outcome"]["best_metric"] == pytest.approx(max(judged))
    assert record["used"]["outcome"]["best_step"] == 2 * (1 + judged.index(max(judged)))
    assert judged[-1] < max(judged)
    chosen = weights(tmp_path / "steps" / f"checkpoint-{2 * (1 + judged.index(max(judged)))}")
    for name, weight in weights(found).items():
        assert torch.equal(chosen[name], weight), name


def test_pools_count_missed_documents_and_break_ties_by_first_stage_order() -> None:
    of_one = examples(1)  # d0 is relevant
    pools = make_pools(of_one, {"q0": {"d0": 1, "d9": 1}, "q7": {"d1": 1}})
    # By hand: d0 second, so 1 / log2(3), of an ideal of 1 + 1 / log2(3) for two relevant documents.
    found = pools.measure(lambda some: [2.0 if one.doc_id == "d1" else 1.0 for one in some], batch_size=3)
    assert found["nDCG@10"] == pytest.approx(0.630930 / 1.630930, abs=1e-5)
    assert found["R@10"] == 0.5
    with pytest.raises(InputError, match="no document is relevant"):
        make_pools(of_one, {"q0": {"d1": 0}})


def test_a_checkpoint_records_its_prompt_and_run_and_loads_normally(folder: Path, tmp_path: Path) -> None:
    config = reranker(folder, tmp_path, max_steps=1, prompt="video-first", frames=FrameBudget(max_frames=8))
    found = train_reranker(config, examples(), frame_source=frame_source)
    assert load_prompt_spec(found) == VIDEO_FIRST.model_copy(update={"frames": FrameBudget(max_frames=8)})
    assert load_prompt_spec(folder) is None
    assert read_config(found / "training.yaml", RerankerConfig) == config
    used = yaml.safe_load((found / "training.yaml").read_text())["used"]
    assert used["examples"] == 24
    assert used["model_revision"] == fetch_checkpoint(str(folder), backend="transformers", setting="model").revision
    for name in ("processor_config.json", "tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (found / name).read_text() == (folder / name).read_text(), name
    settings = json.loads((found / "config.json").read_text())
    for part in ("text_config", "vision_config"):
        assert settings[part].pop("dtype") == "float32"  # transformers writes it wherever a model was loaded
    assert settings == json.loads((folder / "config.json").read_text())


def test_an_invalid_prompt_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "prompt_spec.json").write_text('{"name": "x", "wording": "y"}')
    with pytest.raises(InputError, match=r"prompt_spec\.json is not a PromptSpec: .*wording"):
        load_prompt_spec(tmp_path)


# Adapters


def real_shape(folder: Path) -> Path:
    """A Qwen3-VL-8B in shape: heads, key-value groups, patches, mrope and deepstack as they are; narrower, and fewer layers."""
    tiny = tiny_qwen3_vl(folder.with_name("tiny-for-real"))
    config = AutoConfig.from_pretrained(tiny)
    text, eyes = config.text_config, config.vision_config
    text.update({"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4, "head_dim": 128})
    text.update({"num_attention_heads": 32, "num_key_value_heads": 8})
    text.rope_parameters.update({"rope_theta": 5_000_000, "mrope_section": [24, 20, 20]})
    eyes.update({"hidden_size": 288, "intermediate_size": 1076, "num_heads": 4, "depth": 4, "out_hidden_size": 256})
    eyes.update({"num_position_embeddings": 2304, "deepstack_visual_indexes": [0, 1, 2]})
    torch.manual_seed(0)
    Qwen3VLForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(folder)
    AutoProcessor.from_pretrained(tiny).save_pretrained(folder)
    return folder


@pytest.mark.slow  # bfloat16, which most CPUs emulate
def test_lora_trains_from_files_to_a_merged_model(tmp_path: Path) -> None:
    base = real_shape(tmp_path / "base")
    clips = render_archive(tmp_path / "videos", clips=3, seed=1)
    with (tmp_path / "train.jsonl").open("w") as file:
        for number, clip in enumerate(clips):
            line = {
                "query_id": "q1",
                "query": "something red",
                "doc_id": clip.stem,
                "videos": [str(tmp_path / "videos" / f"{clip.stem}.mp4")],
                "true_label": int(number == 0),
                "teacher_p_yes": 0.8,
                "evidence": {"caption": "a red square", "asr": ""},
                "teacher_reasoning": "it is red",
                "teacher_label": 1,
                "teacher_logit_delta": 1.4,
                "meta": {"rank": number, "score": 0.5},
            }
            file.write(json.dumps(line) + "\n")
    (tmp_path / "run.yaml").write_text(
        f"""
model: {base}
data: {tmp_path / "train.jsonl"}
output: {tmp_path / "out"}
device: cpu
precision: bfloat16
max_steps: 2
gradient_accumulation: 1
learning_rate: 1e-3
frames: {{max_frames: 4, min_pixels: 4096, max_pixels: 16384}}
"""
    )
    told = read_config(tmp_path / "run.yaml", RerankerConfig)
    adapter = train_reranker(told, list(read_examples(told.data or "")))
    assert adapter == tmp_path / "out" / "adapter"
    matrices = load_file(adapter / "adapter_model.safetensors")
    # By hand: 4 layers x 7 matrices x (A, B), in the language model only.
    assert len(matrices) == 56
    assert all("language_model" in name for name in matrices)
    assert matrices["base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight"].shape == (16, 256)
    with pytest.raises(InputError, match="is an adapter"):
        load(str(adapter))
    merged = merge_adapter(adapter, tmp_path / "merged")
    assert load_prompt_spec(merged) == told.spec
    before, after = load_file(base / "model.safetensors"), load_file(merged / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.endswith("_proj.weight") and "language_model" in name for name in changed)
    assert (
        load(str(merged), device="cpu")
        .label_logprobs([told.spec.prompt("something red", frame_source("0"))], told.spec.labels)[0]
        .values
    )
    with pytest.raises(InputError, match="is not empty"):
        merge_adapter(adapter, tmp_path / "merged")


def test_a_merged_adapter_gives_the_margins_of_training(folder: Path, tmp_path: Path) -> None:
    config = reranker(folder, tmp_path, adapter="lora", vision="cached", merge=True, max_steps=3, learning_rate=1e-2)
    found = train_reranker(config, examples(3), frame_source=frame_source, pools=make_pools(examples(3)))
    assert found == tmp_path / "model"
    base = AutoModelForImageTextToText.from_pretrained(folder)
    adapted = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    task = task_of(folder, base, config)
    few = examples(3)[:3]
    expected = task.margins(adapted, task.collate(few).prompts).tolist()
    assert watched_by(found, SHORT, few) == pytest.approx(expected, abs=1e-4)
    assert expected != pytest.approx(watched_by(folder, SHORT, few), abs=1e-2)


def test_qlora_without_its_package_names_it(folder: Path, tmp_path: Path) -> None:
    if find_spec("bitsandbytes"):
        pytest.skip("it is installed")
    with pytest.raises(MissingDependency, match="pip install bitsandbytes"):
        train_reranker(reranker(folder, tmp_path, adapter="qlora", vision="frozen"), examples(), frame_source=frame_source)


# The embedder


def embedder(folder: Path, output: Path, **options: Any) -> EmbedderConfig:
    quick = {"adapter": "none", "vision": "cached", "gradient_accumulation": 1, "gradient_checkpointing": False}
    steps = {"max_steps": 3, "learning_rate": 1e-3, "schedule": "constant", "device": "cpu", "log_steps": 1}
    return EmbedderConfig(model=str(folder), output=str(output), **(quick | steps | {"groups_per_batch": 3} | options))


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_a_saved_embedder_gives_the_trained_vectors(folder: Path, tmp_path: Path, adapter: Any) -> None:
    config = embedder(folder, tmp_path, adapter=adapter, max_steps=12, query_prompt="Find: ", merge=adapter == "lora")
    found = train_embedder(config, examples(3), frame_source=frame_source)
    assert curve(tmp_path, "infonce")[-1] < 0.7 * curve(tmp_path, "infonce")[0]
    used = load_embedder("sentence_transformers", str(found), device="cpu")
    assert (used.info.query_prompt, used.info.document_prompt, used.info.pooling) == ("Find: ", "", "lasttoken")
    again = load_trainable_embedder(embedder(found, tmp_path / "again"))
    task = EmbedderTask(config, again, examples(3), frame_source, None)
    batch = task.collate(examples(3)[:8])
    with torch.no_grad():
        queries, videos = (task.vectors(again.network.eval(), side).numpy() for side in (batch.queries, batch.documents))
    expected = used.embed_queries(["a red square number 0", "a red square number 1"])
    np.testing.assert_allclose(queries, np.stack(expected), atol=1e-5)  # type: ignore[arg-type]
    clips = [ClipMedia(frame_source(str(number))) for number in range(8)]
    np.testing.assert_allclose(videos, np.stack(used.embed_clips(clips)), atol=1e-5)  # type: ignore[arg-type]


def test_relevant_and_nearly_as_good_videos_are_no_negatives(folder: Path) -> None:
    # Of q0, d0 and d1 are relevant; the judge finds d2 as good as these, and d3 bad. It has not looked at q1.
    margins = {"d0": 3.0, "d1": 5.0, "d2": 6.0, "d3": -4.0}
    some = [
        example.model_copy(
            update={
                "true_label": int(example.doc_id in ("d0", "d1", "d4")),
                "teacher_logit_delta": margins.get(example.doc_id),
            }
        )
        for example in examples(2)
    ]
    config = embedder(folder, Path("unused"))
    trainable = load_trainable_embedder(config)
    task = EmbedderTask(config, trainable, some, frame_source, None)
    batch = task.collate(some[:2] + some[3:6])
    assert batch.positives.tolist() == [[True, True, False, False, False], [False, False, False, True, False]]
    batch = task.collate(some)
    loss = task.loss(trainable.network, batch)
    similarity = task.vectors(trainable.network, batch.queries) @ task.vectors(trainable.network, batch.documents).T
    kept = [0, 1, 3, 4, 5, 6, 7]  # of q0: without d2
    first = infonce(similarity[:1, kept], batch.positives[:1, kept], tau=0.02)
    second = infonce(similarity[1:], batch.positives[1:], tau=0.02)
    torch.testing.assert_close(loss.total, (first + second) / 2, atol=1e-4, rtol=1e-5)
    soft = EmbedderTask(embedder(folder, Path("unused"), lambda_judge=2.0), trainable, some, frame_source, None)
    shares = symmetric_kl(similarity[:1, :4], torch.sigmoid(torch.tensor([[3.0, 5.0, 6.0, -4.0]])), tau=0.02)
    expected = loss.total + 2.0 * shares  # averaged over the queries that were judged: the first
    torch.testing.assert_close(soft.loss(trainable.network, batch).total, expected, atol=1e-3, rtol=1e-4)


def test_score_files_replace_the_teacher(folder: Path, tmp_path: Path) -> None:
    score = Score(margin=0.0, p_yes=0.5, logprob_yes=-1.0, logprob_no=-1.0)
    (tmp_path / "d1_reranking_judge.json").write_bytes(scores_to_json("d1", {"q0": score}))
    config = embedder(folder, tmp_path / "unused", judge=str(tmp_path))
    assert teacher_scores(config, examples(1)) == {("q0", "d1"): 0.5}


def test_an_embedder_checkpoint_is_selected_by_its_pools(folder: Path, tmp_path: Path) -> None:
    config = embedder(folder, tmp_path, eval_steps=2, max_steps=3)
    found = train_embedder(config, examples(3), frame_source=frame_source, pools=make_pools(examples(3)))
    judged = curve(tmp_path, "eval_nDCG@10")
    assert len(judged) == 2  # at step 2, and at the end
    assert yaml.safe_load((found / "training.yaml").read_text())["used"]["outcome"]["best_metric"] == max(judged)


# What cannot be


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("model: x\noutput: y\nlr: 1e-5", r"unknown key 'lr': known are model, output, data, .*learning_rate"),
        ("model: x\noutput: y\nlora: {rnk: 4}", r"lora\.rnk"),
        ("model: x\nmodel: y\noutput: z", r"'model' is repeated"),
        ("model: x", r"output: Field required"),
        ("model: x\noutput: y\nvision: trained", r"vision: trained needs adapter: none"),
        ("model: x\noutput: y\noptimizer: muon", r"muon needs adapter: none"),
        ("model: x\noutput: y\nadapter: none\nmerge: true", r"merge: true needs an adapter"),
        ("model: x\noutput: y\nvision: cached\nworkers: 2", r"workers: 0"),
        ("model: x\noutput: y\nprompt: mine", r"unknown prompt 'mine'"),
        ("model: x\noutput: y\nqrels: q", r"give pools too"),
        ("- model", r"lines are needed"),
        ("model: [", r"is not valid YAML"),
    ],
)
def test_contradictory_configurations_are_refused_with_a_fix(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "run.yaml").write_text(lines)
    with pytest.raises(InputError, match=said):
        read_config(tmp_path / "run.yaml", RerankerConfig)


def test_defaults_follow_the_paper_and_the_preset_the_repository() -> None:
    paper = RerankerConfig(model="x", output="y")
    assert (paper.learning_rate, paper.schedule, paper.warmup_share, paper.epochs) == (1e-5, "cosine", 0.03, 2.0)
    assert (paper.gradient_accumulation, paper.negatives, paper.lambda_pointwise, paper.lambda_teacher) == (8, 2, 0.5, 5.0)
    assert (paper.tau_pair, paper.tau_teacher, paper.tau_pointwise, paper.seed) == (10.0, 5.0, 1.0, 42)
    assert (paper.lora.rank, paper.lora.alpha, paper.lora.dropout) == (16, 32, 0.05)
    assert paper.spec == RANKVIDEO_TRAIN
    repository = RerankerConfig(model="x", output="y", preset="repository")
    assert (repository.negatives, repository.lambda_pointwise) == (1, 1.0)
    assert RerankerConfig(model="x", output="y", preset="repository", negatives=5).negatives == 5
    one = PerceptionConfig(model="x", output="y")
    assert (one.epochs, one.gradient_accumulation, one.batch_size, one.frames.max_frames) == (1.0, 16, 1, 32)


def test_muon_updates_matrices_of_blocks_and_mergers_only(network: Any) -> None:
    config = reranker(Path("x"), Path("y"), optimizer="muon", vision="trained", adamw_learning_rate=5e-4)
    found = make_optimizer(network, config)
    assert isinstance(found, MuonAndAdamW)
    names = {id(weight): name for name, weight in network.named_parameters()}
    muon = {names[id(weight)] for group in found.parts[0].param_groups for weight in group["params"]}
    adamw = {names[id(weight)] for group in found.parts[1].param_groups for weight in group["params"]}
    assert muon | adamw == set(names.values())
    # By hand: 3 text layers x (4 + 3) matrices, 3 vision layers x (2 + 2), 3 mergers x 2.
    assert len(muon) == 39
    assert not muon & adamw
    assert {"model.language_model.embed_tokens.weight", "model.visual.patch_embed.proj.weight"} <= adamw
    assert "model.visual.pos_embed.weight" in adamw
    assert {group["lr"] for group in found.param_groups} == {1e-3, 5e-4}


def test_muon_takes_the_step_of_torch_optim_muon() -> None:
    # torch orthogonalizes in bfloat16, which has 8 bits of precision; the largest entry of an update is 0.2 * lr * sqrt(24).
    torch.manual_seed(0)
    shapes = [(24, 8), (8, 24), (16, 16)]
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]
    theirs = [torch.nn.Parameter(weight.detach().clone()) for weight in ours]
    optimizers = [
        Muon(ours, lr=0.1, weight_decay=0.1),
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
    ]
    for _ in range(3):
        gradients = [torch.randn(shape) for shape in shapes]
        for weights_, optimizer in zip([ours, theirs], optimizers, strict=True):
            for weight, gradient in zip(weights_, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, atol=0.003, rtol=0)


def test_orthogonalize_brings_singular_values_near_one() -> None:
    # Jordan et al.: the five iterations bring every singular value between about 0.7 and 1.2.
    values = torch.linalg.svdvals(orthogonalize(torch.randn(48, 16, generator=torch.Generator().manual_seed(0))))
    assert values.min() > 0.6
    assert values.max() < 1.25


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        # By hand, of 10 steps with 2 of warm-up; `decay` falls over the last 4.
        ("constant", [0, 0.5, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("decay", [0, 0.5, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
    ],
)
def test_learning_rate_schedules_follow_the_configuration(schedule: Any, expected: list[float]) -> None:
    config = reranker(Path("x"), Path("y"), schedule=schedule, warmup_share=0.2, decay_share=0.4, learning_rate=1.0)
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    rates = make_schedule(optimizer, config, steps=10)
    found = []
    for _ in range(10):
        found.append(rates.get_last_lr()[0])
        optimizer.step()
        rates.step()
    assert found == pytest.approx(expected)


def test_examples_without_a_path_or_a_caption_are_refused(folder: Path, tmp_path: Path) -> None:
    bare = [TrainingExample(query_id="q", query="a star", doc_id=str(i), true_label=i) for i in (0, 1)]
    with pytest.raises(InputError, match="names no file"):
        train_reranker(reranker(folder, tmp_path / "a"), bare, frame_source=frame_source)
    with pytest.raises(InputError, match="has a caption"):
        train_perception(perception(folder, tmp_path / "b"), bare, frame_source=frame_source)


def test_a_model_of_another_family_is_refused(tmp_path: Path) -> None:
    other = tiny_omni_embedder(tmp_path / "omni")
    with pytest.raises((InputError, ModelError)):
        train_embedder(embedder(other, tmp_path / "out"), examples(), frame_source=frame_source)


def test_the_command_trains_by_its_file_and_prints_the_folder(folder: Path, tmp_path: Path) -> None:
    clips = render_archive(tmp_path / "videos", clips=3, seed=1)
    some = [
        example.model_copy(update={"videos": (str(tmp_path / "videos" / f"{clip.stem}.mp4"),)})
        for example, clip in zip(examples(1), clips, strict=False)
    ]
    write_examples(tmp_path / "train.jsonl", some)
    given = {
        "model": str(folder),
        "data": str(tmp_path / "train.jsonl"),
        "pools": str(tmp_path / "train.jsonl"),
        "output": str(tmp_path / "out"),
        "adapter": "none",
        "max_steps": 1,
        "device": "cpu",
        "frames": {"max_frames": 4, "min_pixels": 4096, "max_pixels": 4096},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(given))
    answer = CliRunner().invoke(app, ["reranker", "--config", str(tmp_path / "run.yaml")])
    assert answer.exit_code == 0, answer.output
    assert str(tmp_path / "out" / "model") in answer.stdout.replace("\n", "")
    assert "nDCG@10" in answer.stderr
    (tmp_path / "run.yaml").write_text("model: x\noutput: y")
    with pytest.raises(InputError, match="`data` is missing"):
        CliRunner().invoke(app, ["reranker", "--config", str(tmp_path / "run.yaml")], catch_exceptions=False)


@pytest.mark.parametrize(
    ("example", "kind"),
    [("train_perception", PerceptionConfig), ("train_reranker", RerankerConfig), ("train_embedder", EmbedderConfig)],
)
def test_the_examples_of_configurations_can_be_read(example: str, kind: Any) -> None:
    assert read_config(Path(__file__).parents[2] / "examples" / f"{example}.yaml", kind).model.startswith("Qwen/")
