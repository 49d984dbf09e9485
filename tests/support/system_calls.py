"""A child process whose writes, syncs, renames and deletions under a folder wait until its parent lets them pass or fails them.

The kernel asks: the child takes a seccomp filter with a listener (Linux 5.6 or newer; no compiler, no rights, no hooks in what
is tested), so SQLite, FAISS and Python are stopped alike, at the system call. A fault befalls the call with a given number:

    kill    SIGKILL before it            torn    half of the bytes are written, then SIGKILL
    error   EIO, once                    short   half of the bytes are written, and that is what the call says
    dead    EIO from then on             full    ENOSPC from then on, but for deletions and truncations

What is written into mapped memory is not seen: in an archive that is SQLite's -shm file, which nothing is read from after a
death. Nor is it seen what a loss of power would leave of what was never synced.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import select
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from rankvideo_rag.errors import RankVideoError

_libc = ctypes.CDLL(None, use_errno=True)

# Machine -> system call -> its number.
_NUMBERS = {
    "x86_64": {
        **{"write": 1, "pwrite64": 18, "writev": 20, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "rename": 82, "unlink": 87},
        **{"unlinkat": 263, "renameat": 264, "fallocate": 285, "renameat2": 316},
        **{"read": 0, "pread64": 17, "seccomp": 317, "pidfd_getfd": 438},
    },
    "aarch64": {
        **{"write": 64, "pwrite64": 68, "writev": 66, "fsync": 82, "fdatasync": 83, "ftruncate": 46},
        **{"unlinkat": 35, "renameat": 38, "fallocate": 47, "renameat2": 276},
        **{"read": 63, "pread64": 67, "seccomp": 277, "pidfd_getfd": 438},
    },
}.get(platform.machine(), {})
_CALLS = {number: name for name, number in _NUMBERS.items() if name not in ("seccomp", "pidfd_getfd")}
_READING = ("read", "pread64")  # stopped only where that is asked for: there are many
# Of a call on names: which arguments are names.
_NAMES = {"rename": (0, 1), "renameat": (1, 3), "renameat2": (1, 3), "unlink": (0,), "unlinkat": (1,)}
_SENDING = ("write", "pwrite64")
_TAKING_ROOM = (*_SENDING, "writev", "fallocate", "fsync", "fdatasync", "rename", "renameat", "renameat2")

_NO_NEW_PRIVS, _SET_FILTER, _NEW_LISTENER = 38, 1, 8
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_SET_FLAGS, _WAKE_AT_ONCE = 0x40082104, 1
_CALL = struct.Struct("=QII iIQ6Q")  # id, thread, flags; number, machine, instruction, six arguments
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_REFUSED = 3  # exit status: the step ended with an error for people

FAULTS = ("kill", "torn", "error", "short", "dead", "full")


class Fault(NamedTuple):
    """What befalls the call with that number, from 0."""

    kind: str
    at: int


class Ended(NamedTuple):
    """How a step ended, and the calls it made under the folder."""

    how: str  # "done", "refused" with an error for people, "killed", "raised"
    calls: list[str]


def why_not() -> str | None:
    """Why calls cannot be stopped here; None where they can."""
    if not sys.platform.startswith("linux") or not _NUMBERS:
        return f"system calls are stopped on Linux on x86-64 and aarch64 only, this is {sys.platform} on {platform.machine()}"
    try:
        ended = run(lambda: None, Path("/"), None)
    except OSError as error:
        return f"the kernel lets no process listen to another's system calls: {error}"
    return None if ended.how == "done" else f"a process under a filter does not end by itself: {ended.how}"


def applies(kind: str, call: str) -> bool:
    """Whether that fault can befall that call."""
    if kind in ("torn", "short"):
        return call in _SENDING
    return kind != "full" or call in _TAKING_ROOM


def run(step: Callable[[], object], folder: Path | None = None, fault: Fault | None = None, *, reads: bool = False) -> Ended:
    """Run a step in a forked process, with that fault among its calls on files in `folder`. Without one none is stopped.

    With `reads` it is the readings that are stopped, in place of the writes and the like, those of the step's own children too.
    """
    stopped = [number for number, name in _CALLS.items() if (name in _READING) == reads]
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        _behave(step, theirs if folder else None, stopped)
    theirs.close()
    with ours:
        calls = _supervised(child, ours, folder, fault) if folder else []
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ended({0: "done", _REFUSED: "refused", -signal.SIGKILL: "killed"}.get(code, "raised"), calls)


def _supervised(child: int, ours: socket.socket, folder: Path, fault: Fault | None) -> list[str]:
    listeners = socket.recv_fds(ours, 1, 1)[1]
    if not listeners:
        os.waitpid(child, 0)
        raise OSError("the process could not take its filter")
    supervisor = _Supervisor(child, listeners[0], os.fsencode(folder), fault)
    supervisor.listen()
    os.close(listeners[0])
    return supervisor.calls


def _behave(step: Callable[[], object], to: socket.socket | None, stopped: Sequence[int]) -> None:
    """The child's life."""
    code = 1
    try:
        if to:
            listener = _take_filter(stopped)
            socket.send_fds(to, [b"."], [listener])
            os.close(listener)
        step()
        code = 0
    except RankVideoError:
        code = _REFUSED
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _take_filter(stopped: Sequence[int]) -> int:
    """Have the kernel hand this process's calls of these numbers to a listener, which is returned."""
    load = [(0x20, 0, 0, 0)]  # the call's number
    tests = [(0x15, len(stopped) - at, 0, number) for at, number in enumerate(stopped)]
    program = b"".join(struct.pack("=HBBI", *line) for line in [*load, *tests, (6, 0, 0, _ALLOW), (6, 0, 0, _NOTIFY)])
    held = ctypes.create_string_buffer(program)
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    return _checked(_libc.syscall(_NUMBERS["seccomp"], _SET_FILTER, _NEW_LISTENER, header))


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


