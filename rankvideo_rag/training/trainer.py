"""The training loop of all tasks: transformers' Trainer with our batches, losses, optimizers and learning curve."""

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
from rankvideo_rag.training.optimizers import make_optimizer, make_schedule
from rankvideo_rag.training.vision_cache import fast_vision

logger = logging.getLogger(__name__)


class Loss(NamedTuple):
    """The loss of a batch, and what else to plot."""

    total: Tensor  # scalar
    parts: Mapping[str, Tensor] = {}  # scalars


class TrainingTask(Protocol):
    """What one kind of training does with its data."""

    selection_metric: str | None  # the measure of `evaluate` that selects the best checkpoint; None: the last one is kept

    @property
    def items(self) -> Sequence[Any]:
        """Return what batches are made of."""

    def batch_sampler(self, rank: int, world_size: int) -> Sampler[list[int]]:
        """Return a sampler of indices into `items` for one of several processes; with `set_epoch`, its own or its sampler's."""

    def collate(self, items: Sequence[Any]) -> Any:
        """Return items as a batch, which has a method `to`."""

    def loss(self, network: Any, batch: Any) -> Loss:
        """Return the loss of a batch, averaged over what it is made of."""

    def evaluate(self, network: Any) -> Mapping[str, float]:
        """Return the measures of a network."""


class TrainingResult(NamedTuple):
    """The outcome of a run."""

    steps: int
    best_step: int  # the one whose weights the network has
    best_metric: float | None  # by the task's selection metric; None: nothing was evaluated


def train(task: TrainingTask, network: Any, config: TrainingConfig) -> TrainingResult:
    """Train the network in place; with a selection metric it ends with the best weights, else with the last ones.

    Raises InputError when the output folder holds an earlier run and the configuration does not resume it.
    """
    folder = Path(config.output)
    arguments = _training_arguments(config, selection_metric=task.selection_metric)
    if not config.resume and arguments.process_index == 0 and (folder / "curve.jsonl").exists():
        raise InputError(f"{folder} holds an earlier run: continue it with `resume: true`, or choose another `output`")
    resumable = config.resume and Path(arguments.output_dir).is_dir()
    checkpoint = get_last_checkpoint(arguments.output_dir) if resumable else None
    with fast_vision(network), _unchanged_cache_setting(network):
        trainer = _TaskTrainer(task, network, config, arguments, _CurveWriter(folder / "curve.jsonl"))
        trainer.train(resume_from_checkpoint=checkpoint)
    state = trainer.state
    return TrainingResult(state.global_step, state.best_global_step or state.global_step, state.best_metric)


def on_main_process(write: Callable[[], None]) -> None:
    """Call a function in one process; the others wait for it."""
    if PartialState().is_main_process:
        write()
    PartialState().wait_for_everyone()


@contextmanager
def _unchanged_cache_setting(network: Any) -> Iterator[None]:
    """Restore `use_cache` afterwards: the Trainer turns it off, and the saved configuration should not say so."""
    before = vars(network.config).get("use_cache")
    try:
        yield
    finally:
        vars(network.config).pop("use_cache", None)
        if before is not None:
            network.config.use_cache = before


def loading_dtype(config: TrainingConfig) -> torch.dtype:
    """Return the dtype to load weights in: float32 where they are trained, bfloat16 for frozen ones that compute in it."""
    return torch.bfloat16 if config.adapter != "none" and uses_bfloat16(config) else torch.float32


def uses_bfloat16(config: TrainingConfig) -> bool:
    """Return whether the network computes in bfloat16: by default on GPUs that have it, never on the CPU."""
    if config.precision == "auto":
        return config.device != "cpu" and torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return config.precision == "bfloat16"


def _training_arguments(config: TrainingConfig, *, selection_metric: str | None) -> TrainingArguments:
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
        ddp_find_unused_parameters=False,  # all trained weights are used in every batch
        dataloader_pin_memory=False,
        save_total_limit=2,
        **_saving_options(config, selection_metric),
    )
    if arguments.n_gpu > 1:
        raise InputError(
            f"one process for {arguments.n_gpu} GPUs: start one for each (torchrun --nproc-per-node {arguments.n_gpu} "
            f"$(which rankvideo) train …), or use one (CUDA_VISIBLE_DEVICES=0)"
        )
    return arguments


