"""Convert a published dataset into the files that `rankvideo eval` reads.

queries.tsv and qrels.trec, and where the dataset has them claims.trec (which document supports which claim), moments.trec
(judged moments) and slices.tsv (labels of queries).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.retrieval import list_queries
from rankvideo_rag.formats.captions import read_captions
from rankvideo_rag.formats.dataset import RetrievalDataset
from rankvideo_rag.formats.multivent import evidence_channel, load_qrels, read_multivent_queries
from rankvideo_rag.formats.rankvideo import write_queries
from rankvideo_rag.formats.trec import write_claims, write_qrels
from rankvideo_rag.formats.wikivideo import read_wikivideo
from rankvideo_rag.schema import Record

DatasetName = Literal["multivent2", "wikivideo", "msrvtt", "didemo", "activitynet", "pairs"]


class PreparedDataset(Record):
    """What was written, and notes on the source."""

    files: dict[str, int]  # path -> lines
    notes: tuple[str, ...]


def prepare_dataset(
    dataset: DatasetName,
    source: str | Path,
    output: str | Path,
    *,
    judgements: str | Path | None = None,
    paragraphs: bool = False,
    multivent_ids: bool = False,
) -> PreparedDataset:
    """Read a dataset and write it into a folder, which is made if need be. A file that would be empty is not written.

    `judgements` belong to multivent2, whose source is its file of queries; `paragraphs` to caption sets (captions.py);
    `multivent_ids` to wikivideo (wikivideo.py). Raises InputError for an option of another dataset.
    """
    misplaced = {
        "judgements": judgements is not None and dataset != "multivent2",
        "paragraphs": paragraphs and dataset in ("multivent2", "wikivideo"),
        "multivent_ids": multivent_ids and dataset != "wikivideo",
    }
    for option, is_misplaced in misplaced.items():
        if is_misplaced:
            raise InputError(f"{option} has no meaning for {dataset}: leave it out")
    if dataset == "multivent2":
        content = _multivent(source, judgements)
    elif dataset == "wikivideo":
        content = read_wikivideo(source, multivent_ids=multivent_ids)
    else:
        content = read_captions(source, dataset, paragraphs=paragraphs)
    return _write(content, Path(output))


def _multivent(source: str | Path, judgements: str | Path | None) -> RetrievalDataset:
    queries = read_multivent_queries(source)
    found = RetrievalDataset(queries, channels={query: channel for query in queries if (channel := evidence_channel(query))})
    if judgements is None:
        found.notes.append("no judgements were given: no qrels.trec is written")
        return found
    found.qrels, notes = load_qrels(judgements)
    unknown = [query for query in found.qrels if query not in queries]
    found.notes += [*notes, *list_queries({"queries with judgements and without a text": unknown})]
    return found


def _write(content: RetrievalDataset, folder: Path) -> PreparedDataset:
    supports = sum(len(documents) for claims in content.claims.values() for documents in claims.values())
    files: dict[str, tuple[int, Callable[[Path], None]]] = {
        "queries.tsv": (len(content.queries), lambda path: write_queries(path, content.queries)),
        "qrels.trec": (sum(map(len, content.qrels.values())), lambda path: write_qrels(path, content.qrels)),
        "claims.trec": (supports, lambda path: write_claims(path, content.claims)),
        "moments.trec": (sum(map(len, content.moments.values())), lambda path: write_qrels(path, content.moments)),
        "slices.tsv": (len(content.channels), lambda path: _write_channels(path, content.channels)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for name, (rows, write) in files.items():
        if rows:
            write(folder / name)
            written[str(folder / name)] = rows
    return PreparedDataset(files=written, notes=tuple(content.notes))


def _write_channels(path: Path, channels: dict[str, str]) -> None:
    lines = [f"{query}\t{channel}\n" for query, channel in channels.items()]
    path.write_text("query_id\tchannel\n" + "".join(lines), encoding="utf-8", newline="\n")