class _Supervisor:
    """Lets a child's calls pass, all but those that the fault befalls."""

    def __init__(self, child: int, listener: int, folder: bytes, fault: Fault | None) -> None:
        self._child, self._listener, self._folder, self._fault = child, listener, folder, fault
        self.calls: list[str] = []

    def listen(self) -> None:
        """Until the child has ended."""
        with suppress(OSError):  # before Linux 6.6 an answer takes longer to arrive
            fcntl.ioctl(self._listener, _SET_FLAGS, struct.pack("=Q", _WAKE_AT_ONCE))
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:
            message = bytearray(_CALL.size)
            try:
                fcntl.ioctl(self._listener, _RECEIVE, message)
                self._answer(message)
            except FileNotFoundError:
                continue  # the child died meanwhile

    def _answer(self, message: bytearray) -> None:
        number, thread, _, call, _, _, *arguments = _CALL.unpack(message)
        name = _CALLS[call]
        value, error, flags = 0, 0, _CONTINUE
        if self._concerns(thread, name, arguments):
            at = len(self.calls)
            self.calls.append(name)
            if self._fault and (at == self._fault.at or (at > self._fault.at and self._fault.kind in ("dead", "full"))):
                value, error, flags = self._befall(name, arguments)
        fcntl.ioctl(self._listener, _SEND, _ANSWER.pack(number, value, error, flags))

    def _concerns(self, thread: int, name: str, arguments: list[int]) -> bool:
        if name in _NAMES:
            names = [self._text(arguments[at]) for at in _NAMES[name]]
        else:
            names = [os.fsencode(os.readlink(f"/proc/{thread}/fd/{arguments[0]}"))]
        return any(name.startswith(self._folder + b"/") or name == self._folder for name in names)

    def _befall(self, name: str, arguments: list[int]) -> tuple[int, int, int]:
        """Value, error and flags of the answer. Does not come back where the child is killed."""
        assert self._fault is not None
        kind = self._fault.kind
        if not applies(kind, name):
            return 0, 0, _CONTINUE
        written = self._write_half(name, arguments) if kind in ("torn", "short") else 0
        if kind in ("kill", "torn"):
            os.kill(self._child, signal.SIGKILL)
            raise FileNotFoundError
        if kind == "short":
            return (written, 0, 0) if written else (0, 0, _CONTINUE)
        return 0, -(errno.ENOSPC if kind == "full" else errno.EIO), 0

    def _write_half(self, name: str, arguments: list[int]) -> int:
        descriptor, address, size, offset = arguments[:4]
        data = self._memory(address, size // 2)
        process = os.pidfd_open(self._child)
        here = _checked(_libc.syscall(_NUMBERS["pidfd_getfd"], process, descriptor, 0))
        try:
            return os.pwrite(here, data, offset) if name == "pwrite64" else os.write(here, data)
        finally:
            os.close(here)
            os.close(process)

    def _text(self, address: int) -> bytes:
        """A string that ends with a zero; it may end just before memory that is not there."""
        page = mmap.PAGESIZE
        first = self._memory(address, page - address % page)
        text = first if b"\0" in first else first + self._memory(address + len(first), page)
        return text.partition(b"\0")[0]

    def _memory(self, address: int, size: int) -> bytes:
        with open(f"/proc/{self._child}/mem", "rb", buffering=0) as memory:
            return os.pread(memory.fileno(), size, address) if size else b""
