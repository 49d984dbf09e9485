"""How weights move: AdamW, or Muon for the matrices inside blocks beside AdamW for all else, and the schedules of both.

It knows named parameters, no data and no objective.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.optim import AdamW, Muon, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from rankvideo_rag.training.config import TrainingConfig

_SCHEDULES = {"cosine": "cosine", "constant": "constant_with_warmup", "decay": "warmup_stable_decay"}


def optimizer_of(network: nn.Module, config: TrainingConfig) -> Optimizer:
    """The optimiser that a configuration asks for, over the weights that are trained."""
    trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    inside = {name: weight for name, weight in trained.items() if _is_matrix_in_block(name, weight)}
    if config.optimizer == "adamw":
        return AdamW(_decayed(trained.values(), config), lr=config.learning_rate)
    others = [weight for name, weight in trained.items() if name not in inside]
    return MuonAndAdamW(
        # Steps as long as AdamW's: one learning rate serves both (Liu et al., arXiv 2502.16982, section 2.2).
        Muon(
            list(inside.values()),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            adjust_lr_fn="match_rms_adamw",
        ),
        # A short memory of squares, as for the few hundred steps that Muon needs.
        AdamW(_decayed(others, config), lr=config.adamw_learning_rate or config.learning_rate, betas=(0.9, 0.98)),
    )


def schedule_of(optimizer: Optimizer, config: TrainingConfig, *, steps: int) -> LambdaLR:
    """The learning rate over so many steps, as a share of that of each group of weights."""
    decay = {"num_decay_steps": round(steps * config.decay_share), "decay_type": "linear"}
    schedule: LambdaLR = get_scheduler(
        _SCHEDULES[config.schedule],
        optimizer,
        num_warmup_steps=math.ceil(steps * config.warmup_share),
        num_training_steps=steps,
        scheduler_specific_kwargs=decay if config.schedule == "decay" else {},
    )
    return schedule


class MuonAndAdamW(Optimizer):
    """Two optimisers as one: a schedule, a trainer and a checkpoint see the groups of weights of both."""

    def __init__(self, *parts: Optimizer) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        self.param_groups = [group for part in parts for group in part.param_groups]  # the very groups, not copies

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move all weights."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The state of each part, as the part gives it."""
        return {"parts": [part.state_dict() for part in self.parts], "param_groups": [], "state": {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of each part."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def _is_matrix_in_block(name: str, weight: Tensor) -> bool:
    """Whether Muon is for it: a block's or a merger's, no embedding, no head, no norm and no bias."""
    return weight.ndim == 2 and any(part in f".{name}" for part in (".blocks.", ".layers.", "merger"))


def _decayed(weights: Iterable[Tensor], config: TrainingConfig) -> list[dict[str, Any]]:
    """Matrices decay, norms and biases do not."""
    by_kind: dict[bool, list[Tensor]] = {True: [], False: []}
    for weight in weights:
        by_kind[weight.ndim > 1].append(weight)
    return [
        {"params": of_kind, "weight_decay": config.weight_decay if matrices else 0.0}
        for matrices, of_kind in by_kind.items()
        if of_kind
    ]
