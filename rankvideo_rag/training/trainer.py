"""The loop around every kind of training: transformers' Trainer, told what a batch is, what is lost on it and how it is judged.

A `Task` says these three things. The loop brings devices, precision, accumulation, checkpoints to resume from, the learning
curve and the choice of the best checkpoint. It knows no prompts and no objective.
"""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from accelerate import PartialState
from accelerate.data_loader import prepare_data_loader
from torch import Tensor
from torch.utils.data import DataLoader, Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import get_last_checkpoint

from rankvideo_rag.errors import InputError
from rankvideo_rag.training.config import SelectionConfig, TrainingConfig
from rankvideo_rag.training.optimizers import optimizer_of, schedule_of
from rankvideo_rag.training.vision_cache import quick_vision

logger = logging.getLogger(__name__)


class Loss(NamedTuple):
    """What is made small, and what is worth a curve beside it."""

    total: Tensor  # scalar
    parts: Mapping[str, Tensor] = {}  # scalars


class Task(Protocol):
    """One kind of training."""

    chosen_by: str | None  # the measure of `judge` by which the best checkpoint is chosen; None: the last one is kept

    @property
    def items(self) -> Sequence[Any]:
        """What batches are made of."""

    def batches(self, rank: int, world_size: int) -> Sampler[list[int]]:
        """Places in `items`, batch after batch, for one of several processes; with `set_epoch`."""

    def collate(self, items: Sequence[Any]) -> Any:
        """Items as a batch, which has a method `to`."""

    def loss(self, network: Any, batch: Any) -> Loss:
        """What is lost on a batch, averaged over what it is made of."""

    def judge(self, network: Any) -> Mapping[str, float]:
        """Measures of the network as it stands."""


class Outcome(NamedTuple):
    """What came of a run."""

    steps: int
    chosen_step: int  # the one whose weights the network has
    measured: float | None  # by the task's measure; None where nothing was measured


def run(task: Task, network: Any, config: TrainingConfig) -> Outcome:
    """Train the network in place. Where it is judged, it ends with the weights that were judged best."""
    folder = Path(config.output)
    arguments = _arguments(config, chosen_by=task.chosen_by)
    begun = _begun(folder, arguments, resume=config.resume)
    with quick_vision(network), _settings_kept(network):
        trainer = _Loop(task, network, config, arguments, _Curve(folder / "curve.jsonl"))
        trainer.train(resume_from_checkpoint=begun)
    state = trainer.state
    return Outcome(state.global_step, state.best_global_step or state.global_step, state.best_metric)


def _begun(folder: Path, arguments: TrainingArguments, *, resume: bool) -> str | None:
    """The last checkpoint of a run that is to go on."""
    if not resume and arguments.process_index == 0 and (folder / "curve.jsonl").exists():
        raise InputError(f"{folder} holds an earlier run: go on with `resume: true`, or choose another `output`")
    return get_last_checkpoint(arguments.output_dir) if resume and Path(arguments.output_dir).is_dir() else None


def write_once(write: Callable[[], None]) -> None:
    """Have one process write what all have; none goes on before it is written."""
    if PartialState().is_main_process:
        write()
    PartialState().wait_for_everyone()


@contextmanager
def _settings_kept(network: Any) -> Iterator[None]:
    """The Trainer turns the key-value cache off; what is written afterwards is not to say so."""
    before = vars(network.config).get("use_cache")
    try:
        yield
    finally:
        vars(network.config).pop("use_cache", None)
        if before is not None:
            network.config.use_cache = before


def is_on_cpu(config: TrainingConfig) -> bool:
    """Whether training runs on the CPU."""
    return config.device == "cpu" or not torch.cuda.is_available()


def uses_bfloat16(config: TrainingConfig) -> bool:
    """Whether the network computes in bfloat16."""
    if config.precision == "auto":
        return not is_on_cpu(config) and torch.cuda.is_bf16_supported()
    return config.precision == "bfloat16"


