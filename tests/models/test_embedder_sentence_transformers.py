"""The sentence-transformers backend on tiny models with random weights: a video model and a picture model."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from support.tiny_embedders import (
    DOCUMENT_PROMPT,
    QUERY_PROMPT,
    tiny_clip_embedder,
    tiny_omni_embedder,
    tiny_qwen3_vl_embedder,
)
from transformers import AutoModel, AutoProcessor

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.media import ClipMedia, Frames
from rankvideo_rag.models.embedders import load_embedder
from rankvideo_rag.models.embedders.sentence_transformers import SentenceTransformersEmbedder, load
from rankvideo_rag.schema import FrameBudget
from rankvideo_rag.testing.tiny_checkpoints import tiny_qwen3_vl

SOUND = ClipMedia(None, np.sin(np.arange(16_000, dtype=np.float32) / 20))
QUESTIONS = ["a red square moves to the left", "a blue circle is still", "star"]


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen3_vl_embedder(tmp_path_factory.mktemp("video") / "tiny")


@pytest.fixture(scope="module")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip_embedder(tmp_path_factory.mktemp("picture") / "tiny")


@pytest.fixture(scope="module")
def video(video_folder: Path) -> SentenceTransformersEmbedder:
    return load(str(video_folder), device="cpu")


@pytest.fixture(scope="module")
def picture(picture_folder: Path) -> SentenceTransformersEmbedder:
    return load(str(picture_folder), device="cpu")


@pytest.fixture(scope="module")
def omni(tmp_path_factory: pytest.TempPathFactory) -> SentenceTransformersEmbedder:
    return load(str(tiny_omni_embedder(tmp_path_factory.mktemp("omni") / "tiny")), device="cpu")


@pytest.fixture(params=["video", "picture"])
def embedder(request: pytest.FixtureRequest) -> SentenceTransformersEmbedder:
    chosen: SentenceTransformersEmbedder = request.getfixturevalue(request.param)
    return chosen


def clip(times: Sequence[float], *, width: int = 64, height: int = 64, seed: int = 0) -> ClipMedia:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(times), height, width, 3), dtype=np.uint8)
    return ClipMedia(Frames(pixels, np.array(times, dtype=np.float64)))


def several_clips() -> list[ClipMedia]:
    return [
        clip([0.0, 0.5, 1.0, 1.5]),
        clip([0.0, 0.5, 1.0, 1.5, 2.0], width=96, height=32, seed=1),
        clip([7.25], seed=2),
        clip([0.0, 1.0, 2.0], seed=3),
        clip([3.0, 3.5, 4.0, 4.5], seed=4),
    ]


def matrix(vectors: Sequence[np.ndarray | None]) -> np.ndarray:
    """(n, dim) float32; fails where a vector is missing."""
    assert all(vector is not None for vector in vectors)
    return np.stack(vectors)  # type: ignore[arg-type]


def cosines(rows: np.ndarray) -> np.ndarray:
    similarities: np.ndarray = rows @ rows.T
    return similarities[np.triu_indices(len(rows), k=1)]


def test_vectors_are_of_length_one_and_single_precision(embedder: SentenceTransformersEmbedder) -> None:
    for vectors in (embedder.embed_queries(QUESTIONS), embedder.embed_clips(several_clips())):
        rows = matrix(vectors)
        assert rows.shape == (len(vectors), embedder.info.dim)
        assert rows.dtype == np.float32
        assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-6)


def test_different_questions_have_different_vectors(embedder: SentenceTransformersEmbedder) -> None:
    assert cosines(matrix(embedder.embed_queries(QUESTIONS))).max() < 0.999


def test_different_clips_have_different_vectors(embedder: SentenceTransformersEmbedder) -> None:
    assert cosines(matrix(embedder.embed_clips(several_clips()))).max() < 0.99999


def test_a_batch_gives_the_vectors_of_one_at_a_time(embedder: SentenceTransformersEmbedder) -> None:
    clips = several_clips()
    together = matrix(embedder.embed_clips(clips))
    assert together == pytest.approx(matrix([embedder.embed_clips([one])[0] for one in clips]), abs=1e-5)
    asked = matrix(embedder.embed_queries(QUESTIONS))
    assert asked == pytest.approx(matrix([embedder.embed_queries([one])[0] for one in QUESTIONS]), abs=1e-5)


def test_a_sound_only_clip_has_no_vector_without_audio_support(embedder: SentenceTransformersEmbedder) -> None:
    seen = clip([0.0, 0.5])
    vectors = embedder.embed_clips([SOUND, seen, ClipMedia(None), clip([])])
    assert [vector is None for vector in vectors] == [True, False, True, True]
    assert matrix([vectors[1]]) == pytest.approx(matrix(embedder.embed_clips([seen])), abs=1e-6)


def test_a_question_without_words_has_no_vector(embedder: SentenceTransformersEmbedder) -> None:
    vectors = embedder.embed_queries(["", " \n\u200b", "star"])
    assert [vector is None for vector in vectors] == [True, True, False]


def test_a_question_that_is_a_url_is_embedded_as_text_and_not_fetched(embedder: SentenceTransformersEmbedder) -> None:
    assert matrix(embedder.embed_queries(["https://example.org/picture.jpg", "data:image/png;base64,AAAA"])).shape[0] == 2


def test_a_question_cannot_contain_control_tokens(embedder: SentenceTransformersEmbedder) -> None:
    asked = embedder.embed_queries(["star<|video_pad|><|im_end|>", "star< |video_pad|>< |im_end|>"])
    assert matrix(asked)[0] == pytest.approx(matrix(asked)[1])


def test_a_model_loaded_again_gives_the_same_vectors(video_folder: Path, video: SentenceTransformersEmbedder) -> None:
    again = load_embedder("sentence_transformers", str(video_folder), device="cpu")
    assert again.info == video.info
    assert np.array_equal(matrix(again.embed_clips(several_clips())), matrix(video.embed_clips(several_clips())))
    assert np.array_equal(matrix(again.embed_queries(QUESTIONS)), matrix(video.embed_queries(QUESTIONS)))


def test_concurrent_threads_get_the_same_vectors(video: SentenceTransformersEmbedder) -> None:
    clips = several_clips()
    expected = [matrix(video.embed_clips([one])) for one in clips]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda one: matrix(video.embed_clips([one])), clips))
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))


def test_the_info_of_a_video_model_describes_its_vectors(video: SentenceTransformersEmbedder) -> None:
    info = video.info
    assert (info.backend, info.dim, info.pooling, info.normalized) == ("sentence_transformers", 64, "lasttoken", True)
    assert info.modalities == ("video",)
    assert (info.query_prompt, info.document_prompt) == (QUERY_PROMPT, DOCUMENT_PROMPT)
    # The tiny processor takes 2 frames a second, 8 of them and 8 x 64 x 64 pixels in all.
    assert info.frames == FrameBudget(fps=2, max_frames=8, min_frames=4, min_pixels=4096, max_pixels=4096, multiple=32)


def test_the_info_of_an_image_model_says_that_frames_are_averaged(picture: SentenceTransformersEmbedder) -> None:
    info = picture.info
    assert (info.dim, info.modalities, info.pooling) == (24, ("image",), "projection, mean over frames")
    assert (info.query_prompt, info.document_prompt) == ("", "")


def test_an_audio_model_embeds_sound_alone_and_with_video(omni: SentenceTransformersEmbedder) -> None:
    assert omni.info.modalities == ("video", "audio")
    silent = clip([0.0, 0.5, 1.0, 1.5], width=56, height=56)
    other_sound = SOUND.audio[::-1][:8_000].copy() if SOUND.audio is not None else None
    clips = [silent, silent._replace(audio=SOUND.audio), silent._replace(audio=other_sound), SOUND, ClipMedia(None)]
    *heard, nothing = omni.embed_clips(clips)
    assert nothing is None
    assert cosines(matrix(heard)).max() < 0.99
    assert matrix(heard) == pytest.approx(matrix([omni.embed_clips([one])[0] for one in clips[:-1]]), abs=1e-5)


def test_a_model_that_uses_a_frame_rate_gets_the_true_one(omni: SentenceTransformersEmbedder) -> None:
    quick, slow = (clip((np.arange(4) * step).tolist(), width=56, height=56) for step in (0.5, 1.5))
    assert omni.info.frames.multiple == 28
    assert cosines(matrix(omni.embed_clips([quick, slow]))).max() < 0.99


# By hand: 64x64 is 2x2 merged patches of 32 pixels, two frames each. The odd last frame is doubled.
# The times in the text are the means of the pairs: of (30.0, 30.4), (33.0, 33.6) and (41.0, 41.0).
UNEVEN = [30.0, 30.4, 33.0, 33.6, 41.0]
PAIR = "<|vision_start|>" + 4 * "<|video_pad|>" + "<|vision_end|>"


def test_a_clip_vector_is_the_last_state_of_a_chat_with_true_times(
    video_folder: Path, video: SentenceTransformersEmbedder
) -> None:
    chat = (
        f"<|im_start|>system\n{DOCUMENT_PROMPT}<|im_end|>\n<|im_start|>user\n<|vision_start|>"
        f"<30.2 seconds>{PAIR}<33.3 seconds>{PAIR}<41.0 seconds>{PAIR}<|vision_end|><|im_end|>\n<|im_start|>assistant\n"
    )
    shown = clip(UNEVEN)
    assert shown.frames is not None
    processor, network = AutoProcessor.from_pretrained(video_folder), AutoModel.from_pretrained(video_folder)
    pixels = torch.tensor(shown.frames.pixels).permute(0, 3, 1, 2)
    seen = processor.video_processor(videos=[pixels], do_resize=False, do_sample_frames=False, return_tensors="pt")
    ids = processor.tokenizer(chat, return_tensors="pt").input_ids
    kinds = 2 * (ids == processor.video_token_id).int()  # 2 marks a token of a video
    with torch.no_grad():
        states = network(
            input_ids=ids,
            mm_token_type_ids=kinds,
            pixel_values_videos=seen["pixel_values_videos"],
            video_grid_thw=seen["video_grid_thw"],
        ).last_hidden_state
    last = states[0, -1].numpy()
    assert matrix(video.embed_clips([shown]))[0] == pytest.approx(last / np.linalg.norm(last), abs=1e-5)


def test_a_question_vector_is_the_last_state_of_a_chat_with_the_query_prompt(
    video_folder: Path, video: SentenceTransformersEmbedder
) -> None:
    chat = f"<|im_start|>system\n{QUERY_PROMPT}<|im_end|>\n<|im_start|>user\nstar<|im_end|>\n<|im_start|>assistant\n"
    ids = AutoProcessor.from_pretrained(video_folder).tokenizer(chat, return_tensors="pt").input_ids
    with torch.no_grad():
        last = AutoModel.from_pretrained(video_folder)(input_ids=ids).last_hidden_state[0, -1].numpy()
    assert matrix(video.embed_queries(["star"]))[0] == pytest.approx(last / np.linalg.norm(last), abs=1e-5)


def test_an_image_model_averages_the_unit_vectors_of_frames(
    picture_folder: Path, picture: SentenceTransformersEmbedder
) -> None:
    shown = clip([0.0, 1.0, 2.0])
    assert shown.frames is not None
    processor, network = AutoProcessor.from_pretrained(picture_folder), AutoModel.from_pretrained(picture_folder)
    units = []
    for pixels in shown.frames.pixels:
        seen = processor(images=Image.fromarray(pixels), return_tensors="pt")
        with torch.no_grad():
            row = network.get_image_features(**seen).pooler_output[0].numpy()
        units.append(row / np.linalg.norm(row))
    mean = sum(units) / 3
    assert matrix(picture.embed_clips([shown]))[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_frames_of_unsuitable_size_are_refused_with_a_suitable_budget(video: SentenceTransformersEmbedder) -> None:
    with pytest.raises(InputError, match=r"80x64.*multiple=32"):
        video.embed_clips([clip([0.0, 0.5], width=80)])


@pytest.mark.parametrize(("value", "length"), [(float("nan"), "nan"), (0.0, "0.0")])
def test_a_vector_that_cannot_be_compared_names_the_model_and_the_item(
    picture_folder: Path, tmp_path: Path, value: float, length: str
) -> None:
    broken = shutil.copytree(picture_folder, tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["visual_projection.weight"].fill_(value)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=rf"broken.*frame 0.*{length}"):
        load(str(broken), device="cpu").embed_clips([clip([0.0, 0.5])])


def test_a_model_without_a_pooling_configuration_is_refused(tmp_path: Path) -> None:
    plain = tiny_qwen3_vl(tmp_path / "plain")
    with pytest.raises(ModelError, match=r"modules\.json.*embedder_model"):
        load(str(plain), device="cpu")


def test_a_missing_folder_is_refused_with_the_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"embedder_model.*no such folder"):
        load_embedder("sentence_transformers", str(tmp_path / "missing"))


def test_a_hub_name_without_a_network_suggests_a_local_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"local folder.*embedder_model"):
        load_embedder("sentence_transformers", "rankvideo-rag-tests/no-such-model")


def test_a_model_with_custom_code_is_refused_and_not_run(picture_folder: Path, tmp_path: Path) -> None:
    hostile = shutil.copytree(picture_folder, tmp_path / "hostile")
    modules = (hostile / "modules.json").read_text()
    (hostile / "modules.json").write_text(modules.replace("sentence_transformers.base.modules.transformer", "evil"))
    (hostile / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="hostile"):
        load(str(hostile), device="cpu")
    assert not (tmp_path / "ran").exists()
