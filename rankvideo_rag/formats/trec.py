"""TREC runs, qrels and claims as plain dictionaries: read strictly, written so that no evaluator can order them otherwise.

What crosses here is order. trec_eval ignores the rank column, sorts by score as a 32-bit float and breaks ties by descending
document id, so a written run bears ranks as scores. This file knows no measures.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import first_repeated, read_lines
from rankvideo_rag.schema import Hit

TrecRun = dict[str, dict[str, float]]  # query id -> document id -> score, higher is better
Qrels = dict[str, dict[str, int]]  # query id -> document id -> grade, relevant from 1
Claims = dict[str, dict[str, frozenset[str]]]  # query id -> claim id -> documents that hold it, maybe none

_RUN_COLUMNS = "query Q0 document rank score tag"
_QRELS_COLUMNS = "query iteration document grade"
_CLAIMS_COLUMNS = "query claim document grade"
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_ONE_WORD = re.compile(r"\S+")


def read_run(path: str | Path) -> TrecRun:
    """A run file, six columns. Its rank column counts for nothing, as in trec_eval: see `rank_documents`.

    Raises InputError, naming file and line, for another number of columns, a score that is not a finite number, and a document
    that a query has twice.
    """
    run: TrecRun = {}
    for place, (query, _, document, _, score, _) in _rows(path, _RUN_COLUMNS):
        _add(run.setdefault(query, {}), query, document, _score(place, score), place)
    return run


def read_qrels(path: str | Path) -> Qrels:
    """A file of judgements, four columns, the grade a whole number. Raises InputError as `read_run` does."""
    qrels: Qrels = {}
    for place, (query, _, document, grade) in _rows(path, _QRELS_COLUMNS):
        _add(qrels.setdefault(query, {}), query, document, _grade(place, grade), place)
    return qrels


def read_claims(path: str | Path) -> Claims:
    """TREC's judgements by subtopic, four columns: which document holds which claim of the query, from grade 1.

    A claim that no document holds is kept: measures leave it out, callers can count it. Raises InputError as `read_run` does.
    """
    grades: dict[tuple[str, str], dict[str, int]] = {}
    for place, (query, claim, document, grade) in _rows(path, _CLAIMS_COLUMNS):
        _add(grades.setdefault((query, claim), {}), f"{query}, claim {claim}", document, _grade(place, grade), place)
    claims: Claims = {}
    for (query, claim), documents in grades.items():
        claims.setdefault(query, {})[claim] = frozenset(document for document, grade in documents.items() if grade >= 1)
    return claims


def rank_documents(run: TrecRun) -> dict[str, list[str]]:
    """The order that trec_eval sees in a run: by score as a 32-bit float, equal ones by descending document id.

    >>> rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 2.0}})
    {'q': ['c', 'b', 'a']}
    """
    return {query: _ranked(scores) for query, scores in run.items()}


def as_compared(scores: Mapping[str, float]) -> list[float]:
    """The scores as trec_eval compares them: as 32-bit floats, of which two may be equal where the scores were not."""
    with np.errstate(over="ignore"):  # beyond the range of 32 bits all are infinite, and tie
        rounded: list[float] = np.array(list(scores.values()), dtype=np.float64).astype(np.float32).tolist()
    return rounded


def write_run(path: str | Path, rankings: Mapping[str, Sequence[str]], *, tag: str) -> None:
    """Write rankings, best document first, as a run file whose scores count down to 1.

    A query without documents has no line in such a file; measures count it 0. Raises InputError, before anything is written,
    for a tag or an id that is empty or holds white space, and for a document that a query has twice.
    """
    _check_word("tag", tag)
    lines = [line for query, documents in rankings.items() for line in _lines(query, documents, tag)]
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def write_qrels(path: str | Path, qrels: Qrels) -> None:
    """Write judgements. Raises InputError, before anything is written, for an id that is empty or holds white space."""
    rows = [(query, "0", document, grade) for query, grades in qrels.items() for document, grade in grades.items()]
    _write_judgements(path, rows)


def write_claims(path: str | Path, claims: Claims) -> None:
    """Write which document holds which claim. A claim that none holds has no line in such a file. Raises as `write_qrels`."""
    _write_judgements(
        path,
        [
            (query, claim, document, 1)
            for query, of_query in claims.items()
            for claim, documents in of_query.items()
            for document in sorted(documents)
        ],
    )


def rank_videos(hits: Iterable[Hit]) -> list[str]:
    """The videos of a search result, each once, where its best clip stands."""
    return list(dict.fromkeys(hit.video_id for hit in sorted(hits, key=lambda hit: hit.rank)))


def check_unique(query: str, documents: Sequence[str]) -> None:
    """Raise InputError when a ranking holds a document twice: it would be counted twice, or lose its place."""
    if (twice := first_repeated(documents)) is not None:
        raise InputError(f"the ranking of query {query!r} holds {twice!r} twice: keep the first (see rank_videos)")


def _rows(path: str | Path, columns: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the file and line number, for errors, and the columns of each line."""
    wanted = len(columns.split())
    for place, line in read_lines(path):
        found = line.split()
        if len(found) != wanted:
            raise InputError(f"{place} has {len(found)} columns, not the {wanted} of {columns!r}: {line[:80]!r}")
        yield place, found


def _write_judgements(path: str | Path, rows: Iterable[tuple[str, str, str, int]]) -> None:
    lines = []
    for query, middle, document, grade in rows:
        for what, word in (("query id", query), ("claim id", middle), ("document id", document)):
            _check_word(what, word)
        lines.append(f"{query} {middle} {document} {grade}\n")
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")


def _add(documents: dict[str, float] | dict[str, int], query: str, document: str, value: int | float, place: str) -> None:
    if document in documents:
        raise InputError(f"{place}: query {query!r} has document {document!r} a second time: leave one of the two")
    documents[document] = value  # type: ignore[assignment]


def _score(place: str, text: str) -> float:
    score = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(score):
        raise InputError(f"{place}: the score {text!r} is not a finite number, so it gives no order")
    return score


def _grade(place: str, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InputError(f"{place}: the grade {text!r} is not a whole number")
    return int(text)


def _ranked(scores: Mapping[str, float]) -> list[str]:
    pairs = sorted(zip(as_compared(scores), scores, strict=True), reverse=True)
    return [document for _, document in pairs]


def _lines(query: str, documents: Sequence[str], tag: str) -> Iterator[str]:
    _check_word("query id", query)
    check_unique(query, documents)
    for rank, document in enumerate(documents, start=1):
        _check_word("document id", document)
        yield f"{query} Q0 {document} {rank} {len(documents) - rank + 1} {tag}\n"


def _check_word(what: str, text: str) -> None:
    if not _ONE_WORD.fullmatch(text):
        raise InputError(f"the {what} {text!r} must be one word: in a run file columns are parted by white space")
