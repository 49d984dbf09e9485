"""Share the computation of a common prefix: group prompts that begin with the same video, and cache its keys and values."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt


class SharedPrefix(DynamicCache):  # type: ignore[misc]
    """Keys and values of a prefix, written once by a batch of one, then read by batches of any size.

    Once `shared`, every row of a batch continues the prefix, and its own keys and values are not kept: at any time one layer
    holds a copy of the prefix for each row, not all layers.
    """

    shared = False

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        """Return the keys and values that this layer attends to, each (rows, heads, prefix + new, head size)."""
        if not self.shared:
            return super().update(keys, values, layer_idx, *args, **kwargs)
        prefix = self.layers[layer_idx]
        return _continued(prefix.keys, keys), _continued(prefix.values, values)


def _continued(prefix: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.cat([prefix.expand(len(new), -1, -1, -1), new], dim=-2)


def group_by_prefix(prompts: Sequence[Prompt], *, excluded: Collection[int]) -> list[list[int]]:
    """Group indices of prompts with the same system text and the same Frames object, followed by text only.

    A prompt that shares its beginning with no other is in no group.
    """
    by_prefix: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        if index not in excluded and _begins_with_its_only_video(prompt):
            by_prefix[prompt.system, id(prompt.user[0])].append(index)
    return [group for group in by_prefix.values() if len(group) > 1]


def _begins_with_its_only_video(prompt: Prompt) -> bool:
    return [at for at, part in enumerate(prompt.user) if isinstance(part, Frames)] == [0]
