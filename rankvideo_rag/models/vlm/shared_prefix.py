"""Many questions on one video: which prompts begin alike, and a key-value cache that lets them share what they begin with.

Used by the transformers backend. It knows prompts and tensors, no model and no processor.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import torch
from transformers import DynamicCache

from rankvideo_rag.media import Frames
from rankvideo_rag.models.vlm import Prompt


class SharedPrefix(DynamicCache):  # type: ignore[misc]
    """The keys and values of a prefix, written once by a batch of one, then read by batches of any size.

    Once `shared`, every row of a batch goes on from the prefix and nothing is kept of it: at any time one layer holds a copy
    of the prefix for each row, not all layers.
    """

    shared = False

    def update(self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any) -> Any:
        """What the rows of this layer attend to: (rows, heads, prefix + new, head size), keys and values."""
        if not self.shared:
            return super().update(keys, values, layer_idx, *args, **kwargs)
        prefix = self.layers[layer_idx]
        return _continued(prefix.keys, keys), _continued(prefix.values, values)


def _continued(prefix: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
    return torch.cat([prefix.expand(len(new), -1, -1, -1), new], dim=-2)


def group_by_prefix(prompts: Sequence[Prompt], *, leave_out: Collection[int]) -> list[list[int]]:
    """Indices of prompts that show one Frames object first, under one system text, and nothing but text after it.

    A prompt that shares its beginning with no other is in no group.
    """
    alike: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for index, prompt in enumerate(prompts):
        if index not in leave_out and _begins_with_its_only_video(prompt):
            alike[prompt.system, id(prompt.user[0])].append(index)
    return [group for group in alike.values() if len(group) > 1]


def _begins_with_its_only_video(prompt: Prompt) -> bool:
    return [at for at, part in enumerate(prompt.user) if isinstance(part, Frames)] == [0]
