"""The transformers backend on a tiny Qwen3-VL with random weights, against direct computation."""

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from rankvideo_rag.errors import InputError, MissingDependency, ModelError
from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt, load_vlm
from rankvideo_rag.models.vlm.prompt_spec import RANKVIDEO
from rankvideo_rag.models.vlm.transformers import TransformersVLM, load
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

LABELS = ("yes", "no")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl(tmp_path_factory.mktemp("vlm") / "tiny")


@pytest.fixture(scope="module")
def vlm(folder: Path) -> TransformersVLM:
    return load(str(folder), device="cpu", batch_size=3)


def frames(times: Sequence[float], *, width: int = 64, height: int = 64, seed: int = 0) -> Frames:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(times), height, width, 3), dtype=np.uint8)
    return Frames(pixels, np.array(times, dtype=np.float64))


def several_prompts() -> list[Prompt]:
    return [
        RANKVIDEO.prompt("a red square moves to the left", frames([0.0, 0.5, 1.0, 1.5])),
        RANKVIDEO.prompt("stars", frames([0.0, 0.5, 1.0, 1.5, 2.0], width=96, height=32, seed=1)),
        Prompt("", ("is the star green?",)),
        RANKVIDEO.prompt("a blue circle", frames([7.25], seed=2)),
        Prompt("Compare.", ("first ", frames([0.0, 1.0], seed=3), " second ", frames([2.0, 3.0], seed=4))),
    ]


def straight_line_logits(folder: Path, chat: str, shown: Frames) -> np.ndarray:
    """Logits of every position, from a chat whose video tokens stand in it already; nothing of the package's code."""
    processor, network = AutoProcessor.from_pretrained(folder), AutoModelForImageTextToText.from_pretrained(folder)
    video = processor.video_processor(
        videos=[torch.tensor(shown.pixels).permute(0, 3, 1, 2)], do_resize=False, do_sample_frames=False, return_tensors="pt"
    )
    ids = processor.tokenizer(chat, return_tensors="pt").input_ids
    with torch.no_grad():
        logits = network(
            input_ids=ids,
            mm_token_type_ids=2 * (ids == processor.video_token_id).int(),  # 2 marks a token of a video
            pixel_values_videos=video["pixel_values_videos"],
            video_grid_thw=video["video_grid_thw"],
        ).logits[0]
    values: np.ndarray = logits.numpy().astype(np.float64)
    return values


def label_logprob(folder: Path, logits: np.ndarray, label: str) -> float:
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    return float(np.log(sum(probability[id] for id in range(len(logits)) if tokenizer.decode([id]).strip().lower() == label)))


# By hand: 64x64 is 2x2 merged patches of 32 pixels, two frames each, so 4 tokens a pair. The odd last frame is doubled.
# The times in the text are the means of the pairs: of (30.0, 30.4), (33.0, 33.6) and (41.0, 41.0).
UNEVEN = frames([30.0, 30.4, 33.0, 33.6, 41.0])
PAIR = "<|vision_start|>" + 4 * "<|video_pad|>" + "<|vision_end|>"
CHAT = (
    "<|im_start|>system\n"
    "You are a helpful assistant specialized in video and text understanding. Given a text query and a video, your task is to "
    "determine if the video is relevant to the query. Respond with <answer>yes</answer> if the video is relevant, or "
    "<answer>no</answer> if it is not. <|im_end|>\n"
    "<|im_start|>user\n"
    "Query: a red square\n"
    "Is the video relevant to the query? Respond with <answer>yes</answer> or <answer>no</answer>."
    f"<30.2 seconds>{PAIR}<33.3 seconds>{PAIR}<41.0 seconds>{PAIR}<|im_end|>\n"
    "<|im_start|>assistant\n"
)


@pytest.mark.parametrize(("read_position", "prefill"), [("first_token", ""), ("after_answer_tag", "<answer>")])
def test_log_probabilities_equal_a_direct_computation(
    folder: Path, vlm: TransformersVLM, read_position: str, prefill: str
) -> None:
    spec = RANKVIDEO.model_copy(update={"read_position": read_position})
    logits = straight_line_logits(folder, CHAT + prefill, UNEVEN)[-1]
    expected = [label_logprob(folder, logits, label) for label in LABELS]
    [answer] = vlm.label_logprobs([spec.prompt("a red square", UNEVEN)], LABELS)
    assert answer.values == pytest.approx(expected, abs=1e-4)
    assert answer.reason is None