def _arguments(config: TrainingConfig, *, chosen_by: str | None) -> TrainingArguments:
    if chosen_by and config.save_steps:
        raise InputError("with pools a checkpoint is saved whenever it is judged: leave save_steps out, and set eval_steps")
    every = config.eval_steps if isinstance(config, SelectionConfig) else None
    arguments = TrainingArguments(
        output_dir=str(Path(config.output) / "steps"),
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        gradient_accumulation_steps=config.gradient_accumulation,
        gradient_checkpointing=config.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        max_grad_norm=config.max_gradient_norm,
        learning_rate=config.learning_rate,
        seed=config.seed,
        use_cpu=config.device == "cpu",
        bf16=uses_bfloat16(config),
        logging_steps=config.log_steps,
        report_to=[] if config.report_to == "none" else [config.report_to],
        disable_tqdm=True,
        remove_unused_columns=False,
        ddp_find_unused_parameters=False,  # all that is trained is used in every batch
        dataloader_pin_memory=False,
        save_total_limit=2,
        **(
            {"eval_strategy": "steps", "eval_steps": every, "save_strategy": "steps", "save_steps": every}
            | {"load_best_model_at_end": True, "metric_for_best_model": chosen_by, "greater_is_better": True}
            if chosen_by
            else {"save_strategy": "steps", "save_steps": config.save_steps}
            if config.save_steps
            else {"save_strategy": "no"}
        ),
    )
    if arguments.n_gpu > 1:
        raise InputError(
            f"one process for {arguments.n_gpu} GPUs: start one for each (torchrun --nproc-per-node {arguments.n_gpu} "
            f"$(which rankvideo) train …), or let it see one (CUDA_VISIBLE_DEVICES=0)"
        )
    return arguments


class _Loop(Trainer):  # type: ignore[misc]
    """The Trainer of a task."""

    loss_is_scaled_for_ga = False  # a task's loss is a mean over its batch: the Trainer divides it by the batches of a step

    def __init__(self, task: Task, network: Any, config: TrainingConfig, arguments: TrainingArguments, curve: "_Curve") -> None:
        self._task = task
        self._config = config
        self._sums: dict[str, Tensor] = {}
        self._losses = 0
        judged = task.items if task.chosen_by else None  # only that there is something is asked
        super().__init__(network, arguments, train_dataset=task.items, eval_dataset=judged, callbacks=[curve])
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches of this process alone: the sampler knows of the others, so accelerate must not divide them again."""
        loader: DataLoader[Any] = DataLoader(
            self._task.items,  # type: ignore[arg-type]
            batch_sampler=self._task.batches(self.args.process_index, self.args.world_size),
            collate_fn=self._task.collate,
            num_workers=self._config.workers,
        )
        prepared: DataLoader[Any] = prepare_data_loader(loader, num_processes=1, process_index=0, put_on_device=False)
        return prepared

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The optimiser that the configuration names."""
        self.optimizer = optimizer_of(model or self.model, self._config)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule that the configuration names."""
        self.lr_scheduler = schedule_of(optimizer or self.optimizer, self._config, steps=num_training_steps)
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Tensor:
        """What the task says is lost."""
        loss = self._task.loss(model, inputs)
        self._losses += 1
        for name, part in loss.parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + part.detach()
        return loss.total

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> AbstractContextManager[Any]:
        """Around all of a loss: the features of videos are computed outside of the network's own forward."""
        autocast: AbstractContextManager[Any] = self.accelerator.autocast()
        return autocast

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """What the task measures."""
        self.model.eval()
        with torch.no_grad(), self.accelerator.autocast():
            measures = {f"eval_{name}": value for name, value in self._task.judge(self.model).items()}
        self.log(measures)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, measures)
        return measures

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """The loss with its parts, each the mean since the last time."""
        if "loss" in logs:
            logs |= {name: (value / self._losses).item() for name, value in self._sums.items()}
            self._sums, self._losses = {}, 0
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Any) -> int:
        """Not counted: nothing reads it."""
        return 0

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs.to(self.args.device)


class _Curve(TrainerCallback):  # type: ignore[misc]
    """Writes what is logged, one JSON object on each line; a run that goes on begins with what was written before it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text("".join(f"{json.dumps(entry)}\n" for entry in state.log_history), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            entry = state.log_history[-1]
            logger.info("step %d of %d: %s", entry["step"], state.max_steps, _shown(entry))
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(entry)}\n")


def _shown(entry: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name not in ("step", "epoch"))
