"""Read labels of queries, and average measures over the queries of each label: by language, by type, by evidence channel.

    TSV or CSV     a column `query_id` and one for each facet, its cells labels; an empty cell is no label
    JSON Lines     {"query_id": …, facet: label or [labels], …}, any number of lines for a query

MultiVENT 2.0's judgements are such a file: their facets are video_language, video_type, video_modality and query_event_type.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.measures import PerQueryValues
from rankvideo_rag.formats.strict import as_id, is_json, preview, read_csv, read_json_lines
from rankvideo_rag.schema import Record

QueryLabels = dict[str, dict[str, tuple[str, ...]]]  # facet -> query id -> its labels, at least one
NO_LABEL = "(no label)"
_QUERY = "query_id"
_NO_FACETS = (_QUERY, "query", "doc_id", "relevance")


class QuerySlice(Record):
    """The queries with one label, and the means over them."""

    facet: str
    label: str
    queries: int
    means: dict[str, dict[str, float]]  # run -> measure -> mean


def read_query_labels(path: str | Path) -> QueryLabels:
    """Read the labels of a file. Raises InputError for a file without facets."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for query, facet, label in _from_json(path) if is_json(path) else _from_table(path):
        found.setdefault(facet, {}).setdefault(query, {})[label] = None
    if not found:
        raise InputError(f"{path} has no labels: beside {_QUERY} it needs a column for each facet, such as language")
    return {facet: {query: tuple(labels) for query, labels in of_facet.items()} for facet, of_facet in found.items()}


def slice_queries(labels: QueryLabels, values: Mapping[str, PerQueryValues]) -> tuple[QuerySlice, ...]:
    """Return every facet's slices, largest first. `values`: run -> query -> measure -> value, over the same queries.

    A query with several labels is in several slices, one without any in "(no label)".
    """
    queries = list(next(iter(values.values())))
    found = []
    for facet, of_facet in labels.items():
        members: dict[str, list[str]] = {}
        for query in queries:
            for label in of_facet.get(query, (NO_LABEL,)):
                members.setdefault(label, []).append(query)
        by_size = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
        found += [_slice(facet, label, chosen, values) for label, chosen in by_size]
    return tuple(found)


def _slice(facet: str, label: str, queries: list[str], values: Mapping[str, PerQueryValues]) -> QuerySlice:
    means = {
        run: {name: fmean(by_query[query][name] for query in queries) for name in by_query[queries[0]]}
        for run, by_query in values.items()
    }
    return QuerySlice(facet=facet, label=label, queries=len(queries), means=means)


def _from_table(path: str | Path) -> Iterator[tuple[str, str, str]]:
    for place, cells in read_csv(path, [_QUERY]):
        query = as_id(cells[_QUERY], _QUERY, place)
        yield from ((query, facet, cell.strip()) for facet, cell in cells.items() if facet not in _NO_FACETS and cell.strip())


def _from_json(path: str | Path) -> Iterator[tuple[str, str, str]]:
    for place, row in read_json_lines(path, f"{_QUERY} and facets"):
        query = as_id(row.get(_QUERY), _QUERY, place)
        for facet, value in row.items():
            if facet not in _NO_FACETS:
                yield from ((query, facet, label) for label in _labels(value, facet, place))


def _labels(value: Any, facet: str, place: str) -> list[str]:
    labels = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(label, str) and label.strip() for label in labels):
        raise InputError(f"{place}: {facet} = {preview(value)}: a label is a text, and several are a list of texts")
    return labels
