"""Workers on the machines of a Ray cluster, fed by Ray Data: tasks go out, receipts come back in whatever order.

The only file that knows Ray; it knows no archive. Each worker is an actor that loads its models once. A task is given to Ray
once: what comes back from a process or a machine that died is nothing, and what is left after a round is handed out anew in
the next, to the workers that there are then.
"""

import contextlib
import io
import logging
import os
import pickle
import platform
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import ray
import ray.data
from ray.exceptions import RayError

from rankvideo_rag.errors import ArchiveMismatch, InputError, RankVideoError
from rankvideo_rag.indexing.distributed import FileTask, IndexWorker, WorkerConfig, WorkerResult, lost_task
from rankvideo_rag.storage.index_config import IndexConfig, Models

ROUNDS = 3  # a file whose worker dies in so many is failed
_AT_A_TIME = 8  # files given to a worker at once, of many: the more, the less Ray has to keep count of
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent to anybody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # as later versions have it; silences a warning about that
}

logger = logging.getLogger(__name__)


class ModelLoader(NamedTuple):
    """How a worker comes by its models, and the config that they give."""

    load: Callable[[], tuple[IndexConfig, Models]]
    device: str | None


class _WorkerError(NamedTuple):
    """A worker that cannot work, whatever the file."""

    machine: str
    words: str


def ray_workers(
    loader: ModelLoader, address: str | None
) -> Callable[[WorkerConfig, Sequence[FileTask]], Generator[WorkerResult, None, None]]:
    """Workers on the cluster at `address`, else at $RAY_ADDRESS, else on one that is started on this machine.

    Raises InputError where there is no cluster at the address, RankVideoError where its workers cannot work.
    """

    def receipts(brief: WorkerConfig, tasks: Sequence[FileTask]) -> Generator[WorkerResult, None, None]:
        if not tasks:
            return
        with _ray_connection(address or os.environ.get("RAY_ADDRESS")):
            yield from _run_rounds(loader, brief, tasks)

    return receipts


def _run_rounds(loader: ModelLoader, brief: WorkerConfig, tasks: Sequence[FileTask]) -> Iterator[WorkerResult]:
    """A receipt for each task. Raises RankVideoError when the cluster breaks down again and again."""
    left, whole, broken = {task.path: task for task in tasks}, 0, 0
    while left and whole < ROUNDS:
        before = len(left)
        try:
            for receipt in _run_round(loader, brief, list(left.values()), together=not (whole or broken)):
                if left.pop(receipt.path, None):
                    yield receipt
            whole += 1
        except RayError as error:
            broken = broken + 1 if len(left) == before else 0
            logger.info("the cluster lost a round of %d files: %s", before, error)
            if broken == ROUNDS:
                raise RankVideoError(
                    f"the Ray cluster broke down {ROUNDS} times before any of {len(left)} files was read: {error}. What was "
                    f"committed is safe: see to the cluster (ray status) and run the same command to go on"
                ) from error
    for task in left.values():
        yield lost_task(task, f"each of {ROUNDS} workers that were to read {str(task.path)!r} ended before it was done")


