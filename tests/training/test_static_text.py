"""Distilling a static text embedder: the ridge fit, the reading of WordNet, and a whole run with a tiny teacher."""

from pathlib import Path

import numpy as np
import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.models.text_embedders import load_text_embedder
from rankvideo_rag.training.static_text import _ridge as ridge
from rankvideo_rag.training.static_text import distil, fit, latin_words, read_texts, sparse, write_static

LICENCE = "  1 This software and database is provided\n"
DATA = (
    "00001740 03 n 02 lift 0 ski_tow(a) 1 001 @ 00001930 n 0000 | a device that carries skiers; "
    '"the lift was out of order"; "a lift"  \n'
    '00001930 03 n 01 lift 0 000 | a rare sense; "her spirits got a lift"  \n'
)
INDEX = "lift n 2 2 @ + 2 1 00001740 00001930  \n"  # two senses, one of them counted


def test_ridge_is_the_solution_of_the_normal_equations() -> None:
    rng = np.random.default_rng(0)
    counts, targets, first = (rng.normal(size=shape).astype(np.float32) for shape in ((40, 12), (40, 3), (12, 3)))
    expected = np.linalg.solve(counts.T @ counts + 2 * np.eye(12), counts.T @ targets + 2 * first)
    assert ridge(sparse.csr_matrix(counts), targets, first, 2.0) == pytest.approx(expected, abs=1e-3)


def test_words_that_a_teacher_uses_alike_get_near_vectors() -> None:
    """The teacher's vectors of words are noise, of texts they are the sums of three known meanings."""
    rng = np.random.default_rng(1)
    words = ["lift", "elevator", "boat", "ship", "tree", "wood"]
    meanings = np.repeat(np.eye(3), 2, axis=0)
    chosen = [rng.choice(6, size=2, replace=False) for _ in range(400)]
    of_texts = np.array([meanings[pair].sum(axis=0) for pair in chosen], dtype=np.float32)
    of_words = rng.normal(size=(6, 3)).astype(np.float32)
    vectors = fit(words, of_words, [" ".join(words[n] for n in pair) for pair in chosen], of_texts, dim=2)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    assert cosines[[0, 2, 4], [1, 3, 5]] == pytest.approx(1, abs=0.05)
    assert cosines[0, 2] < 0.5


def test_texts_of_wordnet_are_examples_and_definitions(tmp_path: Path) -> None:
    for part in ("noun", "verb", "adj", "adv"):
        (tmp_path / f"data.{part}").write_text(LICENCE + DATA)
        (tmp_path / f"index.{part}").write_text(LICENCE + INDEX)
    definition = "lift, ski tow: a device that carries skiers"
    assert read_texts(tmp_path) == ["the lift was out of order", definition, "her spirits got a lift"]
    (tmp_path / "data.adv").unlink()
    with pytest.raises(InputError, match=r"is no folder of WordNet: it lacks data\.adv"):
        read_texts(tmp_path)


def test_texts_of_a_file_are_its_lines(tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("one\n\n two \none\n")
    assert read_texts(tmp_path / "texts.txt") == ["one", "two"]


def test_words_of_other_scripts_and_special_tokens_are_left_out() -> None:
    assert latin_words(["[PAD]", "[unused1]", "[", "the", "##é", "и", "中", "##ا", "7", "ß"]) == ["[", "the", "##é", "7", "ß"]


def test_vectors_are_stored_with_an_error_below_one_percent(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32) * [[1], [0.01], [0]]
    write_static(tmp_path, ["a", "b", "c"], vectors.astype(np.float32))
    stored = load_text_embedder("static", str(tmp_path)).embed_passages(["a", "b", "c"])
    expected = vectors[:2] / np.linalg.norm(vectors[:2], axis=1, keepdims=True)
    assert stored == pytest.approx(np.vstack([expected, np.zeros(8)]), abs=0.01)


def test_a_tiny_teacher_is_distilled_the_same_way_twice(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from rankvideo_rag.testing.tiny_text_models import VOCABULARY, tiny_text_embedder

    teacher = tiny_text_embedder(tmp_path / "teacher")
    with pytest.raises(InputError, match=r"has no vocab\.txt"):
        distil(teacher, ["a b"], tmp_path / "out")
    (teacher / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY))
    with pytest.raises(InputError, match="no texts"):
        distil(teacher, [], tmp_path / "out")
    texts = [f"{a} {b} the {c}" for a in "abc" for b in "def" for c in "ghij"]
    one, two = (distil(teacher, texts, tmp_path / name, dim=8) for name in ("one", "two"))
    assert (one / "vectors.npy").read_bytes() == (two / "vectors.npy").read_bytes()
    loaded = load_text_embedder("static", str(one))
    assert loaded.info.dim == 8
    assert np.linalg.norm(loaded.embed_queries(["a d", "[SEP]"]), axis=1) == pytest.approx([1, 1], abs=1e-5)
