"""Optimizers (AdamW, or Muon for the weight matrices of blocks and AdamW for the other weights) and learning rate schedules."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from rankvideo_rag.training.config import TrainingConfig

_SCHEDULES = {"cosine": "cosine", "constant": "constant_with_warmup", "decay": "warmup_stable_decay"}
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic iteration (Jordan et al.)
_NEWTON_SCHULZ_STEPS = 5


def make_optimizer(network: nn.Module, config: TrainingConfig) -> Optimizer:
    """Return the configured optimizer over the weights that require gradients."""
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    inside = {name: weight for name, weight in trained.items() if _is_matrix_in_block(name, weight)}
    if config.optimizer == "adamw":
        return AdamW(_decay_groups(trained.values(), config), lr=config.learning_rate)
    others = [weight for name, weight in trained.items() if name not in inside]
    return MuonAndAdamW(
        Muon(inside.values(), lr=config.learning_rate, weight_decay=config.weight_decay),
        # A shorter average of squares than usual, as Muon needs only a few hundred steps.
        AdamW(_decay_groups(others, config), lr=config.adamw_learning_rate or config.learning_rate, betas=(0.9, 0.98)),
    )


def make_schedule(optimizer: Optimizer, config: TrainingConfig, *, steps: int) -> LambdaLR:
    """Return the configured learning rate schedule over this many steps."""
    decay = {"num_decay_steps": round(steps * config.decay_share), "decay_type": "linear"}
    schedule: LambdaLR = get_scheduler(
        _SCHEDULES[config.schedule],
        optimizer,
        num_warmup_steps=math.ceil(steps * config.warmup_share),
        num_training_steps=steps,
        scheduler_specific_kwargs=decay if config.schedule == "decay" else {},
    )
    return schedule


class Muon(Optimizer):
    """Muon with Nesterov momentum and updates scaled to the RMS of AdamW's, so that one learning rate fits both.

    The same algorithm as `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")`, which always orthogonalizes in bfloat16. Most CPUs
    emulate bfloat16 many times slower than they compute in float32, so weights on the CPU are orthogonalized in float32 here.
    Sources: Jordan et al., https://kellerjordan.github.io/posts/muon; Liu et al., arXiv 2502.16982, section 2.2.
    """

    def __init__(self, weights: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Update the weights that have a gradient."""
        for group in self.param_groups:
            for weight in (weight for weight in group["params"] if weight.grad is not None):
                momentum = self.state[weight].setdefault("momentum_buffer", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonalize(weight.grad.lerp(momentum, group["momentum"]))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(weight.shape)))


def orthogonalize(matrix: Tensor) -> Tensor:
    """Return roughly UV^T of the matrix's singular value decomposition USV^T, by Newton-Schulz iteration.

    Computes in bfloat16 on a GPU and in float32 on the CPU.
    """
    a, b, c = _NEWTON_SCHULZ
    x = matrix.to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x.T if len(matrix) > matrix.shape[1] else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if len(matrix) > matrix.shape[1] else x


class MuonAndAdamW(Optimizer):
    """Two optimizers as one: schedules, trainers and checkpoints see the parameter groups of both."""

    def __init__(self, *parts: Optimizer) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.param_groups = [group for part in parts for group in part.param_groups]  # the same objects, not copies

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all weights."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part."""
        return {"parts": [part.state_dict() for part in self.parts], "param_groups": [], "state": {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load the state of each part."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _is_matrix_in_block(name: str, weight: Tensor) -> bool:
    """Return whether Muon updates it: a matrix of a block or a merger, not an embedding or a head."""
    return weight.ndim == 2 and any(part in f".{name}" for part in (".blocks.", ".layers.", "merger"))


def _decay_groups(weights: Iterable[Tensor], config: TrainingConfig) -> list[dict[str, Any]]:
    """Return parameter groups with weight decay for matrices and without it for norms and biases."""
    by_decay: dict[bool, list[Tensor]] = {True: [], False: []}
    for weight in weights:
        by_decay[weight.ndim > 1].append(weight)
    return [
        {"params": group, "weight_decay": config.weight_decay if matrices else 0.0}
        for matrices, group in by_decay.items()
        if group
    ]
