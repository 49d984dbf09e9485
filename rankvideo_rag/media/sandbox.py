"""Decoding behind a fence: functions of `decoder` run in child processes that can be killed.

Damaged and hostile files make decoders hang, crash or ask for all memory; here that costs one child process and becomes a
MediaError. Children are kept for the next call, replaced after a while, and die with this process. Knows nothing of media.
"""

import atexit
import logging
import os
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder_process import DecoderProcess, _Response
from rankvideo_rag.media.ipc import DecoderResult

if TYPE_CHECKING:
    from rankvideo_rag.settings import Settings

_CALLS_PER_WORKER = 50  # decoders leak
_MAX_IDLE = 4

logger = logging.getLogger(__name__)


class MediaLimits(NamedTuple):
    """What one call into the decoder may cost before its process is killed."""

    seconds: float = 60.0
    bytes: int = 2 << 30  # address space of the child process; it needs about 0.3 GiB before it decodes anything

    @classmethod
    def from_settings(cls, settings: "Settings") -> "MediaLimits":
        """Return the limits that the options media_seconds and media_bytes set."""
        return cls(settings.media_seconds, settings.media_bytes)

    def at_least(self, seconds: float) -> "MediaLimits":
        """Return limits that allow a call at least so many seconds, as reading a whole file may need."""
        return self._replace(seconds=max(self.seconds, seconds))


def run_in_decoder(function: str, limits: MediaLimits, **arguments: Any) -> DecoderResult:
    """Run `package.module:function` in a child process with JSON-able arguments; any number of threads may call.

    Raises MediaError: what the function raised, or timeout, crash (the signal is named), too_large (out of memory) and
    decoder_error (an exception that was not foreseen; its traceback is logged).
    """
    worker = _pool.take()
    request = {"function": function, "arguments": arguments, "bytes": limits.bytes}
    try:
        answer = worker.ask(request, seconds=limits.seconds, max_bytes=limits.bytes)
    except BaseException:  # Ctrl-C too: a child in the middle of something is of no use to anyone
        worker.end()
        raise
    if answer.header.get("error", {}).get("code") == "too_large":
        worker.end()  # its heap is in pieces
    else:
        _pool.give_back(worker)
    return _reply(function, answer)


def count_decoder_calls() -> int:
    """How many requests this process has sent to decoder processes so far."""
    return _pool.calls


def _reply(function: str, answer: _Response) -> DecoderResult:
    error = answer.header.get("error")
    if error is None:
        return DecoderResult(answer.header["value"], answer.arrays)
    if "traceback" in answer.header:
        logger.error("%s failed in the decoder process:\n%s", function, answer.header["traceback"])
    raise MediaError(error["code"], error["message"])


class _Starter:
    """Starts workers from one thread that lasts as long as this process.

    Linux counts the *thread* that started a child as its parent: started from a thread of some pool, a child would be
    killed when that thread ends, perhaps while another thread waits for its answer.
    """

    def __init__(self) -> None:
        self._wishes: queue.SimpleQueue[Future[DecoderProcess]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="decoder-starter", daemon=True).start()

    def start(self) -> DecoderProcess:
        wish: Future[DecoderProcess] = Future()
        self._wishes.put(wish)
        try:
            worker = wish.result()
            worker.wait_until_ready()
        except BaseException:  # Ctrl-C may come before the worker does
            wish.add_done_callback(_end_what_was_started)
            raise
        return worker

    def _run(self) -> None:
        while True:
            wish = self._wishes.get()
            try:
                wish.set_result(DecoderProcess())
            except Exception as error:
                wish.set_exception(error)


def _end_what_was_started(wish: Future[DecoderProcess]) -> None:
    if wish.exception() is None:
        wish.result().end()


class _Pool:
    """The idle workers of this process."""

    def __init__(self) -> None:
        self.calls = 0
        self._idle: list[DecoderProcess] = []
        self._lock = threading.Lock()
        self._starter: _Starter | None = None
        self._closed = False

    def take(self) -> DecoderProcess:
        with self._lock:
            self.calls += 1
            self._starter = self._starter or _Starter()
            starter, idle = self._starter, self._idle.pop() if self._idle else None
        if idle is None:
            return starter.start()
        if idle.is_idle():
            return idle
        idle.end()  # somebody killed it while it waited
        return starter.start()

    def give_back(self, worker: DecoderProcess) -> None:
        with self._lock:
            keep = not self._closed and worker.calls < _CALLS_PER_WORKER and len(self._idle) < _MAX_IDLE
            if keep:
                self._idle.append(worker)
        if not keep:
            worker.end()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.end()


_pool = _Pool()
_of_the_parent: list[_Pool] = []


def _start_afresh() -> None:
    """In a forked copy of this process: the workers and the starting thread belong to the original."""
    global _pool
    _of_the_parent.append(_pool)  # kept, so that nothing here closes pipes or reaps children that are not ours
    _pool = _Pool()


os.register_at_fork(after_in_child=_start_afresh)
atexit.register(lambda: _pool.close())
