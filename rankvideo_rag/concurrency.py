"""Doing the next pieces of work while somebody is busy with the last: a bounded, ordered look ahead. Knows nothing of media."""

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def prefetch_map(work: Callable[[T], R], items: Iterable[T], *, ahead: int, threads: int) -> Generator[R, None, None]:
    """`work(item)` for each item, in order, done in background threads.

    Never more than `ahead` results are under way or waiting. An exception is raised where its result would have come. When
    the iterator is closed, what has not begun is dropped, and what has is left to end by itself: nobody waits for it.
    """
    # Daemon threads, unlike those of an executor: Ctrl-C must not have to wait for a clip that takes a minute.
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
    # No name here holds a task: a clip that has been handed on must not stay in memory for its sake.
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
