"""Published datasets converted into evaluation files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.datasets import DIDEMO
from support.datasets import WIKIVIDEO_TOPIC as TOPIC

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.prepare import prepare_dataset
from rankvideo_rag.eval.slices import read_query_labels
from rankvideo_rag.formats.rankvideo import read_queries
from rankvideo_rag.formats.trec import read_claims, read_qrels


def test_multivent_is_prepared_with_channels_as_slices(tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("Query_id,query\nx_ocr_1,a sign\nx_base_2,a march\n")
    rows = [{"query_id": query, "doc_id": "v1", "relevance": 1} for query in ("x_ocr_1", "strange")]
    (tmp_path / "j.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    found = prepare_dataset("multivent2", tmp_path / "q.csv", tmp_path / "out", judgements=tmp_path / "j.jsonl")
    assert {Path(path).name: lines for path, lines in found.files.items()} == {
        "queries.tsv": 2,
        "qrels.trec": 2,
        "slices.tsv": 2,
    }
    assert found.notes == ("queries with judgements and without a text: 1 ('strange')",)
    assert read_queries(tmp_path / "out" / "queries.tsv") == {"x_ocr_1": "a sign", "x_base_2": "a march"}
    assert read_qrels(tmp_path / "out" / "qrels.trec") == {"x_ocr_1": {"v1": 1}, "strange": {"v1": 1}}
    assert read_query_labels(tmp_path / "out" / "slices.tsv") == {"channel": {"x_ocr_1": ("ocr",), "x_base_2": ("base",)}}


def test_wikivideo_is_prepared_with_claims_and_captions_with_moments(write_file: Callable[[Any], Path], tmp_path: Path) -> None:
    prepare_dataset("wikivideo", write_file({"t": TOPIC}), tmp_path / "wiki")
    assert read_claims(tmp_path / "wiki" / "claims.trec") == {"t": {"c1": frozenset(["yt1", "yt3"])}}
    prepare_dataset("didemo", write_file(DIDEMO), tmp_path / "didemo")
    assert read_qrels(tmp_path / "didemo" / "moments.trec")["2"] == {"a_1#t=0,5": 1}
    assert sorted(path.name for path in (tmp_path / "didemo").iterdir()) == ["moments.trec", "qrels.trec", "queries.tsv"]


@pytest.mark.parametrize(
    ("dataset", "option"),
    [("didemo", {"multivent_ids": True}), ("wikivideo", {"paragraphs": True}), ("pairs", {"judgements": "j"})],
)
def test_options_of_another_dataset_are_refused(tmp_path: Path, dataset: Any, option: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(option))} has no meaning for {dataset}"):
        prepare_dataset(dataset, tmp_path / "none", tmp_path, **option)
