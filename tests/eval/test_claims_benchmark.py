"""rankvideo bench claims: labelled claims are checked and counted."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rankvideo_rag.cli import app
from rankvideo_rag.errors import InputError
from rankvideo_rag.eval.benchmarks.claims import benchmark_claims, read_labelled_claims

DATA = Path(__file__).parents[1] / "data"
EVIDENCE = "The ferry to Ostrey leaves at nine. It is never late."


def write(path: Path, *claims: tuple[str, bool]) -> Path:
    rows = [
        {"id": f"c{i}", "category": "time", "question": "When?", "evidence": EVIDENCE, "claim": claim, "supported": supported}
        for i, (claim, supported) in enumerate(claims)
    ]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


CLAIMS = (
    ("The ferry leaves at 9 [1].", True),
    ("The boat departs at nine [1].", True),
    ("The ferry leaves at ten [1].", True),  # labelled wrongly, on purpose
    ("The ferry leaves at nine [1].", False),  # and this
    ("The ferry is late [1].", False),
    ("The ferry leaves at nine [7].", False),
)


def test_outcomes_are_counted_by_label_and_category(tmp_path: Path) -> None:
    report = benchmark_claims(write(tmp_path / "claims.jsonl", *CLAIMS))
    assert [one.outcome for one in report.claims] == [
        "accepted",
        "unchecked",
        "contradicted",
        "accepted",
        "contradicted",
        "dropped",
    ]
    assert report.categories["time"].model_dump() == {
        "claims": 6,
        "accepted": 2,
        "unchecked": 1,
        "contradicted": 2,
        "dropped": 1,
    }
    assert (report.false_accept, report.false_reject) == (1 / 3, 1 / 3)


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    path = write(tmp_path / "claims.jsonl", *CLAIMS)
    result = CliRunner().invoke(app, ["bench", "claims", str(path), "--failures"])
    assert result.exit_code == 0, result.output
    assert "false accept 33.3%, false reject 33.3%" in result.stdout
    assert "The boat departs at nine [1]." in result.stdout
    as_json = json.loads(CliRunner().invoke(app, ["bench", "claims", str(path), "--json"]).stdout)
    assert as_json["supported"]["unchecked"] == 1


def test_an_invalid_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    path.write_text('{"id": "c1"}\n', encoding="utf-8")
    with pytest.raises(InputError, match=r"claims\.jsonl, line 1"):
        read_labelled_claims(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_labelled_claims(tmp_path / "none.jsonl")


@pytest.mark.parametrize("name", ["realistic/claims.jsonl", "heldout/claims.jsonl", "heldout/later_claims.jsonl"])
def test_errors_stay_below_the_bounds_without_an_nli_model(name: str) -> None:
    report = benchmark_claims(DATA / name)
    assert report.false_accept is not None
    assert report.false_reject is not None
    assert report.false_accept <= 0.15
    assert report.false_reject <= 0.10
    assert report.supported.unchecked / report.supported.claims <= 0.35