def _saving_options(config: TrainingConfig, selection_metric: str | None) -> dict[str, Any]:
    if selection_metric is None:
        return {"save_strategy": "steps", "save_steps": config.save_steps} if config.save_steps else {"save_strategy": "no"}
    if config.save_steps:
        raise InputError("with pools a checkpoint is saved whenever it is evaluated: leave save_steps out, and set eval_steps")
    every = config.eval_steps if isinstance(config, SelectionConfig) else None
    return {
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "load_best_model_at_end": True,
        "metric_for_best_model": selection_metric,
        "greater_is_better": True,
    }


class _TaskTrainer(Trainer):  # type: ignore[misc]
    """The Trainer of a task."""

    loss_is_scaled_for_ga = False  # a task's loss is a mean over its batch: the Trainer divides it by the batches of a step

    def __init__(
        self, task: TrainingTask, network: Any, config: TrainingConfig, arguments: TrainingArguments, curve: "_CurveWriter"
    ) -> None:
        self._task = task
        self._config = config
        self._sums: dict[str, Tensor] = {}
        self._losses = 0
        eval_dataset = task.items if task.selection_metric else None  # only checked for being there
        super().__init__(network, arguments, train_dataset=task.items, eval_dataset=eval_dataset, callbacks=[curve])
        self.remove_callback(PrinterCallback)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Return the batches of this process: the sampler divides them, so accelerate must not do so again."""
        loader: DataLoader[Any] = DataLoader(
            self._task.items,  # type: ignore[arg-type]
            batch_sampler=self._task.batch_sampler(self.args.process_index, self.args.world_size),
            collate_fn=self._task.collate,
            num_workers=self._config.workers,
        )
        prepared: DataLoader[Any] = prepare_data_loader(loader, num_processes=1, process_index=0, put_on_device=False)
        return prepared

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create the optimizer that the configuration names."""
        self.optimizer = make_optimizer(model or self.model, self._config)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Create the schedule that the configuration names."""
        self.lr_scheduler = make_schedule(optimizer or self.optimizer, self._config, steps=num_training_steps)
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None) -> Tensor:
        """Return the task's loss."""
        loss = self._task.loss(model, inputs)
        self._losses += 1
        for name, part in loss.parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + part.detach()
        return loss.total

    def autocast_smart_context_manager(self, cache_enabled: bool | None = True) -> AbstractContextManager[Any]:
        """Autocast all of a loss: video features are computed outside of the network's own forward."""
        autocast: AbstractContextManager[Any] = self.accelerator.autocast()
        return autocast

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """Return the task's measures."""
        self.model.eval()
        with torch.no_grad(), self.accelerator.autocast():
            measures = {f"eval_{name}": value for name, value in self._task.evaluate(self.model).items()}
        self.log(measures)
        self.control: Any = self.callback_handler.on_evaluate(self.args, self.state, self.control, measures)
        return measures

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the loss with its parts, each the mean since the last time."""
        if "loss" in logs:
            logs |= {name: (value / self._losses).item() for name, value in self._sums.items()}
            self._sums, self._losses = {}, 0
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: operations are not counted."""
        return 0

    def _prepare_inputs(self, inputs: Any) -> Any:
        return inputs.to(self.args.device)


class _CurveWriter(TrainerCallback):  # type: ignore[misc]
    """Writes what is logged as JSON Lines; a resumed run begins with what was logged before it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._file.write_text("".join(f"{json.dumps(entry)}\n" for entry in state.log_history), encoding="utf-8")

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            entry = state.log_history[-1]
            figures = ", ".join(f"{name} {value:.4g}" for name, value in entry.items() if name not in ("step", "epoch"))
            logger.info("step %d of %d: %s", entry["step"], state.max_steps, figures)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(entry)}\n")
