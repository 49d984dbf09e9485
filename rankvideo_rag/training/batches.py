"""Prompts side by side: tokens padded on the left, their positions, and each video once, however many prompts show it.

It knows no network and no objective.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvideo_rag.media import Frames
from rankvideo_rag.training.inputs import LONGEST_KEPT, Footage, Reader, Tokens, shape_of

IGNORED = -100
"""Stands among labels where no token is learnt."""

Grid = tuple[int, int, int]  # of a video: pairs of frames, rows and columns of patches


class Row(NamedTuple):
    """A prompt about one video, or about none."""

    tokens: Tokens  # the answer included where one is learnt
    video: str | None = None  # its path
    grid: Grid = (0, 0, 0)
    answer: int = 0  # tokens at the end that are learnt


class Written(NamedTuple):
    """A prompt in tokens."""

    tokens: Tokens  # the answer included where one is learnt
    answer: int = 0  # tokens at the end that are learnt


class Batch(NamedTuple):
    """Rows that a network reads together. The last position of each is its own last token."""

    tokens: Tensor  # (rows, length) ids
    mask: Tensor  # (rows, length) 1 where there is a token
    positions: Tensor  # (3, rows, length): time, height, width
    labels: Tensor  # (rows, longest answer) ids at the end of the row
    shown: tuple[str, ...]  # the videos, row after row, of the rows that show one
    grids: Mapping[str, Grid]  # of each video
    patches: Mapping[str, Tensor]  # (patches, values of a patch) of each video whose features are not known

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device."""
        return self._replace(
            tokens=self.tokens.to(device),
            mask=self.mask.to(device),
            positions=self.positions.to(device),
            labels=self.labels.to(device),
            patches={video: patches.to(device) for video, patches in self.patches.items()},
        )


def batch_of(rows: Sequence[Row], reader: Reader, patches: Mapping[str, Tensor]) -> Batch:
    """The rows as one batch, with the patches of those of their videos whose features are not known."""
    length, answers = max(len(row.tokens) for row in rows), max(row.answer for row in rows)
    tokens = np.full((len(rows), length), reader.padding_token, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    labels = np.full((len(rows), answers), IGNORED, np.int64)
    for number, row in enumerate(rows):
        tokens[number, length - len(row.tokens) :] = row.tokens
        mask[number, length - len(row.tokens) :] = 1
        labels[number, answers - row.answer :] = row.tokens[len(row.tokens) - row.answer :]
    sides = np.array([row.grid[1:] for row in rows], np.int64) // reader.merge
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(mask),
        torch.from_numpy(positions_of(tokens == reader.video_token, mask, sides)),
        torch.from_numpy(labels),
        tuple(row.video for row in rows if row.video is not None),
        {row.video: row.grid for row in rows if row.video is not None},
        patches,
    )


def positions_of(
    seen: NDArray[np.bool_],  # (rows, length): where a token of the row's video stands
    mask: NDArray[np.int64],  # (rows, length)
    sides: NDArray[np.int64],  # (rows, 2): tokens of a pair of frames, in height and in width
) -> NDArray[np.int64]:
    """(3, rows, length) as Qwen3-VL counts them (transformers' `get_rope_index`); 0 where there is padding.

    Words count on by one in all three. The tokens of a pair of frames share a time and have a height and a width of their own;
    what follows begins after the longer side.
    """
    height, width = np.maximum(sides, 1).T[:, :, None]
    words = mask - seen
    words_before = np.cumsum(words, axis=1) - words
    pairs_before, place = np.divmod(np.cumsum(seen, axis=1) - seen, height * width)
    begin = words_before + pairs_before * np.maximum(height, width)
    return np.stack([begin, begin + seen * (place // width), begin + seen * (place % width)]) * mask


class Collator:
    """Pairs of words and a video's path to batches. What was made of a pair is kept; of a video, that it is known."""

    def __init__(
        self, reader: Reader, footage: Footage, write: Callable[[str, Frames], Written], *, knows: Callable[[str], bool]
    ) -> None:
        self._reader = reader
        self._footage = footage
        self._write = write
        self._knows = knows  # whether a video's features are known, so that its patches are not needed
        self._kept: dict[tuple[str, str], Row] = {}

    def batch(self, pairs: Sequence[tuple[str, str]]) -> Batch:
        """The pairs as one batch, a row for each; no video is read for it twice, and none that is known."""
        return batch_of(*self.rows(pairs))

    def rows(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[Row], Reader, dict[str, Tensor]]:
        """What a batch of these pairs is made of: rows, who reads them, and patches of the videos that are not known."""
        footage = cache(self._footage)
        rows = [self._kept.get(pair) or self._row(*pair, footage) for pair in pairs]
        videos = dict.fromkeys(video for _, video in pairs)
        patches = {video: self._reader.patches(footage(video)) for video in videos if not self._knows(video)}
        return rows, self._reader, patches

    def _row(self, words: str, video: str, footage: Footage) -> Row:
        frames = footage(video)
        tokens, answer = self._write(words, frames)
        row = Row(tokens, video, self._reader.grid(shape_of(frames)), answer)
        if len(tokens) <= LONGEST_KEPT:
            self._kept[words, video] = row
        return row
