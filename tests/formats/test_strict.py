"""Gzipped files: read like others, and damage is refused."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.rankvideo import load_run
from rankvideo_rag.formats.trec import read_run

RUN = "\ufeffq1 Q0 v1 1 2.5 tag\r\n\r\nq2 Q0 größe 1 7 tag\r\n"


def test_gzipped_files_are_recognized_by_content(
    write_file: Callable[[Any], Path],
) -> None:
    assert read_run(write_file(gzip.compress(RUN.encode()))) == {"q1": {"v1": 2.5}, "q2": {"größe": 7.0}}
    assert load_run(write_file(gzip.compress(b'{"q": {"v": 1}}'))) == {"q": {"v": 1.0}}


def test_errors_in_gzipped_files_name_the_unpacked_line(write_file: Callable[[Any], Path]) -> None:
    with pytest.raises(InputError, match="line 3: the score 'nan' is not a finite number"):
        read_run(write_file(gzip.compress(b"q Q0 v 1 2 t\n\nq Q0 w 2 nan t\n")))


@pytest.mark.parametrize("kept", [5, 30, 60])
def test_truncated_gzip_files_are_refused(write_file: Callable[[Any], Path], kept: int) -> None:
    packed = gzip.compress("".join(f"q{i} Q0 v 1 {i * 37 % 101} t\n" for i in range(50)).encode())
    with pytest.raises(InputError, match="is not a complete gzip file"):
        read_run(write_file(packed[:kept]))


def test_damaged_gzip_files_are_refused(write_file: Callable[[Any], Path]) -> None:
    packed = bytearray(gzip.compress(b"q1 Q0 v1 1 2.5 tag\n" * 1))
    packed[-6] ^= 0xFF  # its checksum
    with pytest.raises(InputError, match="is not a complete gzip file"):
        read_run(write_file(bytes(packed)))
