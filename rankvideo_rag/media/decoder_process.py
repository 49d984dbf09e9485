"""One decoder process, seen from the process that started it: start, one request at a time with a deadline, kill.

The deadline is kept by polling the pipes here, so it holds whatever the decoder process does.
"""

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from typing import Any

from rankvideo_rag.errors import MediaError, RankVideoError
from rankvideo_rag.media.ipc import Array, BadMessage, pack, unpack

_START_SECONDS = 60.0  # for importing numpy and FFmpeg on a machine under load
_REAP_SECONDS = 2.0
_STDERR_BYTES = 4096  # kept for the error message
_INHERITED_VARIABLES = ("PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_SET_VARIABLES = {
    "PATH": os.defpath,  # decord cannot be imported without it
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",  # unused threads would reserve address space
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}

logger = logging.getLogger(__name__)


class DecoderProcess:
    """A child process that decodes. Call `kill` when it is no longer needed, and after any exception of `request`."""

    def __init__(self) -> None:
        environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ} | _SET_VARIABLES
        self._process = subprocess.Popen(
            # -P: no module called av or numpy is imported from the current folder.
            [sys.executable, "-P", "-m", "rankvideo_rag.media.decoder.child", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd="/",
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal reaches only the parent, which then kills its children
        )
        self._pipes = [pipe for pipe in (self._process.stdin, self._process.stdout, self._process.stderr) if pipe is not None]
        self._stdin, self._stdout, self._stderr = (pipe.fileno() for pipe in self._pipes)
        for descriptor in (self._stdin, self._stdout, self._stderr):
            os.set_blocking(descriptor, False)
        self._stderr_tail = b""
        self._stderr_closed = False
        self.calls = 0

    def wait_until_ready(self) -> None:
        """Wait for the first message. Raises RankVideoError if the process does not start."""
        try:
            self._receive(time.monotonic() + _START_SECONDS, max_bytes=0)
        except (TimeoutError, EOFError, BadMessage) as error:
            raise RankVideoError(f"the decoder process did not start: {error or self._cause_of_exit()}") from error

    def is_idle(self) -> bool:
        """Return whether the process is alive and has sent nothing."""
        return not _poll({self._stdout: select.POLLIN}, 0)

    def request(self, message: dict[str, Any], *, seconds: float, max_bytes: int) -> tuple[dict[str, Any], dict[str, Array]]:
        """Send a request and return the response: a header with "value" or "error", and arrays.

        Raises MediaError timeout or crash.
        """
        self.calls += 1
        deadline = time.monotonic() + seconds
        try:
            self._send(b"".join(pack(message, {})), deadline)
            return self._receive(deadline, max_bytes)
        except TimeoutError as error:
            raise MediaError("timeout", f"decoding took longer than the {seconds:g} s allowed (media_seconds)") from error
        except BadMessage as error:
            raise MediaError("crash", f"the decoder process sent {error}") from error
        except (EOFError, BrokenPipeError) as error:
            raise MediaError("crash", f"the decoder process {self._cause_of_exit()}") from error

    def kill(self) -> None:
        """Kill the process and its children. It holds no state that needs an orderly exit."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            try:
                self._process.wait(_REAP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("decoder process %d is stuck in the kernel and cannot be killed", self._process.pid)
        for pipe in self._pipes:
            pipe.close()

    def _cause_of_exit(self) -> str:
        self._read_stderr()
        self.kill()
        status = self._process.returncode
        how = f"was ended by {signal.Signals(-status).name}" if status and status < 0 else f"ended with status {status}"
        text = " ".join(self._stderr_tail.decode("utf-8", "replace").split())
        return f"{how}: {text[-500:]}" if text else how

    def _send(self, data: bytes, deadline: float) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._stdin, select.POLLOUT, deadline)
            left = left[os.write(self._stdin, left) :]

    def _receive(self, deadline: float, max_bytes: int) -> tuple[dict[str, Any], dict[str, Array]]:
        return unpack(lambda size: self._read_exactly(size, deadline), max_bytes)

    def _read_exactly(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        left = memoryview(data)
        while left:
            self._wait(self._stdout, select.POLLIN, deadline)
            count = os.readv(self._stdout, [left])
            if count == 0:
                raise EOFError
            left = left[count:]
        return data

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        """Wait until the pipe is ready. Meanwhile stderr is read: a full pipe would block the child."""
        while (left := deadline - time.monotonic()) > 0:
            wanted = {descriptor: event} if self._stderr_closed else {descriptor: event, self._stderr: select.POLLIN}
            ready = _poll(wanted, left)
            if self._stderr in ready:
                self._read_stderr()
            if descriptor in ready:
                return
        raise TimeoutError

    def _read_stderr(self) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._stderr, 1 << 16)
            self._stderr_closed = not data
            self._stderr_tail = (self._stderr_tail + data)[-_STDERR_BYTES:]


def _poll(wanted: dict[int, int], seconds: float) -> set[int]:
    poll = select.poll()
    for descriptor, event in wanted.items():
        poll.register(descriptor, event)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}
