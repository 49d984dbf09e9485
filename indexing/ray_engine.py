"""Index with workers on a Ray cluster, fed by Ray Data. The only module that imports Ray.

Each worker is an actor that loads its models once. Ray gets a task once: a process or machine that dies returns nothing, and
tasks without a result are handed out again in the next round.
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
from rankvideo_rag.indexing.distributed import FileTask, IndexWorker, RunWorkers, WorkerConfig, WorkerResult, lost_task
from rankvideo_rag.storage.index_config import IndexConfig, Models, is_same_text_embedder

ROUNDS = 3  # a file fails when its worker died in so many
_MAX_BLOCK = 8  # files in a block of many: larger blocks are less bookkeeping for Ray
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no telemetry
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the default of later versions; silences a warning about it
}

logger = logging.getLogger(__name__)

LoadModels = Callable[[], tuple[IndexConfig, Models]]


class ModelLoader(NamedTuple):
    """How workers load their models, and the index config that these give."""

    load: LoadModels
    device: str | None


class _WorkerError(NamedTuple):
    """A worker that cannot process any file."""

    machine: str
    message: str


def ray_workers(loader: ModelLoader, address: str | None) -> RunWorkers:
    """Return workers on the cluster at `address`, else at $RAY_ADDRESS, else on one started on this machine.

    They raise InputError where there is no cluster at the address, RankVideoError where the cluster or its workers fail.
    """

    def run(config: WorkerConfig, tasks: Sequence[FileTask]) -> Generator[WorkerResult, None, None]:
        if tasks:
            with _ray_connection(address or os.environ.get("RAY_ADDRESS")):
                yield from _run_rounds(loader, config, tasks)

    return run


def _run_rounds(loader: ModelLoader, config: WorkerConfig, tasks: Sequence[FileTask]) -> Iterator[WorkerResult]:
    """Yield a result for each task. Raises RankVideoError when the cluster fails ROUNDS times without any progress."""
    left, complete, broken = {task.path: task for task in tasks}, 0, 0
    while left and complete < ROUNDS:
        before = len(left)
        try:
            for result in _run_round(loader, config, list(left.values()), first=not (complete or broken)):
                if left.pop(result.path, None):
                    yield result
            complete += 1
        except RayError as error:
            broken = broken + 1 if len(left) == before else 0
            logger.info("the cluster lost a round of %d files: %s", before, error)
            if broken == ROUNDS:
                raise RankVideoError(
                    f"the Ray cluster failed {ROUNDS} times before any of {len(left)} files was processed: {error}. Committed "
                    f"files are safe: check the cluster (ray status) and run the same command again to continue"
                ) from error
    for task in left.values():
        yield lost_task(task, f"{ROUNDS} workers died while they processed {str(task.path)!r}")


def _run_round(loader: ModelLoader, config: WorkerConfig, tasks: Sequence[FileTask], *, first: bool) -> Iterator[WorkerResult]:
    """Hand each task to a worker once and yield the results. Only the `first` round puts several files in a block."""
    resources = ray.cluster_resources()
    gpus = 0 if loader.device == "cpu" else int(resources.get("GPU", 0))
    workers = max(1, min(len(tasks), gpus or int(resources.get("CPU", 0))))
    files = max(1, min(_MAX_BLOCK, len(tasks) // (4 * workers))) if first else 1
    with ray.data.DataContext.current(_ray_data_options()), warnings.catch_warnings():
        # There is no other way yet to set max_restarts and max_task_retries.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        blocks = -(-len(tasks) // files)
        results = ray.data.from_items([{"task": pickle.dumps(task)} for task in tasks], override_num_blocks=blocks).map_batches(
            _Actor,
            fn_constructor_args=(loader.load, config),
            batch_size=None,
            batch_format="pyarrow",
            # One block in flight per actor: blocks queued behind a file that kills its worker would be lost with it.
            compute=ray.data.ActorPoolStrategy(
                min_size=1, max_size=workers, initial_size=workers, max_tasks_in_flight_per_actor=1
            ),
            num_cpus=1,
            num_gpus=1 if gpus else 0,
            # Otherwise Ray would retry a file forever, and wait for an actor that no machine may be able to restart.
            max_restarts=0,
            max_task_retries=0,
        )
    for batch in results.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
        yield from map(_unpickle_result, batch["result"].to_pylist())


def _ray_data_options() -> Any:
    options = ray.data.DataContext.get_current().copy()
    options.enable_progress_bars = options.print_on_execution_start = False
    options.max_errored_blocks = -1  # a dead worker costs its block, not the round
    options.target_max_block_size = 1  # bytes: each result is sent at once instead of being collected with others
    # Keep idle workers and replace dead ones while others are busy: by default Ray removes idle actors, and adds some once each
    # has 1.75 tasks, while ours have one at most.
    options.autoscaling_config.actor_pool_util_downscaling_threshold = -1.0
    options.autoscaling_config.actor_pool_util_upscaling_threshold = 1.0
    return options


def _unpickle_result(message: bytes) -> WorkerResult:
    result: WorkerResult | _WorkerError = pickle.loads(message)
    if isinstance(result, _WorkerError):
        raise RankVideoError(f"a worker on {result.machine} cannot work: {result.message}")
    return result


class _Actor:
    """A worker as Ray Data calls it. Errors other than its death are returned in place of a result."""

    def __init__(self, load: LoadModels, worker_config: WorkerConfig) -> None:
        self._worker: IndexWorker | _WorkerError
        try:
            config, models = load()
            _check_config(config, worker_config.config)
            self._worker = IndexWorker(worker_config, models)
        except Exception as error:
            self._worker = _worker_error(error)

    def __call__(self, batch: pa.Table) -> Iterator[pa.Table]:
        for task in map(pickle.loads, batch["task"].to_pylist()):
            yield pa.table({"result": [pickle.dumps(self._work(task))]})

    def _work(self, task: FileTask) -> WorkerResult | _WorkerError:
        try:
            return self._worker if isinstance(self._worker, _WorkerError) else self._worker.work(task)
        except Exception as error:
            return _worker_error(error)


def _check_config(found: IndexConfig, needed: IndexConfig) -> None:
    text_embedders = (config.model_dump(mode="json")["text_embedder"] for config in (found, needed))
    if found.fingerprint != needed.fingerprint or not is_same_text_embedder(*text_embedders):
        differ = [n for n in IndexConfig.model_fields if n != "settings" and getattr(found, n) != getattr(needed, n)]
        details = "; ".join(f"{name}: {getattr(found, name)} there, {getattr(needed, name)} here" for name in differ)
        raise ArchiveMismatch(f"its models differ from those of this machine ({details})")


def _worker_error(error: Exception) -> _WorkerError:
    message = str(error) if isinstance(error, RankVideoError) else "".join(traceback.format_exception(error))
    return _WorkerError(platform.node(), message)


@contextlib.contextmanager
def _ray_connection(address: str | None) -> Iterator[None]:
    """Connect to a cluster, without Ray's output on the terminal. An existing connection of this process is used."""
    if ray.is_initialized():
        yield
        return
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    target: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    stdout: Any = _StdoutWithoutRay(sys.stdout)
    with contextlib.redirect_stdout(stdout):
        try:
            ray.init(**target, log_to_driver=False, logging_level=logging.CRITICAL)
        except Exception as error:  # Ray raises many types
            if address is None:
                raise RankVideoError(f"Ray did not start on this machine: {error}") from error
            raise InputError(
                f"no Ray cluster can be reached at {address}: {error}. Start one with `ray start --head`, have this and the "
                f"other machines join it with `ray start --address`, and give --ray-address HOST:PORT"
            ) from error
        try:
            yield
        finally:
            with contextlib.redirect_stdout(io.StringIO()):  # messages that Ray prints at the end
                ray.shutdown()


class _StdoutWithoutRay:
    """Standard output that logs what Ray's threads print, so that it is not taken for a result."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def write(self, text: str) -> int:
        if threading.current_thread().name.startswith("ray_"):
            logger.info("%s", text.rstrip())
            return len(text)
        return int(self._inner.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