def test_generation_is_greedy(folder: Path, vlm: TransformersVLM) -> None:
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    written: list[int] = []
    for _ in range(5):
        chat = CHAT + tokenizer.decode(written)
        written.append(int(straight_line_logits(folder, chat, UNEVEN)[-1].argmax()))
        if "\ufffd" in tokenizer.decode(written):  # half a letter: text cannot carry it into the next round
            break
    [answer] = vlm.generate([RANKVIDEO.prompt("a red square", UNEVEN)], max_tokens=len(written))
    assert answer == (tokenizer.decode(written, skip_special_tokens=True), len(written))
    assert len(written) > 1


def test_the_end_of_a_turn_ends_the_text_and_is_not_counted(folder: Path) -> None:
    vlm = load(str(folder), device="cpu", batch_size=8)
    first = int(straight_line_logits(folder, CHAT, UNEVEN)[-1].argmax())
    text = AutoProcessor.from_pretrained(folder).tokenizer.decode([first])
    second = int(straight_line_logits(folder, CHAT + text, UNEVEN)[-1].argmax())
    prompts = [RANKVIDEO.prompt("a red square", UNEVEN), *several_prompts()]
    vlm.network.generation_config.eos_token_id = [second]
    ended, *others = vlm.generate(prompts, max_tokens=4)
    assert ended == (text, 1)
    assert max(answer.tokens for answer in others) == 4  # while the others in the batch go on


def test_a_batch_gives_the_numbers_of_one_prompt_at_a_time(vlm: TransformersVLM) -> None:
    prompts = several_prompts()
    together = vlm.label_logprobs(prompts, LABELS)
    for prompt, answer in zip(prompts, together, strict=True):
        [alone] = vlm.label_logprobs([prompt], LABELS)
        assert answer.values == pytest.approx(alone.values, abs=1e-4)
    assert len({answer.values for answer in together}) == len(prompts)


def test_a_batch_writes_the_texts_of_one_prompt_at_a_time(vlm: TransformersVLM) -> None:
    prompts = several_prompts()
    together = vlm.generate(prompts, max_tokens=4)
    assert together == [vlm.generate([prompt], max_tokens=4)[0] for prompt in prompts]
    assert len(set(together)) > 1


def test_every_spelling_of_a_label_counts(folder: Path, vlm: TransformersVLM) -> None:
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    spellings = {tokenizer.decode([id]) for id in range(len(tokenizer)) if tokenizer.decode([id]).strip().lower() == "yes"}
    assert spellings == {"yes", " yes", "Yes", " Yes", "YES", " YES"}
    logits = straight_line_logits(folder, CHAT, UNEVEN)[-1]
    single = logits[tokenizer.convert_tokens_to_ids("yes")] - np.log(np.exp(logits).sum())
    [answer] = vlm.label_logprobs([RANKVIDEO.prompt("a red square", UNEVEN)], ["Yes "])
    assert answer.values is not None
    assert answer.values[0] > single


def test_a_label_without_a_token_has_a_reason_and_no_number(vlm: TransformersVLM) -> None:
    answers = vlm.label_logprobs(several_prompts(), ["yes", "telescope"])
    assert [answer.values for answer in answers] == [None] * 5
    assert "'telescope'" in (answers[0].reason or "")


def test_frame_times_are_part_of_the_prompt(vlm: TransformersVLM) -> None:
    early, late = frames([0.0, 0.5, 1.0, 1.5]), frames([60.0, 60.5, 61.0, 61.5])
    answers = vlm.label_logprobs([RANKVIDEO.prompt("a star", shown) for shown in (early, late)], LABELS)
    assert answers[0].values != pytest.approx(answers[1].values, abs=1e-3)


def test_read_only_frames_are_accepted(vlm: TransformersVLM) -> None:
    shown = frames([0.0, 0.5])
    before = vlm.label_logprobs([RANKVIDEO.prompt("a star", shown)], LABELS)
    shown.pixels.flags.writeable = False
    assert vlm.label_logprobs([RANKVIDEO.prompt("a star", shown)], LABELS) == before


