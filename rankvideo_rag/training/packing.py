"""Many questions on one video in one row: what they have in common is read once, and no question sees another.

Where prompts show the video first, each question costs its own words only. Where the question stands first they share
nothing, and each has a row of its own. Exact: the logits are those of separate rows, up to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvideo_rag.training.batches import Batch, Grid, Row, batch_of, positions_of
from rankvideo_rag.training.inputs import Reader, Tokens


class Packed(NamedTuple):
    """Prompts side by side, and where each of them ends."""

    batch: Batch  # where rows are shared its mask is (rows, 1, length, length), true where a token (third) sees another
    ends: Tensor  # (prompts, 2): row and column of the last token of each prompt

    def to(self, device: torch.device) -> "Packed":
        """The same on a device."""
        return Packed(self.batch.to(device), self.ends.to(device))


def packed(rows: Sequence[Row], reader: Reader, patches: Mapping[str, Tensor]) -> Packed:
    """Prompts in as few rows as there are videos, where they begin alike; `patches` as in `batches.batch_of`.

    The same prompt given twice (one and the same Row) is read once.

    Where none begin alike this is the plain batch, whose mask is (rows, length): attention without a mask of its own is
    quicker on a GPU.
    """
    distinct = {id(row): row for row in rows}
    made = _packed(list(distinct.values()), reader, patches)
    places = {row: number for number, row in enumerate(distinct)}
    return Packed(made.batch, made.ends[[places[id(row)] for row in rows]])


def _packed(rows: Sequence[Row], reader: Reader, patches: Mapping[str, Tensor]) -> Packed:
    shared = _sharing(rows, reader)
    if len(shared) == len(rows):
        batch = batch_of(rows, reader, patches)
        return Packed(batch, torch.stack([torch.arange(len(rows)), torch.full((len(rows),), batch.tokens.shape[1] - 1)], dim=1))
    length = max(_length(rows, members, prefix) for members, prefix in shared)
    tokens = np.full((len(shared), length), reader.padding_token, np.int64)
    positions = np.zeros((3, len(shared), length), np.int64)
    question = np.full((len(shared), length), _PADDING, np.int64)  # number of the prompt in its row that a token belongs to
    ends = np.zeros((len(rows), 2), np.int64)
    for number, (members, prefix) in enumerate(shared):
        column = length - _length(rows, members, prefix)
        for place, member in enumerate(members):
            first = prefix if place else 0  # of the tokens of this prompt that are not there yet
            own = slice(column, column + len(rows[member].tokens) - first)
            tokens[number, own] = rows[member].tokens[first:]
            positions[:, number, own] = _positions(rows[member].tokens, rows[member].grid, reader)[:, first:]
            question[number, own] = place
            if not place:
                question[number, column : column + prefix] = _SHARED
            column = own.stop
            ends[member] = number, column - 1
    first_rows = [rows[members[0]] for members, _ in shared]
    batch = Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(_sees(question))[:, None],
        torch.from_numpy(positions),
        torch.zeros((len(shared), 0), dtype=torch.int64),
        tuple(row.video for row in first_rows if row.video is not None),
        {row.video: row.grid for row in first_rows if row.video is not None},
        patches,
    )
    return Packed(batch, torch.from_numpy(ends))


_SHARED, _PADDING = -1, -2


def _sees(question: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(rows, length, length): a token sees itself, and before it what is shared and what is of its own prompt."""
    length = question.shape[1]
    own, other = question[:, :, None], question[:, None, :]
    before = np.tril(np.ones((length, length), bool)) & (own != _PADDING) & ((own == other) | (other == _SHARED))
    seen: NDArray[np.bool_] = before | np.eye(length, dtype=bool)
    return seen


def _sharing(rows: Sequence[Row], reader: Reader) -> list[tuple[list[int], int]]:
    """Which prompts share a row, and how many tokens they begin with in common: the video is among these."""
    by_video: dict[tuple[str | None, Grid], list[int]] = {}
    for number, row in enumerate(rows):
        by_video.setdefault((row.video, row.grid), []).append(number)
    shared = []
    for members in by_video.values():
        prefix = _in_common([rows[member].tokens for member in members])
        seen_whole = not (rows[members[0]].tokens[prefix:] == reader.video_token).any()
        shared += [(members, prefix)] if seen_whole and prefix else [([member], 0) for member in members]
    return shared


def _in_common(prompts: Sequence[Tokens]) -> int:
    """How many tokens all begin with: at most all but the last, which each prompt keeps for itself."""
    shortest = min(map(len, prompts)) - 1
    alike = np.all([prompt[:shortest] == prompts[0][:shortest] for prompt in prompts], axis=0)
    return shortest if alike.all() else int(alike.argmin())


def _length(rows: Sequence[Row], members: Sequence[int], prefix: int) -> int:
    return prefix + sum(len(rows[member].tokens) - prefix for member in members)


def _positions(tokens: Tokens, grid: Grid, reader: Reader) -> NDArray[np.int64]:
    """(3, length)"""
    seen = (tokens == reader.video_token)[None]
    sides = np.array([grid[1:]], np.int64) // reader.merge
    return positions_of(seen, np.ones_like(seen, dtype=np.int64), sides)[:, 0]
