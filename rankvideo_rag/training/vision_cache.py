"""The eyes of a network of the Qwen3-VL family in training: two exact rewrites that make them faster, and features kept.

It knows tensors and the modules of transformers' Qwen3-VL, no prompts, no objective and no files.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers.models.qwen3_vl.modeling_qwen3_vl import (
    BaseModelOutputWithDeepstackFeatures,
    Qwen3VLVisionAttention,
    Qwen3VLVisionPatchEmbed,
    apply_rotary_pos_emb_vision,
)

from rankvideo_rag.training.batches import Batch


class Sight:
    """What a network sees of a batch's videos. With `cached`, each video's features are computed once and kept in memory."""

    def __init__(self, backbone: Any, *, cached: bool) -> None:
        self._backbone = backbone  # a Qwen3VLModel
        self._cached = cached
        self._kept: dict[str, Tensor] = {}

    def knows(self, video: str) -> bool:
        """Whether the video's patches are needed no more."""
        return video in self._kept

    def see(self, batch: Batch) -> Any:
        """The features of each row's video, row after row, as the network takes them; None where no row shows one."""
        if not batch.shown:
            return None
        features = self._features(batch)
        rows = torch.cat([features[video] for video in batch.shown], dim=1).to(batch.tokens.device)
        first, *deeper = rows.unbind()
        return BaseModelOutputWithDeepstackFeatures(pooler_output=(first,), deepstack_features=[(layer,) for layer in deeper])

    def _features(self, batch: Batch) -> Mapping[str, Tensor]:
        """Of each video (1 + deepstack layers, tokens, hidden size)."""
        if not self._cached:
            return self._computed(batch)
        if batch.patches:
            with torch.no_grad():
                self._kept |= {video: features.cpu() for video, features in self._computed(batch).items()}
        return self._kept

    def _computed(self, batch: Batch) -> dict[str, Tensor]:
        """Of the videos that come with patches."""
        grids = torch.tensor([batch.grids[video] for video in batch.patches], device=batch.tokens.device)
        found = self._backbone.get_video_features(torch.cat(list(batch.patches.values())), grids, return_dict=True)
        layers = torch.stack([torch.cat(layer) for layer in (found.pooler_output, *found.deepstack_features)])
        videos = torch.split(layers, [len(tokens) for tokens in found.pooler_output], dim=1)
        return dict(zip(batch.patches, videos, strict=True))


@contextmanager
def quick_vision(network: nn.Module) -> Iterator[None]:
    """Within it, attention among the patches of a pair of frames is one call for all pairs, and cutting into patches is a
    product of matrices.

    transformers calls attention once for each pair of frames, in each layer; a Conv3d whose steps are as long as its kernel
    is slow on the CPU. Outputs and gradients are the same up to rounding.
    """
    changed = [module for module in network.modules() if _rewrite(module) is not None]
    for module in changed:
        module.forward = MethodType(_rewrite(module), module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _rewrite(module: nn.Module) -> Any:
    if isinstance(module, Qwen3VLVisionPatchEmbed) and isinstance(module.proj, nn.Conv3d):
        return _embed
    if isinstance(module, Qwen3VLVisionAttention) and module.config._attn_implementation == "sdpa":
        return _attend
    return None


def _embed(self: Any, hidden_states: Tensor) -> Tensor:
    weight = self.proj.weight
    return linear(hidden_states.to(weight.dtype), weight.flatten(1), self.proj.bias)


def _attend(self: Any, hidden_states: Tensor, cu_seqlens: Tensor, **options: Any) -> Tensor:
    """As the class's own, for pairs of frames with equally many patches; the class's own for others."""
    lengths = set(cu_seqlens.diff().tolist())
    if len(lengths) > 1:
        original: Tensor = type(self).forward(self, hidden_states, cu_seqlens, **options)
        return original
    cos, sin = options["position_embeddings"]
    parts = self.qkv(hidden_states).view(len(hidden_states), 3, self.num_heads, -1).unbind(1)
    queries, keys = apply_rotary_pos_emb_vision(*parts[:2], cos, sin)
    # (pairs of frames, heads, patches, head size)
    q, k, v = (part.view(-1, *lengths, self.num_heads, self.head_dim).transpose(1, 2) for part in (queries, keys, parts[2]))
    seen = scaled_dot_product_attention(q, k, v, scale=self.scaling)
    projected: Tensor = self.proj(seen.transpose(1, 2).reshape(hidden_states.shape))
    return projected