def test_a_video_without_frames_abstains_without_affecting_others(vlm: TransformersVLM) -> None:
    empty, seen = RANKVIDEO.prompt("a star", frames([])), RANKVIDEO.prompt("a star", frames([0.0, 0.5]))
    nothing, something = vlm.label_logprobs([empty, seen], LABELS)
    assert nothing.values is None
    assert nothing.abstained
    assert something.values is not None
    with pytest.raises(InputError, match="without frames"):
        vlm.generate([seen, empty], max_tokens=1)


def test_frames_of_unsuitable_size_are_refused_with_a_suitable_budget(vlm: TransformersVLM) -> None:
    with pytest.raises(InputError, match=r"80x64.*multiple=32"):
        vlm.label_logprobs([RANKVIDEO.prompt("a star", frames([0.0, 0.5], width=80))], LABELS)


def test_overflowing_logits_give_a_reason(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.language_model.norm.weight"].fill_(float("nan"))
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    [answer] = load(str(broken), device="cpu").label_logprobs([RANKVIDEO.prompt("a star", frames([0.0, 0.5]))], LABELS)
    assert answer.values is None
    assert not answer.abstained
    assert "overflow" in (answer.reason or "")


def test_concurrent_threads_get_the_same_results(vlm: TransformersVLM) -> None:
    prompts = several_prompts()
    expected = [vlm.label_logprobs([prompt], LABELS) for prompt in prompts]
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(lambda prompt: vlm.label_logprobs([prompt], LABELS), prompts)) == expected


def test_no_prompts_are_no_answers(vlm: TransformersVLM) -> None:
    assert vlm.label_logprobs([], LABELS) == []
    assert vlm.generate([], max_tokens=1) == []


def test_the_name_depends_on_the_weights_not_on_the_path(folder: Path, tmp_path: Path) -> None:
    def revision(path: Path) -> str:
        return load(str(path), device="cpu").name.rpartition("@")[2]

    moved = shutil.copytree(folder, tmp_path / "moved")
    (moved / "README.md").write_text("moved")
    other = tiny_qwen3_vl(tmp_path / "other", seed=1)
    assert load(str(folder), device="cpu").name.startswith(f"transformers:{folder}@")
    assert revision(folder) == revision(moved) != revision(other)


def test_a_missing_folder_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"reranker_model.*no such folder"):
        load_vlm("transformers", str(tmp_path / "missing"))


def test_a_file_is_refused_where_a_folder_is_needed(folder: Path) -> None:
    with pytest.raises(InputError, match="is a file"):
        load_vlm("transformers", str(folder / "config.json"))


def test_no_model_is_refused_with_the_setting_to_change() -> None:
    with pytest.raises(InputError, match="reranker_model"):
        load_vlm("transformers")


def test_a_hub_name_without_a_network_suggests_a_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"local folder.*reranker_model"):
        load_vlm("transformers", "rankvideo-rag-tests/no-such-model")


def test_a_downloaded_hub_model_loads_offline_with_its_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(folder, tmp_path / "models--somebody--tiny" / "snapshots" / commit)
    (tmp_path / "models--somebody--tiny" / "refs").mkdir()
    (tmp_path / "models--somebody--tiny" / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert load("somebody/tiny", device="cpu").name == f"transformers:somebody/tiny@{commit}"


def test_weights_that_are_not_safetensors_are_refused(folder: Path, tmp_path: Path) -> None:
    pickled = shutil.copytree(folder, tmp_path / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="safetensors"):
        load(str(pickled), device="cpu")


def test_code_of_a_model_is_never_run(folder: Path, tmp_path: Path) -> None:
    hostile = shutil.copytree(folder, tmp_path / "hostile")
    config = json.loads((hostile / "config.json").read_text())
    config |= {"model_type": "hostile", "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForImageTextToText": "evil.Evil"}}
    (hostile / "config.json").write_text(json.dumps(config))
    (hostile / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass")
    with pytest.raises(ModelError):
        load(str(hostile), device="cpu")
    assert not (tmp_path / "ran").exists()


def test_flash_attention_is_refused_without_support(folder: Path) -> None:
    with pytest.raises(InputError, match=r"on 'cpu'.*use 'sdpa'"):
        load(str(folder), device="cpu", attention="flash_attention_2")
    with pytest.raises(MissingDependency, match="flash-attn"):
        load(str(folder), device="cuda", attention="flash_attention_2")


def test_a_missing_device_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match="'cuda:99'"):
        load(str(folder), device="cuda:99")
