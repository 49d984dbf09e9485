"""Distil a static text embedder from a text embedder with a WordPiece vocabulary, such as bge-small-en-v1.5.

First, as model2vec does (Tulkens and van Dongen 2024), each token gets the teacher's vector of it alone, reduced by principal
components and weighted by smooth inverse frequency (Arora et al. 2017). Then, as tokenlearn does, the tokens' vectors are
fitted so that their sum over a text approximates the teacher's vector of that text: ridge regression toward the first vectors.
Last, they are weighted once more: the fit needs the vectors of frequent tokens, but comparisons of texts are better without.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankvideo_rag.backends import import_optional
from rankvideo_rag.errors import InputError
from rankvideo_rag.models.text_embedders import TextEmbedder, load_text_embedder
from rankvideo_rag.models.text_embedders.wordpiece import tokenize

sparse = import_optional("scipy.sparse", "train static-text")

SparseMatrix = Any  # scipy.sparse.csr_matrix, which has no types

log = logging.getLogger(__name__)

Matrix = NDArray[np.float32]

_WORDNET_PARTS = ("noun", "verb", "adj", "adv")
_CHUNK = 2_000  # texts between progress messages


def distil(
    teacher: Path, texts: Sequence[str], output: Path, *, backend: str = "onnx", dim: int = 256, ridge: float = 1.0
) -> Path:
    """Write a static text embedder of `dim` dimensions to `output`, fitted to the teacher's vectors of these texts.

    Raises InputError for a teacher without vocab.txt and for no texts.
    """
    if not (teacher / "vocab.txt").is_file():
        raise InputError(f"{str(teacher)!r} has no vocab.txt: the teacher needs a WordPiece vocabulary")
    if not texts:
        raise InputError("no texts to distil with")
    embedder = load_text_embedder(backend, str(teacher))
    words = latin_words((teacher / "vocab.txt").read_text(encoding="utf-8").splitlines())
    of_words = _embed(embedder, [word.removeprefix("##") for word in words], "words")
    vectors = fit(words, of_words, texts, _embed(embedder, texts, "texts"), dim=dim, ridge=ridge)
    write_static(output, words, vectors)
    return output


def fit(
    words: Sequence[str], of_words: Matrix, texts: Sequence[str], of_texts: Matrix, *, dim: int = 256, ridge: float = 1.0
) -> Matrix:
    """Return (words, dim) vectors, whose sums approximate `of_texts` (texts, teacher's dim) up to their length.

    `of_words` are the teacher's vectors of the words alone; `ridge` is how strongly the fit is drawn to them.
    """
    numbers = {word: number for number, word in enumerate(words)}
    counts = _count_matrix([tokenize(text, numbers) for text in texts], len(words))
    center = of_texts.mean(axis=0)
    axes = np.linalg.eigh((of_texts - center).T @ (of_texts - center))[1][:, ::-1][:, :dim]
    targets = (of_texts - center) @ axes
    weights = _sif_weights(counts)[:, None]
    first = weights * ((of_words - of_words.mean(axis=0)) @ axes)
    first *= np.sqrt(np.square(targets).sum() / np.square(counts @ first).sum())
    return weights * _ridge(counts, targets, first, ridge)


def write_static(folder: Path, words: Sequence[str], vectors: Matrix) -> None:
    """Write the files that the `static` backend reads: int8 vectors with a float16 scale for each word."""
    largest = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-6)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    np.save(folder / "vectors.npy", np.round(vectors / largest * 127).astype(np.int8))
    np.save(folder / "scales.npy", largest[:, 0].astype(np.float16))


def read_texts(path: Path) -> list[str]:
    """Return the lines of a text file, or the texts of a folder of WordNet 3 files; no duplicates.

    Of WordNet: the examples of all senses, and the definitions of those that its authors counted in running text.
    """
    if path.is_dir():
        files = [path / f"{kind}.{part}" for part in _WORDNET_PARTS for kind in ("index", "data")]
        if missing := [file.name for file in files if not file.is_file()]:
            raise InputError(f"{str(path)!r} is no folder of WordNet: it lacks {', '.join(missing)}")
        return list(dict.fromkeys(text for part in _WORDNET_PARTS for text in _wordnet_texts(path, part)))
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def latin_words(words: Sequence[str]) -> list[str]:
    """Return the words without special tokens and without letters of other scripts than Latin."""
    special = re.compile(r"\[\w+\]")
    return [word for word in words if not special.fullmatch(word) and not any(map(_is_other_script, word))]


def _is_other_script(character: str) -> bool:
    return character.isalpha() and not unicodedata.name(character, "").startswith("LATIN")


def _wordnet_texts(folder: Path, part: str) -> Iterator[str]:
    """Yield the examples and "synonyms: definition" of sets of synonyms (the format: WordNet's manual, wndb(5))."""
    counted = set(_counted_synsets(folder / f"index.{part}"))
    for line in (folder / f"data.{part}").read_text(encoding="latin-1").splitlines():
        fields, _, gloss = line.partition("|")
        if not gloss:
            continue
        columns = fields.split()
        synonyms = [re.sub(r"\(\w+\)$", "", word).replace("_", " ") for word in columns[4 : 4 + 2 * int(columns[3], 16) : 2]]
        yield from (example for example in re.findall(r'"([^"]+)"', gloss) if len(example.split()) > 2)
        if columns[0] in counted:
            definition = re.sub(r';?\s*"[^"]*"', "", gloss).strip(" ;")
            yield f"{', '.join(synonyms)}: {definition}"


def _counted_synsets(file: Path) -> Iterator[str]:
    """Yield the offsets of the senses with a count: the first ones of each word."""
    for line in file.read_text(encoding="latin-1").splitlines():
        if not line.startswith(" "):
            columns = line.split()
            senses = columns[4 + int(columns[3]) :]  # after the word's kinds of pointers
            yield from senses[2 : 2 + int(senses[1])]


def _embed(embedder: TextEmbedder, texts: Sequence[str], what: str) -> Matrix:
    parts = []
    for start in range(0, len(texts), _CHUNK):
        parts.append(embedder.embed_passages(texts[start : start + _CHUNK]))
        log.info("%s of %s %s embedded", min(start + _CHUNK, len(texts)), len(texts), what)
    return np.concatenate(parts)


def _count_matrix(numbers: Sequence[list[int]], words: int) -> SparseMatrix:
    """Return (texts, words): how often each word is in a text, divided by the square root of the text's length.

    A sum of n independent vectors has about sqrt(n) times their length, and the teacher's vectors all have length 1.
    """
    columns = [number for found in numbers for number in found]
    rows = np.repeat(np.arange(len(numbers)), [len(found) for found in numbers])
    values = np.concatenate([np.full(len(found), max(len(found), 1) ** -0.5, np.float32) for found in numbers])
    return sparse.csr_matrix((values, (rows, columns)), shape=(len(numbers), words))


def _sif_weights(counts: SparseMatrix, a: float = 1e-3) -> Matrix:
    """Return (words,) weights a / (a + p), with p each word's share of the texts' tokens (half a token where it is in none)."""
    frequencies = np.asarray((counts > 0).sum(axis=0)).ravel() + 0.5
    weights: Matrix = (a / (a + frequencies / frequencies.sum())).astype(np.float32)
    return weights


def _ridge(counts: SparseMatrix, targets: Matrix, first: Matrix, ridge: float, steps: int = 30) -> Matrix:
    """Return E that minimizes |counts E - targets|² + ridge |E - first|², by conjugate gradients with Jacobi preconditioning.

    Columns are independent systems that are solved side by side (Saad 2003, algorithm 9.1).
    """
    transposed = counts.T.tocsr()
    diagonal = np.asarray(counts.multiply(counts).sum(axis=0)).reshape(-1, 1).astype(np.float32) + np.float32(ridge)
    change = np.zeros_like(first)
    residual = transposed @ (targets - counts @ first)
    scaled = residual / diagonal
    direction, norm = scaled.copy(), (residual * scaled).sum(axis=0)
    for _ in range(steps):
        product = transposed @ (counts @ direction) + ridge * direction
        step = norm / np.maximum((direction * product).sum(axis=0), 1e-20)
        change += step * direction
        residual -= step * product
        scaled = residual / diagonal
        previous, norm = norm, (residual * scaled).sum(axis=0)
        direction = scaled + norm / np.maximum(previous, 1e-20) * direction
    result: Matrix = (first + change).astype(np.float32)
    return result
