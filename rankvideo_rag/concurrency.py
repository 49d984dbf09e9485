"""Bounded, ordered prefetching in background threads."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch_map(work: Callable[[T], R], items: Iterable[T], *, ahead: int, threads: int) -> Generator[R, None, None]:
    """Yield `work(item)` for each item, in order, computed in background threads.

    At most `ahead` results are pending. An exception is raised where its result would be yielded. Closing the generator drops
    what has not started and does not wait for the rest.
    """
    # Daemon threads, unlike those of an executor: Ctrl-C must not wait for a clip that takes a minute to decode.
    tasks: queue.SimpleQueue[Callable[[], bool]] = queue.SimpleQueue()
    pending: deque[Future[R]] = deque()
    for number in range(threads):
        threading.Thread(target=_serve, args=(tasks,), name=f"prefetch-{number}", daemon=True).start()
    try:
        for item in items:
            pending.append(Future())
            tasks.put(_task(work, item, pending[-1]))
            if len(pending) == ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
        for _ in range(threads):
            tasks.put(lambda: False)


def _serve(tasks: "queue.SimpleQueue[Callable[[], bool]]") -> None:
    # No variable holds the task: a result that has been yielded must not stay in memory.
    while tasks.get()():
        pass


def _task(work: Callable[[T], R], item: T, future: "Future[R]") -> Callable[[], bool]:
    def run() -> bool:
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(work(item))
            except BaseException as error:
                future.set_exception(error)
        return True

    return run
