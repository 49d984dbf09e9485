"""One decoder process as its owner sees it: started, asked with a deadline, ended. One question at a time.

The deadline is kept by polling the pipes here; nothing depends on the process behaving.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any, NamedTuple

from rankvideo_rag.errors import MediaError, RankVideoError
from rankvideo_rag.media.ipc import Array, BadMessage, pack, unpack

_START_SECONDS = 60.0  # for importing numpy and FFmpeg on a machine under load
_REAP_SECONDS = 2.0
_LAST_WORDS_BYTES = 4096
_KEPT_VARIABLES = ("PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_SET_VARIABLES = {
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",  # threads reserve address space that nothing here uses
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}

logger = logging.getLogger(__name__)


class _Response(NamedTuple):
    """What came back: a header with "value" or "error", and arrays."""

    header: dict[str, Any]
    arrays: dict[str, Array]


class DecoderProcess:
    """A decoder process, ready to be asked. Call `end` when it is not wanted any more, and after any exception of `ask`."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _SET_VARIABLES
        self._process = subprocess.Popen(
            # -P: the folder that a user happens to stand in must not supply a module called av or numpy.
            [sys.executable, "-P", "-m", "rankvideo_rag.media.decoder.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal reaches the parent only, which then ends its children
        )
        self._pipes = [pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe is not None]
        self._to, self._from, self._words_from = (pipe.fileno() for pipe in self._pipes)
        for descriptor in (self._to, self._from, self._words_from):
            os.set_blocking(descriptor, False)
        self._last_words = b""
        self._speechless = False
        self.calls = 0

    def wait_until_ready(self) -> None:
        """Raises RankVideoError when the process does not come up: that is no file's fault."""
        try:
            self._receive(time.monotonic() + _START_SECONDS, max_bytes=0)
        except (TimeoutError, EOFError, BadMessage) as error:
            raise RankVideoError(f"the decoder process did not start: {error or self._cause_of_death()}") from error

    def is_idle(self) -> bool:
        """True when the process lives and has nothing to say."""
        return not _poll({self._from: select.POLLIN}, 0)

    def ask(self, request: dict[str, Any], *, seconds: float, max_bytes: int) -> _Response:
        """Send a request and wait for its answer. Raises MediaError with code timeout or crash."""
        self.calls += 1
        deadline = time.monotonic() + seconds
        try:
            self._send(b"".join(pack(request, {})), deadline)
            return self._receive(deadline, max_bytes)
        except TimeoutError as error:
            raise MediaError("timeout", f"decoding took longer than the {seconds:g} s allowed (media_seconds)") from error
        except BadMessage as error:
            raise MediaError("crash", f"the decoder process sent {error}") from error
        except (EOFError, BrokenPipeError) as error:
            raise MediaError("crash", f"the decoder process {self._cause_of_death()}") from error

    def end(self) -> None:
        """Kill the process and whatever it started. It holds nothing worth an orderly end."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            try:
                self._process.wait(_REAP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("decoder process %d is stuck in the kernel and cannot be ended", self._process.pid)
        for pipe in self._pipes:
            pipe.close()

    def _cause_of_death(self) -> str:
        self._listen_to_words()
        self.end()
        status = self._process.returncode
        how = f"was ended by {signal.Signals(-status).name}" if status and status < 0 else f"ended with status {status}"
        words = " ".join(self._last_words.decode("utf-8", "replace").split())
        return f"{how}: {words[-500:]}" if words else how

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._to, select.POLLOUT, deadline)
            left = left[os.write(self._to, left) :]

    def _receive(self, deadline: float, max_bytes: int) -> _Response:
        return _Response(*unpack(lambda size: self._read_exactly(size, deadline), max_bytes))

    def _read_exactly(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        left = memoryview(data)
        while left:
            self._wait(self._from, select.POLLIN, deadline)
            count = os.readv(self._from, [left])
            if count == 0:
                raise EOFError
            left = left[count:]
        return data

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """Until the pipe is ready, meanwhile emptying the child's error output, which would block it when full."""
        while (left := deadline - time.monotonic()) > 0:
            wanted = {descriptor: event} if self._speechless else {descriptor: event, self._words_from: select.POLLIN}
            ready = _poll(wanted, left)
            if self._words_from in ready:
                self._listen_to_words()
            if descriptor in ready:
                return
        raise TimeoutError

    def _listen_to_words(self) -> None:
        with contextlib.suppress(BlockingIOError):
            words = os.read(self._words_from, 1 << 16)
            self._speechless = not words
            self._last_words = (self._last_words + words)[-_LAST_WORDS_BYTES:]


def _poll(wanted: dict[int, int], seconds: float) -> set[int]:
    poll = select.poll()
    for descriptor, event in wanted.items():
        poll.register(descriptor, event)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
