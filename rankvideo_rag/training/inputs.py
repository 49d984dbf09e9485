"""What a network of the Qwen3-VL family reads, made for training: the tokens and pixels of inference, without the processor.

At small sizes the processor takes longer than a training step. Here it is asked once for each way in which a video is written
into a text; tokens are kept. Rows become batches in batches.py. It knows no objective, no optimiser and no network.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rankvideo_rag.errors import InputError
from rankvideo_rag.formats.training_data import TrainingExample
from rankvideo_rag.media import Frames, read_frames
from rankvideo_rag.models.video_inputs import check_frame_size, frame_multiple, video_array, video_metadata
from rankvideo_rag.models.vlm import Prompt
from rankvideo_rag.models.vlm.conversation import prompt_videos
from rankvideo_rag.models.vlm.label_tokens import chat_text
from rankvideo_rag.schema import FrameBudget

Footage = Callable[[str], Frames]
"""The frames of a video, by its path."""

Tokens = NDArray[np.int32]  # (n,)

LONGEST_KEPT = 1_000
"""Tokens of the longest prompt that is kept: longer ones cost memory, and little beside the step that they are made for."""

_VIDEO = "<|video_pad|>"


def footage_of(budget: FrameBudget, footage: Footage | None = None, *, keep: bool = False) -> Footage:
    """Where frames come from: files, unless another source is given. With `keep` each video is read once.

    Raises MediaError for a file that cannot be read, InputError for a video without frames.
    """

    def read(path: str) -> Frames:
        frames = footage(path) if footage else read_frames(path, budget=budget)
        if not len(frames):
            raise InputError(f"{path}: a video without frames teaches nothing: leave it out of the training data")
        return frames

    return cache(read) if keep else read


def first_video(example: TrainingExample) -> str:
    """The path of the video that is watched. Raises InputError for an example without one."""
    if not example.videos:
        raise InputError(f"query {example.query_id!r}, document {example.doc_id!r}: `videos` names no file to watch")
    return example.videos[0]


class VideoShape(NamedTuple):
    """All of a video that its tokens depend on."""

    times: tuple[float, ...]  # seconds
    height: int  # pixels
    width: int


def shape_of(frames: Frames) -> VideoShape:
    """The shape of these frames."""
    _, height, width, _ = frames.pixels.shape
    return VideoShape(tuple(frames.times.tolist()), height, width)


def as_they_are(video_processor: Any) -> dict[str, Any]:
    """Options with which a processor takes frames as they were read."""
    options = {"do_resize": False, "do_sample_frames": False}
    if hasattr(video_processor, "cap_pixels_per_frame"):
        options["cap_pixels_per_frame"] = False  # concerns resizing only; unsaid, it draws a warning
    return options


class Reader:
    """A checkpoint's processor, as training uses it."""

    def __init__(self, processor: Any, *, model_type: str) -> None:
        self.processor = processor
        self._model_type = model_type
        self._eye = processor.video_processor
        self._kept: dict[Any, Tokens] = {}
        self._written: dict[VideoShape, str] = {}
        token = processor.tokenizer.convert_tokens_to_ids
        self.video_token: int = token(_VIDEO)
        self.padding_token: int = processor.tokenizer.pad_token_id
        self.end_of_turn: int = token("<|im_end|>")

    def prompt(self, prompt: Prompt) -> Tokens:
        """The tokens of a prompt that shows one video, as the transformers backend has them."""
        [frames] = prompt_videos([prompt])
        said = tuple(part for part in prompt.user if isinstance(part, str))
        key = (prompt.system, said, isinstance(prompt.user[0], str), prompt.prefill, shape_of(frames))
        if (known := self._kept.get(key)) is not None:
            return known
        text = chat_text(self.processor, prompt, model_type=self._model_type)
        tokens = self.text(text.replace(_VIDEO, self._written_video(frames)))
        if len(tokens) <= LONGEST_KEPT:
            self._kept[key] = tokens
        return tokens

    def text(self, text: str) -> Tokens:
        """The tokens of a text in which nothing is left to replace."""
        return np.array(self.processor.tokenizer(text)["input_ids"], np.int32)

    def grid(self, shape: VideoShape) -> tuple[int, int, int]:
        """A video in patches: pairs of frames, rows, columns."""
        pairs = -(-len(shape.times) // self._eye.temporal_patch_size)
        return pairs, shape.height // self._eye.patch_size, shape.width // self._eye.patch_size

    @property
    def merge(self) -> int:
        """How many patches, in rows and in columns, become one token."""
        merge: int = self._eye.merge_size
        return merge

    def patches(self, frames: Frames) -> Tensor:
        """(patches, values of a patch) float32: as the processor cuts and normalises them."""
        check_frame_size(frames, frame_multiple(self._eye) or 1, model="the model")
        pairs, rows, columns = self.grid(shape_of(frames))
        depth, side, merge = self._eye.temporal_patch_size, self._eye.patch_size, self._eye.merge_size
        pixels = torch.from_numpy(video_array(frames))  # (frames, 3, height, width) uint8
        pixels = torch.cat([pixels, pixels[-1:].expand(pairs * depth - len(pixels), -1, -1, -1)])  # the odd last one doubled
        cut = pixels.view(pairs, depth, 3, rows // merge, merge, side, columns // merge, merge, side)
        cut = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(pairs * rows * columns, 3, -1).float()
        mean, spread = (torch.tensor(value).view(3, 1) / self._eye.rescale_factor for value in self._mean_and_spread)
        patches: Tensor = (cut - mean) / spread
        return patches.flatten(1)

    @property
    def _mean_and_spread(self) -> tuple[list[float], list[float]]:
        return self._eye.image_mean, self._eye.image_std

    def _written_video(self, frames: Frames) -> str:
        """What the processor puts in a video's place: times, marks and a placeholder for each token."""
        shape = shape_of(frames)
        if shape not in self._written:
            check_frame_size(frames, frame_multiple(self._eye) or 1, model="the model")
            options = as_they_are(self._eye) | {"input_data_format": "channels_first"}
            metadata = {"video_metadata": [video_metadata(frames)]}
            found = self.processor(text=[_VIDEO], videos=[video_array(frames)], videos_kwargs=options | metadata)
            self._written[shape] = self.processor.tokenizer.decode(found["input_ids"][0])
        return self._written[shape]
