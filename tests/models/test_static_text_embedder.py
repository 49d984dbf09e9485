"""The static text embedder: WordPiece as the tokenizers package does it, sums of stored vectors, and the model that ships."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.multilingual_sentences import SENTENCES

from rankvideo_rag.errors import InputError, ModelError
from rankvideo_rag.models.bundled import local_folder
from rankvideo_rag.models.text_embedders import TextEmbedder, load_text_embedder
from rankvideo_rag.models.text_embedders.wordpiece import tokenize

SHIPPED = local_folder("bundled:static-en")


@pytest.fixture(scope="module")
def shipped() -> TextEmbedder:
    return load_text_embedder("static", "bundled:static-en")


def write_model(folder: Path, words: list[str], vectors: list[list[int]], scales: list[float]) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    np.save(folder / "vectors.npy", np.array(vectors, dtype=np.int8))
    np.save(folder / "scales.npy", np.array(scales, dtype=np.float16))
    return str(folder)


def test_a_vector_is_the_scaled_sum_of_the_tokens_vectors(tmp_path: Path) -> None:
    model = write_model(tmp_path, ["cat", "dog", "##s"], [[3, 0], [0, 2], [0, 1]], [1, 2, 0])
    rows = load_text_embedder("static", model).embed_passages(["Cats!", "cat dog", "dogs", "bird"])
    assert rows == pytest.approx(np.array([[1, 0], [0.6, 0.8], [0, 1], [0, 0]]), abs=1e-6)


def test_words_that_cannot_be_spelled_are_left_out() -> None:
    vocabulary = {"un": 0, "##able": 1, "able": 2, "##a": 3}
    assert tokenize("unable able unb una", vocabulary) == [0, 1, 2, 0, 3]
    assert tokenize("able" * 30, {"able": 0, "##able": 1}) == []  # above 100 characters


@given(st.text() | st.text("aéÄßıİ中가[]'$`.- \t\u00ad\u0301\u2028\U0001f600xyz"))
def test_wordpiece_is_that_of_the_tokenizers_package(text: str) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = (SHIPPED / "vocab.txt").read_text(encoding="utf-8").splitlines()
    vocabulary = {word: number for number, word in enumerate([*words, "[UNK]"])}
    reference = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    reference.normalizer = tokenizers.normalizers.BertNormalizer()
    reference.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    assert tokenize(text, vocabulary) == [number for number in reference.encode(text).ids if number != len(words)]


def test_the_shipped_model_gives_unit_vectors_or_zeros_in_any_language(shipped: TextEmbedder) -> None:
    texts = [*map(str, SENTENCES), "", "\U0001f600", "𓀀", "x" * 30_000]
    lengths = np.linalg.norm(shipped.embed_queries(texts), axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-5) | (lengths == 0))
    assert np.isclose(lengths[0], 1, atol=1e-5)


def test_the_shipped_model_is_small_and_knows_near_meanings(shipped: TextEmbedder) -> None:
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 8_000_000
    question, near, far = shipped.embed_passages(["doctor in a hospital", "the nurse at the clinic", "goal in the second half"])
    assert question @ near > 0.3 > question @ far + 0.1


def test_the_card_of_the_shipped_model_names_its_files_licences_and_sources() -> None:
    card = (SHIPPED / "README.md").read_text(encoding="utf-8")
    files = b"".join((SHIPPED / name).read_bytes() for name in ("vocab.txt", "vectors.npy", "scales.npy"))
    assert sha256(files).hexdigest() in card
    assert all(name in card for name in ("MIT licence", "bge-small-en-v1.5", "WordNet 3.0", "Princeton University"))


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    model = write_model(tmp_path, ["cat", "dog"], [[1, 0]], [1])
    with pytest.raises(ModelError, match="holds 2 words, 1 vectors and 1 scales, which should be as many"):
        load_text_embedder("static", model)
    (tmp_path / "scales.npy").unlink()
    with pytest.raises(ModelError, match=r"is no static text embedder: it lacks scales\.npy"):
        load_text_embedder("static", model)


def test_an_unknown_model_is_answered_with_the_bundled_ones() -> None:
    with pytest.raises(InputError, match=r"needs a folder with vocab\.txt, .*or one of bundled:static-en"):
        load_text_embedder("static", "bundled:static-de")
