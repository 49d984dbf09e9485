"""The evaluate command: what reranking changed."""

import json
import math
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.commands import COMMAND

FIRST = {"q1": {"a": 3.0, "b": 2.0, "c": 1.0}, "q2": {"a": 3.0, "b": 2.0, "c": 1.0}}


def write_scores(folder: Path, video: str, entries: Mapping[str, Any], model: str = "RankVideo") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{video}_reranking_{model}.json"
    path.write_text(json.dumps({video: entries}))
    return path


def entry(margin: float) -> dict[str, float]:
    return {"logprob_yes": -1.0, "logprob_no": -1.0 - margin, "logit_delta": margin, "p_yes": 1 / (1 + math.exp(-margin))}


def evaluate(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    files = {"--pred-dir": "predictions", "--first-stage": "first.json", "--qrels": "qrels"}
    arguments = [part for option, name in files.items() for part in (option, str(folder / name))]
    return subprocess.run(
        [*COMMAND, "eval", "compare-stages", *arguments, *more],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "250", "NO_COLOR": "1"},
    )


def test_the_command_prints_both_ways_of_counting_and_where_they_differ(tmp_path: Path) -> None:
    for video, margin in (("a", -1.0), ("b", -2.0), ("c", 3.0)):
        write_scores(tmp_path / "predictions", video, {"q1": entry(margin)})
    (tmp_path / "first.json").write_text(json.dumps(FIRST))
    (tmp_path / "qrels").write_text("q1 0 c 1\nq2 0 a 1\n")
    done = evaluate(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == {"queries", "first_stage", "reranked", "depth", "as_original", "differences"}
    assert list(found["reranked"]) == [f"{name}@{k}" for name in ("R", "nDCG") for k in (5, 10, 20, 50, 100)]
    assert (found["queries"], found["depth"]) == (2, 1000)
    assert (found["first_stage"]["nDCG@10"], found["reranked"]["nDCG@10"]) == (0.75, 0.5)
    assert (found["as_original"]["queries"], found["as_original"]["reranked"]["nDCG@10"]) == (1, 1.0)
    assert "the original leaves them out of both rows): 1 ('q2')" in found["differences"][0]
    table = evaluate(tmp_path)
    assert "all judged queries: 2" in table.stdout
    assert "nDCG@10" in table.stdout
    assert "with predictions and a relevant video: 1" in table.stdout
    assert "judged queries without predictions" in table.stderr
    (tmp_path / "qrels").write_text("q1 0 c 1\nq2 0 a\n")
    refused = evaluate(tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "qrels, line 2 has 3 columns, not the 4" in refused.stderr
