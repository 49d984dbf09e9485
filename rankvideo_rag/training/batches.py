"""Batches of prompts: tokens padded on the left, their positions, and each video once, however many prompts show it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvideo_rag.media import Frames
from rankvideo_rag.training.inputs import MAX_CACHED_TOKENS, FrameSource, InputProcessor, Tokens, video_shape

IGNORED = -100
"""The label of a token that does not count in the loss."""

Grid = tuple[int, int, int]  # of a video: pairs of frames, rows and columns of patches


class PromptRow(NamedTuple):
    """A tokenized prompt with its video, or without one."""

    tokens: Tokens  # including the answer where one is learnt
    video: str | None = None  # its path
    grid: Grid = (0, 0, 0)
    answer: int = 0  # tokens at the end that are learnt


class Batch(NamedTuple):
    """Rows that a network reads together; the last position of each row is its own last token."""

    tokens: Tensor  # (rows, length) ids
    mask: Tensor  # (rows, length) 1 where there is a token; packing.py has a mask of attention instead
    positions: Tensor  # (3, rows, length): time, height, width
    labels: Tensor  # (rows, longest answer) ids at the end of the row
    videos: tuple[str, ...]  # paths, row after row, of the rows that have one
    grids: Mapping[str, Grid]  # of each video
    patches: Mapping[str, Tensor]  # (patches, values of a patch) of each video whose features are not cached

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return self._replace(
            tokens=self.tokens.to(device),
            mask=self.mask.to(device),
            positions=self.positions.to(device),
            labels=self.labels.to(device),
            patches={video: patches.to(device) for video, patches in self.patches.items()},
        )


def make_batch(rows: Sequence[PromptRow], processor: InputProcessor, patches: Mapping[str, Tensor]) -> Batch:
    """Return the rows as one batch, with the patches of those of their videos whose features are not cached."""
    length, answers = max(len(row.tokens) for row in rows), max(row.answer for row in rows)
    tokens = np.full((len(rows), length), processor.padding_token, np.int64)
    mask = np.zeros((len(rows), length), np.int64)
    labels = np.full((len(rows), answers), IGNORED, np.int64)
    for number, row in enumerate(rows):
        tokens[number, length - len(row.tokens) :] = row.tokens
        mask[number, length - len(row.tokens) :] = 1
        labels[number, answers - row.answer :] = row.tokens[len(row.tokens) - row.answer :]
    sides = np.array([row.grid[1:] for row in rows], np.int64) // processor.merge
    return Batch(
        torch.from_numpy(tokens),
        torch.from_numpy(mask),
        torch.from_numpy(mrope_positions(tokens == processor.video_token, mask, sides)),
        torch.from_numpy(labels),
        tuple(row.video for row in rows if row.video is not None),
        {row.video: row.grid for row in rows if row.video is not None},
        patches,
    )


def mrope_positions(
    is_video: NDArray[np.bool_],  # (rows, length): whether a token is one of the row's video
    mask: NDArray[np.int64],  # (rows, length)
    sides: NDArray[np.int64],  # (rows, 2): tokens of a pair of frames, in height and in width
) -> NDArray[np.int64]:
    """Return (3, rows, length) positions as Qwen3-VL counts them (transformers' `get_rope_index`); 0 where there is padding.

    Text counts on by one in all three. The tokens of a pair of frames share a time and have a height and a width of their own;
    what follows begins after the longer side.
    """
    height, width = np.maximum(sides, 1).T[:, :, None]
    text = mask - is_video
    text_before = np.cumsum(text, axis=1) - text
    pairs_before, place = np.divmod(np.cumsum(is_video, axis=1) - is_video, height * width)
    begin = text_before + pairs_before * np.maximum(height, width)
    return np.stack([begin, begin + is_video * (place // width), begin + is_video * (place % width)]) * mask


class Collator:
    """Turns pairs of a text and a video's path into batches; the rows of short prompts are cached."""

    def __init__(
        self,
        processor: InputProcessor,
        frame_source: FrameSource,
        tokenize: Callable[[str, Frames], PromptRow],  # the collator adds the video and its grid
        *,
        is_cached: Callable[[str], bool],  # whether a video's features are cached, so that its patches are not needed
    ) -> None:
        self._processor = processor
        self._frame_source = frame_source
        self._tokenize = tokenize
        self._is_cached = is_cached
        self._rows: dict[tuple[str, str], PromptRow] = {}

    def batch(self, pairs: Sequence[tuple[str, str]]) -> Batch:
        """Return the pairs as one batch, a row for each."""
        return make_batch(*self.rows(pairs))

    def rows(self, pairs: Sequence[tuple[str, str]]) -> tuple[list[PromptRow], InputProcessor, dict[str, Tensor]]:
        """Return the arguments of `make_batch` for these pairs; no video is read twice, and none whose features are cached."""
        frames_of = cache(self._frame_source)
        rows = [self._rows.get(pair) or self._row(*pair, frames_of) for pair in pairs]
        videos = dict.fromkeys(video for _, video in pairs)
        patches = {video: self._processor.patches(frames_of(video)) for video in videos if not self._is_cached(video)}
        return rows, self._processor, patches

    def _row(self, text: str, video: str, frames_of: FrameSource) -> PromptRow:
        frames = frames_of(video)
        row = self._tokenize(text, frames)._replace(video=video, grid=self._processor.grid(video_shape(frames)))
        if len(row.tokens) <= MAX_CACHED_TOKENS:
            self._rows[text, video] = row
        return row
