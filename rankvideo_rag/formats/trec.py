"""Read and write TREC runs, qrels and claims as plain dictionaries.

trec_eval ignores the rank column, sorts by score as a 32-bit float and breaks ties by descending document id. Written runs
therefore have ranks as scores, so that every evaluator orders them alike.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.strict import check_word, first_repeated, read_lines
from rankvideo_rag.schema import Hit

TrecRun = dict[str, dict[str, float]]  # query id -> document id -> score, higher is better
Qrels = dict[str, dict[str, int]]  # query id -> document id -> grade, relevant from 1
Claims = dict[str, dict[str, frozenset[str]]]  # query id -> claim id -> documents that support it, maybe none

MAX_GRADE = 10_000  # of either sign: trec_eval allocates memory by the highest grade
_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)


def read_run(path: str | Path) -> TrecRun:
    """Read a run file of six columns. The rank column is ignored, as in trec_eval: see `rank_documents`.

    Raises InputError, naming file and line, for another number of columns, a score that is not a finite number, and a document
    that occurs twice in a query.
    """
    run: TrecRun = {}
    for place, (query, _, document, _, score, _) in _rows(path, "query Q0 document rank score tag"):
        value = float(score) if _DECIMAL.fullmatch(score) else math.nan
        if not math.isfinite(value):
            raise InputError(f"{place}: the score {score!r} is not a finite number, so it gives no order")
        _add(run.setdefault(query, {}), query, document, value, place)
    return run


def read_qrels(path: str | Path) -> Qrels:
    """Read judgements of four columns, the grade a whole number. Raises InputError as `read_run` does."""
    qrels: Qrels = {}
    for place, (query, _, document, grade) in _rows(path, "query iteration document grade"):
        _add(qrels.setdefault(query, {}), query, document, _grade(grade, place), place)
    return qrels


def read_claims(path: str | Path) -> Claims:
    """Read TREC's judgements by subtopic, four columns: which document supports which claim of the query, from grade 1.

    A claim without support is kept: measures leave it out, callers can count it. Raises InputError as `read_run` does.
    """
    grades: dict[tuple[str, str], dict[str, int]] = {}
    for place, (query, claim, document, grade) in _rows(path, "query claim document grade"):
        _add(grades.setdefault((query, claim), {}), f"{query}, claim {claim}", document, _grade(grade, place), place)
    claims: Claims = {}
    for (query, claim), documents in grades.items():
        claims.setdefault(query, {})[claim] = frozenset(document for document, grade in documents.items() if grade >= 1)
    return claims


def rank_documents(run: TrecRun) -> dict[str, list[str]]:
    """Return the order that trec_eval sees in a run: by score as a 32-bit float, ties by descending document id.

    >>> rank_documents({"q": {"a": 1.0, "b": 1.0, "c": 2.0}})
    {'q': ['c', 'b', 'a']}
    """
    return {
        query: [document for _, document in sorted(zip(to_float32(scores), scores, strict=True), reverse=True)]
        for query, scores in run.items()
    }


def to_float32(scores: Mapping[str, float]) -> list[float]:
    """Return the scores as trec_eval compares them: rounded to 32-bit floats, which may make some equal."""
    with np.errstate(over="ignore"):  # beyond the range of 32 bits all are infinite, and tie
        rounded: list[float] = np.array(list(scores.values()), dtype=np.float64).astype(np.float32).tolist()
    return rounded


def write_run(path: str | Path, rankings: Mapping[str, Sequence[str]], *, tag: str) -> None:
    """Write rankings, best document first, as a run file whose scores count down to 1.

    A query without documents has no line in such a file; measures count it 0. Raises InputError, before anything is written,
    for a tag or an id that is empty or holds white space, and for a document that occurs twice in a query.
    """
    rows = []
    for query, documents in rankings.items():
        check_unique(query, documents)
        rows += [
            (query, "Q0", document, str(rank), str(len(documents) - rank + 1), tag)
            for rank, document in enumerate(documents, start=1)
        ]
    check_word(tag, "tag", path)
    _write(path, rows)


def write_qrels(path: str | Path, qrels: Qrels) -> None:
    """Write judgements. Raises InputError, before anything is written, for an id that is empty or holds white space."""
    _write(path, [(query, "0", document, str(grade)) for query, grades in qrels.items() for document, grade in grades.items()])


def write_claims(path: str | Path, claims: Claims) -> None:
    """Write which document supports which claim. A claim without support has no line. Raises as `write_qrels` does."""
    _write(
        path,
        [
            (query, claim, document, "1")
            for query, of_query in claims.items()
            for claim, documents in of_query.items()
            for document in sorted(documents)
        ],
    )


def rank_videos(hits: Iterable[Hit]) -> list[str]:
    """Return the videos of a search result, each once, at the rank of its best clip."""
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


def _add(documents: dict[str, float] | dict[str, int], query: str, document: str, value: int | float, place: str) -> None:
    if document in documents:
        raise InputError(f"{place}: query {query!r} has document {document!r} a second time: leave one of the two")
    documents[document] = value  # type: ignore[assignment]


def _grade(text: str, place: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise InputError(f"{place}: the grade {text[:40]!r} is not a whole number")
    if abs(grade := int(text)) > MAX_GRADE:
        raise InputError(f"{place}: {text} is no grade, as it is above {MAX_GRADE}: are the columns exchanged?")
    return grade


def _write(path: str | Path, rows: Sequence[Sequence[str]]) -> None:
    """Write rows of a query id, a second column, a document id and others."""
    for row in rows:
        for what, word in zip(("query id", "claim id", "document id"), row, strict=False):
            check_word(word, what, path)
    Path(path).write_text("".join(f"{' '.join(row)}\n" for row in rows), encoding="utf-8", newline="\n")
