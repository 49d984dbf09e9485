"""Video features of a Qwen3-VL network in training: a cache of them, and two exact rewrites that compute them faster."""

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


class VisionFeatureCache:
    """Computes the features of a batch's videos; with `enabled` those of each video once, and keeps them in memory."""

    def __init__(self, backbone: Any, *, enabled: bool) -> None:
        self._backbone = backbone  # a Qwen3VLModel
        self._enabled = enabled
        self._cache: dict[str, Tensor] = {}

    def is_cached(self, video: str) -> bool:
        """Return whether the video's patches are no longer needed."""
        return video in self._cache

    def features(self, batch: Batch) -> Any:
        """Return the features of each row's video, row after row, as the network takes them; None without videos."""
        if not batch.videos:
            return None
        features = self._features_by_video(batch)
        rows = torch.cat([features[video] for video in batch.videos], dim=1).to(batch.tokens.device)
        first, *deeper = rows.unbind()
        return BaseModelOutputWithDeepstackFeatures(pooler_output=(first,), deepstack_features=[(layer,) for layer in deeper])

    def _features_by_video(self, batch: Batch) -> Mapping[str, Tensor]:
        """Return (1 + deepstack layers, tokens, hidden size) of each video."""
        if not self._enabled:
            return self._compute(batch)
        if batch.patches:
            with torch.no_grad():
                self._cache |= {video: features.cpu() for video, features in self._compute(batch).items()}
        return self._cache

    def _compute(self, batch: Batch) -> dict[str, Tensor]:
        """Compute the features of the videos that come with patches."""
        grids = torch.tensor([batch.grids[video] for video in batch.patches], device=batch.tokens.device)
        found = self._backbone.get_video_features(torch.cat(list(batch.patches.values())), grids, return_dict=True)
        layers = torch.stack([torch.cat(layer) for layer in (found.pooler_output, *found.deepstack_features)])
        videos = torch.split(layers, [len(tokens) for tokens in found.pooler_output], dim=1)
        return dict(zip(batch.patches, videos, strict=True))


@contextmanager
def fast_vision(network: nn.Module) -> Iterator[None]:
    """Within it, compute attention of all pairs of frames in one call, and the patch embedding as a matrix product.

    transformers calls attention once for each pair of frames, in each layer; a Conv3d with strides equal to its kernel is slow
    on the CPU. Outputs and gradients are the same up to rounding.
    """
    changed = [module for module in network.modules() if _faster_forward(module) is not None]
    for module in changed:
        module.forward = MethodType(_faster_forward(module), module)
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _faster_forward(module: nn.Module) -> Any:
    if isinstance(module, Qwen3VLVisionPatchEmbed) and isinstance(module.proj, nn.Conv3d):
        return _embed_patches
    if isinstance(module, Qwen3VLVisionAttention) and module.config._attn_implementation == "sdpa":
        return _attend
    return None


def _embed_patches(self: Any, hidden_states: Tensor) -> Tensor:
    weight = self.proj.weight
    return linear(hidden_states.to(weight.dtype), weight.flatten(1), self.proj.bias)


def _attend(self: Any, hidden_states: Tensor, cu_seqlens: Tensor, **options: Any) -> Tensor:
    """Attend within all pairs of frames at once, if they have equally many patches; otherwise as the class does."""
    lengths = set(cu_seqlens.diff().tolist())
    if len(lengths) > 1:
        original: Tensor = type(self).forward(self, hidden_states, cu_seqlens, **options)
        return original
    cos, sin = options["position_embeddings"]
    parts = self.qkv(hidden_states).view(len(hidden_states), 3, self.num_heads, -1).unbind(1)
    queries, keys = apply_rotary_pos_emb_vision(*parts[:2], cos, sin)
    # (pairs of frames, heads, patches, head size)
    q, k, v = (part.view(-1, *lengths, self.num_heads, self.head_dim).transpose(1, 2) for part in (queries, keys, parts[2]))
    attended = scaled_dot_product_attention(q, k, v, scale=self.scaling)
    projected: Tensor = self.proj(attended.transpose(1, 2).reshape(hidden_states.shape))
    return projected
