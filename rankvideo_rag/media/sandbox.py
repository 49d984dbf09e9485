"""Run decoder functions in child processes that can be killed.

Damaged and hostile files make decoders hang, crash or allocate all memory. Here that costs one child process and becomes a
MediaError. Child processes are reused, replaced after a number of calls, and end with this process.
"""

import atexit
import logging
import os
import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, NamedTuple

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.decoder_process import DecoderProcess
from rankvideo_rag.media.ipc import DecoderResult

if TYPE_CHECKING:
    from rankvideo_rag.settings import Settings

_CALLS_PER_PROCESS = 50  # decoders leak memory
_MAX_IDLE = 4

logger = logging.getLogger(__name__)


class MediaLimits(NamedTuple):
    """The limits of one call into the decoder, beyond which its process is killed."""

    seconds: float = 60.0
    bytes: int = 2 << 30  # address space of the child process, which needs about 0.3 GiB before it decodes anything

    @classmethod
    def from_settings(cls, settings: "Settings") -> "MediaLimits":
        """Return the limits that the options media_seconds and media_bytes set."""
        return cls(settings.media_seconds, settings.media_bytes)

    def at_least(self, seconds: float) -> "MediaLimits":
        """Return limits that allow a call at least so many seconds, as reading a whole file may need."""
        return self._replace(seconds=max(self.seconds, seconds))


def run_in_decoder(function: str, limits: MediaLimits, **arguments: Any) -> DecoderResult:
    """Run `package.module:function` in a child process with JSON-serialisable arguments. Safe to call from many threads.

    Raises MediaError: what the function raised, or timeout, crash (with the signal), too_large (out of memory) and
    decoder_error (any other exception; its traceback is logged).
    """
    process = _pool.take()
    message = {"function": function, "arguments": arguments, "bytes": limits.bytes}
    try:
        header, arrays = process.request(message, seconds=limits.seconds, max_bytes=limits.bytes)
    except BaseException:  # KeyboardInterrupt too: a process in the middle of a request cannot be reused
        process.kill()
        raise
    error = header.get("error")
    if error and error["code"] == "too_large":
        process.kill()  # its heap is fragmented
    else:
        _pool.give_back(process)
    if error is None:
        return DecoderResult(header["value"], arrays)
    if "traceback" in header:
        logger.error("%s failed in the decoder process:\n%s", function, header["traceback"])
    raise MediaError(error["code"], error["message"])


def count_decoder_calls() -> int:
    """Return how many requests this process has sent to decoder processes so far."""
    return _pool.calls


class _Starter:
    """Start decoder processes from one thread that lasts as long as this process.

    Linux counts the thread that started a child as its parent: a child that was started from a thread of some pool would be
    killed when that thread ends, perhaps while another thread waits for its response.
    """

    def __init__(self) -> None:
        self._wanted: queue.SimpleQueue[Future[DecoderProcess]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="decoder-starter", daemon=True).start()

    def start(self) -> DecoderProcess:
        future: Future[DecoderProcess] = Future()
        self._wanted.put(future)
        try:
            process = future.result()
            process.wait_until_ready()
        except BaseException:  # KeyboardInterrupt may come before the process has started
            future.add_done_callback(_kill_started)
            raise
        return process

    def _run(self) -> None:
        while True:
            future = self._wanted.get()
            try:
                future.set_result(DecoderProcess())
            except Exception as error:
                future.set_exception(error)


def _kill_started(future: Future[DecoderProcess]) -> None:
    if future.exception() is None:
        future.result().kill()


class _Pool:
    """The idle decoder processes of this process."""

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
        idle.kill()  # it was killed from outside while it was idle
        return starter.start()

    def give_back(self, process: DecoderProcess) -> None:
        with self._lock:
            keep = not self._closed and process.calls < _CALLS_PER_PROCESS and len(self._idle) < _MAX_IDLE
            if keep:
                self._idle.append(process)
        if not keep:
            process.kill()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.kill()


_pool = _Pool()
_parent_pools: list[_Pool] = []


def _reset_after_fork() -> None:
    """Start with an empty pool in a forked process: the decoder processes and the starting thread belong to the parent."""
    global _pool
    _parent_pools.append(_pool)  # kept, so that nothing here closes pipes or waits for children of the parent
    _pool = _Pool()


os.register_at_fork(after_in_child=_reset_after_fork)
atexit.register(lambda: _pool.close())
