"""Resumable JSON Lines files: cut at any byte, opened twice, begun with other options, damaged."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter

from rankvideo_rag.errors import InputError, RankVideoError
from rankvideo_rag.formats.resumable_jsonl import ResumableJsonl, fingerprint, read_resumable
from rankvideo_rag.schema import Record


class Done(Record):
    """A finished item."""

    name: str
    count: int


DONE = TypeAdapter(Done)
ITEMS = [Done(name=f"ä{number}\n", count=number) for number in range(3)]
HEADER: dict[str, object] = {"model": "m", "size": (1, 2)}


def run(path: Path, header: dict[str, object] | None = None) -> int:
    """Append the items that are missing; returns how many were there."""
    with ResumableJsonl(path, DONE, header=header) as file:
        present = len(file.lines)
        for item in ITEMS[present:]:
            file.append(item)
        assert file.lines == ITEMS
    return present


@pytest.mark.parametrize("header", [None, HEADER])
def test_a_file_cut_at_any_byte_is_completed_to_the_same_bytes(tmp_path: Path, header: dict[str, object] | None) -> None:
    run(tmp_path / "whole.jsonl", header)
    whole = (tmp_path / "whole.jsonl").read_bytes()
    for cut in range(len(whole) + 1):
        (tmp_path / "cut.jsonl").write_bytes(whole[:cut])
        lines = whole[:cut].count(b"\n")
        assert run(tmp_path / "cut.jsonl", header) == max(lines - (header is not None), 0)
        assert (tmp_path / "cut.jsonl").read_bytes() == whole


def test_reading_leaves_out_a_torn_last_line_and_does_not_change_the_file(tmp_path: Path) -> None:
    run(tmp_path / "f.jsonl", HEADER)
    data = (tmp_path / "f.jsonl").read_bytes()[:-3]
    (tmp_path / "f.jsonl").write_bytes(data)
    contents = read_resumable(tmp_path / "f.jsonl", DONE)
    assert (contents.header, contents.lines) == ({"model": "m", "size": [1, 2]}, ITEMS[:2])
    assert (tmp_path / "f.jsonl").read_bytes() == data
    (tmp_path / "empty.jsonl").touch()
    assert read_resumable(tmp_path / "empty.jsonl", DONE) == (None, [], 0)


def test_another_header_is_refused_and_names_what_differs(tmp_path: Path) -> None:
    run(tmp_path / "f.jsonl", HEADER)
    with pytest.raises(InputError, match=r"model was 'm' and is 'n'; depth was None and is 3"):
        run(tmp_path / "f.jsonl", {"model": "n", "depth": 3} | {"size": (1, 2)})


def test_a_file_is_open_for_appending_once_at_a_time(tmp_path: Path) -> None:
    with ResumableJsonl(tmp_path / "f.jsonl", DONE), pytest.raises(RankVideoError, match="another process is writing"):
        ResumableJsonl(tmp_path / "f.jsonl", DONE)
    ResumableJsonl(tmp_path / "f.jsonl", DONE).close()


@pytest.mark.parametrize("line", ["{", '{"name": "a"}', '{"name": "a", "count": 1, "more": 2}', ""])
def test_a_damaged_line_before_the_last_is_refused_with_its_number(tmp_path: Path, line: str) -> None:
    (tmp_path / "f.jsonl").write_text(f'{{"name": "a", "count": 1}}\n{line}\n{{"name": "b", "count": 1}}\n')
    with pytest.raises(InputError, match=r"f\.jsonl, line 2 is damaged"):
        run(tmp_path / "f.jsonl")
    with pytest.raises(InputError, match=r"f\.jsonl, line 2 is damaged"):
        read_resumable(tmp_path / "f.jsonl", DONE, has_header=False)


def test_fingerprints_differ_by_value_and_not_by_the_order_of_keys() -> None:
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert len({fingerprint(1), fingerprint("1"), fingerprint([1]), fingerprint(1, 1), fingerprint()}) == 5
