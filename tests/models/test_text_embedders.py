"""Text embedders: the backends agree on the same weights; pooling, prompts, truncation and errors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.text_embedders import PromptedTextEmbedder, TextEmbedderInfo, load_text_embedder
from rankvideo_rag.models.text_embedders.published import find_usage

pytest.importorskip("onnxruntime")
pytest.importorskip("sentence_transformers")
pytest.importorskip("onnx")  # writes the tiny models

TEXTS = ["the first query", "a much longer text about seven things, none of which is like the others.", "?"]
INFO = TextEmbedderInfo(
    backend="mine", model="m", revision=None, dim=2, pooling="mean", query_prompt="q: ", passage_prompt="p: ", max_tokens=None
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rankvideo_rag.testing.tiny_text_models import tiny_text_embedder

    return tiny_text_embedder(tmp_path_factory.mktemp("text") / "tiny", prompts={"query": "query: ", "document": "the "})


@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_onnx_and_sentence_transformers_agree_on_the_same_weights(tmp_path: Path, pooling: str) -> None:
    from rankvideo_rag.testing.tiny_text_models import tiny_text_embedder

    folder = tiny_text_embedder(tmp_path / "tiny", pooling=pooling, prompts={"query": "query: "})
    onnx, torch = (load_text_embedder(backend, str(folder), device="cpu") for backend in ("onnx", "sentence_transformers"))
    assert onnx.embed_queries(TEXTS) == pytest.approx(torch.embed_queries(TEXTS), abs=1e-5)
    assert onnx.embed_passages(TEXTS) == pytest.approx(torch.embed_passages(TEXTS), abs=1e-5)
    assert (onnx.info.pooling, onnx.info.dim, onnx.info.max_tokens) == (pooling, 16, 32)
    ignored = {"backend", "revision"}
    assert onnx.info.model_dump(exclude=ignored) == torch.info.model_dump(exclude=ignored)


@pytest.mark.parametrize("backend", ["onnx", "sentence_transformers"])
def test_questions_and_passages_get_the_prompts_of_the_model(folder: Path, backend: str) -> None:
    embedder = load_text_embedder(backend, str(folder), device="cpu")
    assert (embedder.info.query_prompt, embedder.info.passage_prompt) == ("query: ", "the ")
    assert (
        embedder.embed_queries(["a b"]) == pytest.approx(embedder.embed_passages(["a b"]), abs=1) != pytest.approx(0, abs=0.01)
    )
    unprompted = PromptedTextEmbedder(embedder._encode, embedder.info.model_copy(update={"query_prompt": ""}))  # type: ignore[attr-defined]
    assert embedder.embed_queries(["a b"]) == pytest.approx(unprompted.embed_queries(["query: a b"]), abs=1e-6)


@pytest.mark.parametrize("backend", ["onnx", "sentence_transformers"])
def test_rows_are_unit_vectors_and_zeros_for_empty_texts(folder: Path, backend: str) -> None:
    embedder = load_text_embedder(backend, str(folder), device="cpu")
    rows = embedder.embed_passages([*TEXTS, "", " \u200b\n"])
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx([1, 1, 1, 0, 0], abs=1e-6)
    assert embedder.embed_queries([]).shape == (0, 16)


def test_a_text_has_the_same_vector_in_any_batch(folder: Path) -> None:
    embedder = load_text_embedder("onnx", str(folder))
    many = [f"{text} {number}" for number in range(20) for text in TEXTS]
    alone = np.concatenate([embedder.embed_passages([text]) for text in many])
    assert embedder.embed_passages(many) == pytest.approx(alone, abs=1e-5)


def test_tokens_after_the_models_limit_are_ignored(folder: Path) -> None:
    embedder = load_text_embedder("onnx", str(folder))
    start = "a b c d e f g h " * 4  # with [CLS] and the prompt, more than 32 tokens
    one, other = embedder.embed_passages([start + "one thing", start + "another"])
    assert one == pytest.approx(other, abs=1e-6)


def test_text_that_spells_special_tokens_is_text(folder: Path) -> None:
    from rankvideo_rag.models.onnx_text import OnnxTextModel

    network = OnnxTextModel(folder, device="cpu")
    assert 3 not in network._tokenizer.encode("a [SEP] b", add_special_tokens=False).ids  # 3 is [SEP]


def test_the_revision_changes_with_the_weights(folder: Path, tmp_path: Path) -> None:
    from rankvideo_rag.testing.tiny_text_models import tiny_text_embedder

    other = tiny_text_embedder(tmp_path / "other", seed=1)
    shutil.copy(folder / "model.safetensors", other / "model.safetensors")
    one, two = (load_text_embedder("onnx", str(path)).info.revision for path in (folder, other))
    assert one is not None
    assert one != two


def test_a_vector_that_is_not_finite_is_an_error_that_names_the_model() -> None:
    embedder = PromptedTextEmbedder(lambda texts: np.array([[1, 0], [np.nan, 1]])[: len(texts)], INFO)
    assert embedder.embed_queries(["a"]).tolist() == [[1, 0]]
    with pytest.raises(ModelError, match=r"'m' computed for text 1 a vector of length nan"):
        embedder.embed_passages(["a", "b"])


def test_texts_are_cleaned_before_the_model_sees_them() -> None:
    seen: list[str] = []

    def encode(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.ones((len(texts), 2))

    PromptedTextEmbedder(encode, INFO).embed_queries(["a<|im_end|>\u202e b"])
    assert seen == ["q: a< |im_end|> b"]


@pytest.mark.parametrize(
    ("name", "pooling", "query", "passage"),
    [
        ("BAAI/bge-small-en-v1.5", "cls", "Represent this sentence for searching relevant passages: ", ""),
        ("/models/bge_small_en", "cls", "Represent this sentence for searching relevant passages: ", ""),
        ("BAAI/bge-m3", "cls", "", ""),
        ("intfloat/multilingual-e5-small", "mean", "query: ", "passage: "),
        ("intfloat/e5-base-v2", "mean", "query: ", "passage: "),
        ("sentence-transformers/all-MiniLM-L6-v2", "mean", "", ""),
        ("Snowflake/snowflake-arctic-embed-s", "cls", "Represent this sentence for searching relevant passages: ", ""),
        ("Snowflake/snowflake-arctic-embed-m-v2.0", "cls", "query: ", ""),
    ],
)
def test_published_models_are_used_as_their_cards_say(
    tmp_path: Path, name: str, pooling: str, query: str, passage: str
) -> None:
    assert find_usage(tmp_path, name) == (pooling, query, passage)


def test_a_models_own_files_count_more_than_its_name(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "mean"}))
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": "Q "}}))
    assert find_usage(tmp_path, "bge-small-en") == ("mean", "Q ", "")


@pytest.mark.parametrize("name", ["someone/unknown", "intfloat/multilingual-e5-large-instruct"])
def test_a_model_whose_pooling_is_not_known_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError, match=r"how its tokens become one vector is not known: choose .* text_embedder_model"):
        find_usage(tmp_path, name)


def test_a_pooling_that_is_not_supported_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    modes = {"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(modes))
    with pytest.raises(
        ModelError, match="pools its tokens by mean_tokens, max_tokens: needed is one of cls, mean and lasttoken"
    ):
        find_usage(tmp_path, "bge-small-en")


def test_a_folder_without_the_needed_files_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        load_text_embedder("onnx", str(tmp_path))
    shutil.copy(folder / "tokenizer.json", tmp_path)
    with pytest.raises(ModelError, match=r"has no \.onnx file: needed model\.onnx"):
        load_text_embedder("onnx", str(tmp_path))
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ModelError, match="cannot load"):
        load_text_embedder("onnx", str(tmp_path))


@pytest.mark.parametrize("backend", ["onnx", "sentence_transformers", "static"])
def test_a_missing_model_names_the_setting(backend: str) -> None:
    with pytest.raises(InputError, match="text_embedder_model"):
        load_text_embedder(backend)
