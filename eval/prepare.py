"""A published data set as the files that everything here reads: queries.tsv, qrels.trec, and where it has them claims.trec
(documents that hold claims), moments.trec (judged moments) and slices.tsv (labels of queries).

This file knows which reader belongs to which layout, and no layout itself.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.captions import read_captions
from rankvideo_rag.formats.multivent import evidence_channel, load_qrels, read_multivent_queries
from rankvideo_rag.formats.rankvideo import write_queries
from rankvideo_rag.formats.trec import Claims, Qrels, write_claims, write_qrels
from rankvideo_rag.formats.wikivideo import read_wikivideo
from rankvideo_rag.schema import Record

DatasetName = Literal["multivent2", "wikivideo", "msrvtt", "didemo", "activitynet", "pairs"]


class PreparedDataset(Record):
    """What was written, and what of the source should be known."""

    files: dict[str, int]  # path -> lines
    notes: tuple[str, ...]


class _Content(NamedTuple):
    queries: dict[str, str]
    qrels: Qrels
    claims: Claims
    moments: Qrels
    channels: dict[str, str]  # query id -> channel of its evidence
    notes: tuple[str, ...]


def prepare_dataset(
    data_set: DatasetName,
    source: str | Path,
    to: str | Path,
    *,
    judgements: str | Path | None = None,
    paragraphs: bool = False,
    multivent_ids: bool = False,
) -> PreparedDataset:
    """Read a data set and write it into the folder `to`, which is made if need be. A file that would be empty is not written.

    `judgements` go with multivent2, whose source is its file of queries; `paragraphs` with sets of captions (captions.py);
    `multivent_ids` with wikivideo (wikivideo.py). Raises InputError for an option that does not go with the data set.
    """
    strange = {
        "judgements": judgements is not None and data_set != "multivent2",
        "paragraphs": paragraphs and data_set in ("multivent2", "wikivideo"),
        "multivent_ids": multivent_ids and data_set != "wikivideo",
    }
    for option, is_strange in strange.items():
        if is_strange:
            raise InputError(f"{option} has no meaning for {data_set}: leave it out")
    if data_set == "multivent2":
        content = _multivent(source, judgements)
    elif data_set == "wikivideo":
        found = read_wikivideo(source, multivent_ids=multivent_ids)
        content = _Content(found.queries, found.qrels, found.claims, {}, {}, found.notes)
    else:
        captions = read_captions(source, data_set, paragraphs=paragraphs)
        content = _Content(captions.queries, captions.qrels, {}, captions.moments, {}, captions.notes)
    return _write(content, Path(to))


def _multivent(source: str | Path, judgements: str | Path | None) -> _Content:
    queries = read_multivent_queries(source)
    channels = {query: channel for query in queries if (channel := evidence_channel(query))}
    if judgements is None:
        return _Content(queries, {}, {}, {}, channels, ("no judgements were given: no qrels.trec is written",))
    found = load_qrels(judgements)
    unknown = [query for query in found.qrels if query not in queries]
    notes = (f"queries with judgements and without a text: {len(unknown)} ({unknown[0]!r})",) if unknown else ()
    return _Content(queries, found.qrels, {}, {}, channels, (*found.notes, *notes))


def _write(content: _Content, folder: Path) -> PreparedDataset:
    files: dict[str, tuple[int, Callable[[Path], None]]] = {
        "queries.tsv": (len(content.queries), lambda path: write_queries(path, content.queries)),
        "qrels.trec": (_rows(content.qrels), lambda path: write_qrels(path, content.qrels)),
        "claims.trec": (
            sum(len(documents) for claims in content.claims.values() for documents in claims.values()),
            lambda path: write_claims(path, content.claims),
        ),
        "moments.trec": (_rows(content.moments), lambda path: write_qrels(path, content.moments)),
        "slices.tsv": (len(content.channels), lambda path: _write_channels(path, content.channels)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, (rows, write) in files.items():
        if rows:
            write(folder / name)
            written[str(folder / name)] = rows
    return PreparedDataset(files=written, notes=content.notes)


def _rows(qrels: Qrels) -> int:
    return sum(map(len, qrels.values()))


def _write_channels(path: Path, channels: dict[str, str]) -> None:
    lines = [f"{query}\t{channel}\n" for query, channel in channels.items()]
    path.write_text("query_id\tchannel\n" + "".join(lines), encoding="utf-8", newline="\n")
