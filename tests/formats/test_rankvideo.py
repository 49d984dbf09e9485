"""RankVideo's published files: relevance scores and query texts."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.reranking import compare_stages
from rankvideo_rag.formats.rankvideo import read_queries, read_scores, write_queries


def write_scores(folder: Path, video: str, entries: Mapping[str, Any], model: str = "RankVideo") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{video}_reranking_{model}.json"
    path.write_text(json.dumps({video: entries}))
    return path


def entry(margin: float) -> dict[str, float]:
    return {"logprob_yes": -1.0, "logprob_no": -1.0 - margin, "logit_delta": margin, "p_yes": 1 / (1 + math.exp(-margin))}


def test_published_relevance_scores_are_read(tmp_path: Path) -> None:
    write_scores(tmp_path, "v1", {"q1": entry(2.5), "q2": {"logit_delta_yes_minus_no": -1.5}})
    write_scores(tmp_path, "v2", {"q1": dict.fromkeys(("logprob_yes", "logprob_no", "logit_delta", "p_yes"), 0.0)})
    (tmp_path / "failed.log").write_text("v3")
    found = read_scores(tmp_path)
    assert found["q1"]["v1"].margin == 2.5
    assert found["q2"]["v1"].margin == -1.5
    # Four zeros are its mark for a missing side: p_yes would be 0.5 if the margin were.
    assert (found["q1"]["v2"].margin, found["q1"]["v2"].status) == (None, "failed")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1.0, "p_y', "line 1, column 36: this is not complete JSON"),
        ("v1_reranking_M.json", "", "line 1, column 1: this is not complete JSON"),
        ("v1_reranking_M.json", '{"v2": {"q1": {"logit_delta": 1.0}}}', "its name must begin with 'v2_reranking_'"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"p_yes": 0.5}}}', "'v1', 'q1' has no logit_delta: it has p_yes"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": NaN}}}', "NaN is not a number"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": true}}}', "logit_delta = true is not a finite number"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1, "p_yes": 7}}}', "p_yes = 7.0 is not a probability"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1, "logit_delta_yes_minus_no": 2}}}', "differ"),
        ("v1_reranking_M.json", '{"v1": {"q1": {"logit_delta": 1}, "q1": {"logit_delta": 2}}}', "the key 'q1' stands twice"),
        ("v1_reranking_M.json", '{"v1": [1.0]}', "'v1': an object of query ids is needed"),
        ("v1.json", "{}", "no relevance scores in"),
    ],
)
def test_faulty_score_files_are_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        read_scores(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_scores_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    write_scores(tmp_path, "v1", {"q1": entry(1.0)}, model="One")
    write_scores(tmp_path, "v1", {"q1": entry(-1.0)}, model="Two")
    with pytest.raises(InputError, match=r"are scored in v1_reranking_One.json and in v1_reranking_Two.json: name one model"):
        read_scores(tmp_path)
    assert read_scores(tmp_path, model="lab/Two")["q1"]["v1"].margin == -1.0


def test_an_unscored_pair_does_not_rank_above_a_negative_margin(tmp_path: Path) -> None:
    write_scores(tmp_path, "a", {"q1": dict.fromkeys(("logprob_yes", "logprob_no", "logit_delta", "p_yes"), 0.0)})
    write_scores(tmp_path, "b", {"q1": entry(-3.0)})
    found = compare_stages(read_scores(tmp_path), {"q1": {"a": 2.0, "b": 1.0}}, {"q1": {"b": 1}})
    assert found.ours.reranked["nDCG@5"] == 1.0
    assert "pairs of zeros, which the original would rank as margins of 0.0: 1" in found.notes


def test_query_texts_round_trip_on_one_line_each(tmp_path: Path) -> None:
    write_queries(tmp_path / "q.tsv", {"q1": "two\nlines\tand  a tab", "q2": "größe"})
    assert read_queries(tmp_path / "q.tsv") == {"q1": "two lines and a tab", "q2": "größe"}