def _run_round(
    loader: ModelLoader, brief: WorkerConfig, tasks: Sequence[FileTask], *, together: bool
) -> Iterator[WorkerResult]:
    """Hand each task to one worker, and give the receipts that come back. `together`, some go to a worker at once."""
    resources = ray.cluster_resources()
    gpus = 0 if loader.device == "cpu" else int(resources.get("GPU", 0))
    workers = max(1, min(len(tasks), gpus or int(resources.get("CPU", 0))))
    files = max(1, min(_AT_A_TIME, len(tasks) // (4 * workers))) if together else 1
    with ray.data.DataContext.current(_ray_data_options()), warnings.catch_warnings():
        # There is no other way yet to say max_restarts and max_task_retries.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        given = ray.data.from_items([{"task": pickle.dumps(t)} for t in tasks], override_num_blocks=-(-len(tasks) // files))
        done = given.map_batches(
            _Actor,
            fn_constructor_args=(loader.load, brief),
            batch_size=None,
            batch_format="pyarrow",
            # One task at a time: who waited behind a file that ends a process would be lost with it.
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            # Else Ray would try a file for ever, and wait for an actor to come back for which there may be no machine.
            max_restarts=0,
            max_task_retries=0,
        )
    for batch in done.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from map(_unpickle_result, batch["receipt"].to_pylist())


def _ray_data_options() -> Any:
    """How Ray Data is to go about a round."""
    options = ray.data.DataContext.get_current().copy()
    options.enable_progress_bars = options.print_on_execution_start = False
    options.max_errored_blocks = -1  # a worker that dies costs what it was at, not the round
    options.target_max_block_size = 1  # bytes: each receipt comes at once, and is not kept for company
    # A worker without a task for a moment stays, and one that went is replaced while the others have theirs: by default Ray
    # sends the idle home and calls for more once each has 1.75 tasks, of which ours have one at most.
    options.autoscaling_config.actor_pool_util_downscaling_threshold = -1.0
    options.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    return options


def _unpickle_result(message: bytes) -> WorkerResult:
    receipt: WorkerResult | _WorkerError = pickle.loads(message)
    if isinstance(receipt, _WorkerError):
        raise RankVideoError(f"a worker on {receipt.machine} cannot work: {receipt.words}")
    return receipt


class _Actor:
    """A worker as Ray Data calls it. What goes wrong with it, but for its death, is told in place of a receipt."""

    def __init__(self, load: Callable[[], tuple[IndexConfig, Models]], brief: WorkerConfig) -> None:
        self._worker: IndexWorker | _WorkerError
        try:
            config, models = load()
            _check_config(config, brief.config)
            self._worker = IndexWorker(brief, models)
        except Exception as error:
            self._worker = _worker_error(error)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for task in map(pickle.loads, batch["task"].to_pylist()):
            yield pa.table({"receipt": [pickle.dumps(self._work(task))]})

    def _work(self, task: FileTask) -> WorkerResult | _WorkerError:
        try:
            return self._worker if isinstance(self._worker, _WorkerError) else self._worker.work(task)
        except Exception as error:
            return _worker_error(error)


def _check_config(found: IndexConfig, needed: IndexConfig) -> None:
    if found.fingerprint != needed.fingerprint:
        differ = [n for n in IndexConfig.model_fields if n != "settings" and getattr(found, n) != getattr(needed, n)]
        details = "; ".join(f"{name}: {getattr(found, name)} there, {getattr(needed, name)} here" for name in differ)
        raise ArchiveMismatch(f"its models would make other archives than those of this machine ({details})")


def _worker_error(error: Exception) -> _WorkerError:
    words = str(error) if isinstance(error, RankVideoError) else "".join(traceback.format_exception(error))
    return _WorkerError(platform.node(), words)


@contextlib.contextmanager
def _ray_connection(address: str | None) -> Iterator[None]:
    """In touch with a cluster, without its chatter on the terminal. One that this process is in touch with already is used."""
    if ray.is_initialized():
        yield
        return
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    started: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    without_ray: Any = _StdoutWithoutRay(sys.stdout)
    with contextlib.redirect_stdout(without_ray):
        try:
            ray.init(**started, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:  # of many kinds, also of none in particular
            if address is None:
                raise RankVideoError(f"Ray did not start on this machine: {error}") from error
            raise InputError(
                f"no Ray cluster can be reached at {address}: {error}. Start one with `ray start --head`, have this and the "
                f"other machines join it with `ray start --address`, and give --address HOST:PORT"
            ) from error
        try:
            yield
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # what Ray kept back to say once
                ray.shutdown()


class _StdoutWithoutRay:
    """Standard output but for what Ray's own threads print there, which would be taken for a result: it is logged."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            logger.info("%s", text.rstrip())
            return len(text)
        return int(self._inner.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
