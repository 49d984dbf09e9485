"""Model inputs of the Qwen3-VL family for training: the tokens and pixels of inference, mostly without calling the processor.

At small sizes the processor takes longer than a training step. It is called once for each shape of a video; tokens are cached.
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

FrameSource = Callable[[str], Frames]
"""Returns the frames of a video, by its path."""

Tokens = NDArray[np.int32]  # (n,)

MAX_CACHED_TOKENS = 1_000
"""Longer prompts are not cached: they cost memory, and building them takes little time beside their training step."""

_VIDEO = "<|video_pad|>"


def make_frame_source(budget: FrameBudget, frame_source: FrameSource | None = None, *, keep: bool = False) -> FrameSource:
    """Return a source that reads files unless another one is given, and with `keep` reads each video once.

    The source raises MediaError for a file that cannot be read, InputError for a video without frames.
    """

    def read(path: str) -> Frames:
        frames = frame_source(path) if frame_source else read_frames(path, budget=budget)
        if not len(frames):
            raise InputError(f"{path} has no frames: remove it from the training data")
        return frames

    return cache(read) if keep else read


def video_path(example: TrainingExample) -> str:
    """Return the path of an example's video. Raises InputError for an example without one."""
    if not example.videos:
        raise InputError(f"query {example.query_id!r}, document {example.doc_id!r}: `videos` names no file")
    return example.videos[0]


class VideoShape(NamedTuple):
    """Everything about a video that its tokens depend on."""

    times: tuple[float, ...]  # seconds
    height: int  # pixels
    width: int


def video_shape(frames: Frames) -> VideoShape:
    """Return the shape of these frames."""
    _, height, width, _ = frames.pixels.shape
    return VideoShape(tuple(frames.times.tolist()), height, width)


def raw_frame_options(video_processor: Any) -> dict[str, Any]:
    """Return the options with which a video processor neither resizes nor samples frames."""
    options = {"do_resize": False, "do_sample_frames": False}
    if hasattr(video_processor, "cap_pixels_per_frame"):
        options["cap_pixels_per_frame"] = False  # affects resizing only; left out, it causes a warning
    return options


class InputProcessor:
    """Tokens and pixels of a checkpoint's transformers processor (`hf`), cached."""

    def __init__(self, hf: Any, *, model_type: str) -> None:
        self.hf = hf
        self._model_type = model_type
        self._video_processor = hf.video_processor
        self._prompts: dict[Any, Tokens] = {}
        self._placeholders: dict[VideoShape, str] = {}
        token_id = hf.tokenizer.convert_tokens_to_ids
        self.video_token: int = token_id(_VIDEO)
        self.padding_token: int = hf.tokenizer.pad_token_id
        self.end_of_turn: int = token_id("<|im_end|>")
        self.merge: int = self._video_processor.merge_size  # patches, in rows and in columns, to a token

    def prompt(self, prompt: Prompt) -> Tokens:
        """Return the tokens of a prompt with one video, the same as those of the transformers backend."""
        [frames] = prompt_videos([prompt])
        texts = tuple(part for part in prompt.user if isinstance(part, str))
        key = (prompt.system, texts, isinstance(prompt.user[0], str), prompt.prefill, video_shape(frames))
        if (cached := self._prompts.get(key)) is not None:
            return cached
        text = chat_text(self.hf, prompt, model_type=self._model_type)
        tokens = self.text(text.replace(_VIDEO, self._placeholder(frames)))
        if len(tokens) <= MAX_CACHED_TOKENS:
            self._prompts[key] = tokens
        return tokens

    def text(self, text: str) -> Tokens:
        """Return the tokens of a text in which nothing is left to replace."""
        return np.array(self.hf.tokenizer(text)["input_ids"], np.int32)

    def grid(self, shape: VideoShape) -> tuple[int, int, int]:
        """Return a video's size in patches: pairs of frames, rows, columns."""
        pairs = -(-len(shape.times) // self._video_processor.temporal_patch_size)
        side = self._video_processor.patch_size
        return pairs, shape.height // side, shape.width // side

    def patches(self, frames: Frames) -> Tensor:
        """Return (patches, values of a patch) float32, cut and normalised as by the processor."""
        video_processor = self._video_processor
        check_frame_size(frames, frame_multiple(video_processor) or 1, model="the model")
        pairs, rows, columns = self.grid(video_shape(frames))
        depth, side, merge = video_processor.temporal_patch_size, video_processor.patch_size, self.merge
        pixels = torch.from_numpy(video_array(frames))  # (frames, 3, height, width) uint8
        pixels = torch.cat([pixels, pixels[-1:].expand(pairs * depth - len(pixels), -1, -1, -1)])  # repeat an odd last frame
        cut = pixels.view(pairs, depth, 3, rows // merge, merge, side, columns // merge, merge, side)
        cut = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(pairs * rows * columns, 3, -1).float()
        statistics = (video_processor.image_mean, video_processor.image_std)
        mean, std = (torch.tensor(values).view(3, 1) / video_processor.rescale_factor for values in statistics)
        patches: Tensor = (cut - mean) / std
        return patches.flatten(1)

    def _placeholder(self, frames: Frames) -> str:
        """Return what the processor writes in place of a video: times, marks and a placeholder for each token."""
        shape = video_shape(frames)
        if shape not in self._placeholders:
            check_frame_size(frames, frame_multiple(self._video_processor) or 1, model="the model")
            options = raw_frame_options(self._video_processor) | {"input_data_format": "channels_first"}
            metadata = {"video_metadata": [video_metadata(frames)]}
            found = self.hf(text=[_VIDEO], videos=[video_array(frames)], videos_kwargs=options | metadata)
            self._placeholders[shape] = self.hf.tokenizer.decode(found["input_ids"][0])
        return self._placeholders[shape]
