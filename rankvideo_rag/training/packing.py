"""Prefix sharing: prompts about one video in one row, where their common beginning is read once.

With video-first prompts each question costs only its own tokens. Prompts that begin differently have a row each. The logits are
those of separate rows, up to rounding.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvideo_rag.training.batches import Batch, Grid, PromptRow, make_batch, mrope_positions
from rankvideo_rag.training.inputs import InputProcessor, Tokens

_SHARED, _PADDING = -1, -2  # in place of a prompt's number: a token of the common prefix, or none


class PackedBatch(NamedTuple):
    """Packed prompts, and where each of them ends."""

    batch: Batch  # where rows are shared its mask is (rows, 1, length, length), true where a token (third) attends to another
    ends: Tensor  # (prompts, 2): row and column of the last token of each prompt

    def to(self, device: torch.device) -> "PackedBatch":
        """Return the batch on a device."""
        return PackedBatch(self.batch.to(device), self.ends.to(device))


class _Shared(NamedTuple):
    """Prompts that share a row."""

    members: list[int]
    prefix: int  # tokens that all begin with

    def length(self, rows: Sequence[PromptRow]) -> int:
        return self.prefix + sum(len(rows[member].tokens) - self.prefix for member in self.members)


def pack_prompts(rows: Sequence[PromptRow], processor: InputProcessor, patches: Mapping[str, Tensor]) -> PackedBatch:
    """Return prompts in as few rows as there are videos, where they begin alike; arguments as for `batches.make_batch`.

    The same PromptRow given twice is read once. Where none begin alike this is the plain batch with a mask of (rows, length),
    as attention without a mask of its own is faster on a GPU.
    """
    distinct = {id(row): row for row in rows}
    packed = _pack_distinct(list(distinct.values()), processor, patches)
    numbers = {row: number for number, row in enumerate(distinct)}
    return PackedBatch(packed.batch, packed.ends[[numbers[id(row)] for row in rows]])


def _pack_distinct(rows: Sequence[PromptRow], processor: InputProcessor, patches: Mapping[str, Tensor]) -> PackedBatch:
    shared = _group_by_prefix(rows, processor)
    if len(shared) == len(rows):
        batch = make_batch(rows, processor, patches)
        last = torch.full((len(rows),), batch.tokens.shape[1] - 1)
        return PackedBatch(batch, torch.stack([torch.arange(len(rows)), last], dim=1))
    length = max(group.length(rows) for group in shared)
    tokens = np.full((len(shared), length), processor.padding_token, np.int64)
    positions = np.zeros((3, len(shared), length), np.int64)
    owner = np.full((len(shared), length), _PADDING, np.int64)  # the number, within its row, of the prompt of a token
    ends = np.zeros((len(rows), 2), np.int64)
    for number, group in enumerate(shared):
        column = length - group.length(rows)
        for place, member in enumerate(group.members):
            first = group.prefix if place else 0  # tokens of this prompt that are in the row already
            own = slice(column, column + len(rows[member].tokens) - first)
            tokens[number, own] = rows[member].tokens[first:]
            positions[:, number, own] = _positions(rows[member].tokens, rows[member].grid, processor)[:, first:]
            owner[number, own] = place
            if not place:
                owner[number, column : column + group.prefix] = _SHARED
            column = own.stop
            ends[member] = number, column - 1
    first_rows = [rows[group.members[0]] for group in shared]
    batch = Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(_attention_mask(owner))[:, None],
        torch.from_numpy(positions),
        torch.zeros((len(shared), 0), dtype=torch.int64),
        tuple(row.video for row in first_rows if row.video is not None),
        {row.video: row.grid for row in first_rows if row.video is not None},
        patches,
    )
    return PackedBatch(batch, torch.from_numpy(ends))


def _attention_mask(owner: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return (rows, length, length): a token attends to itself, and before it to the prefix and to its own prompt."""
    length = owner.shape[1]
    own, other = owner[:, :, None], owner[:, None, :]
    before = np.tril(np.ones((length, length), bool)) & (own != _PADDING) & ((own == other) | (other == _SHARED))
    mask: NDArray[np.bool_] = before | np.eye(length, dtype=bool)
    return mask


def _group_by_prefix(rows: Sequence[PromptRow], processor: InputProcessor) -> list[_Shared]:
    """Return which prompts share a row: those whose common prefix includes all of the video."""
    by_video: dict[tuple[str | None, Grid], list[int]] = {}
    for number, row in enumerate(rows):
        by_video.setdefault((row.video, row.grid), []).append(number)
    shared = []
    for members in by_video.values():
        prefix = _common_prefix([rows[member].tokens for member in members])
        has_whole_video = not (rows[members[0]].tokens[prefix:] == processor.video_token).any()
        shared += [_Shared(members, prefix)] if has_whole_video and prefix else [_Shared([member], 0) for member in members]
    return shared


def _common_prefix(prompts: Sequence[Tokens]) -> int:
    """Return how many tokens all begin with, at most all but the last, which each prompt keeps for itself."""
    shortest = min(map(len, prompts)) - 1
    equal = np.all([prompt[:shortest] == prompts[0][:shortest] for prompt in prompts], axis=0)
    return shortest if equal.all() else int(equal.argmin())


def _positions(tokens: Tokens, grid: Grid, processor: InputProcessor) -> NDArray[np.int64]:
    """Return (3, length) positions of one prompt."""
    is_video = (tokens == processor.video_token)[None]
    sides = np.array([grid[1:]], np.int64) // processor.merge
    return mrope_positions(is_video, np.ones_like(is_video, dtype=np.int64), sides)[:, 0]
