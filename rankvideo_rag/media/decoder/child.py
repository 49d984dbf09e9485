"""The main loop of the decoder process: read requests from standard input, run functions, write their results.

The process limits its own memory, can write no files and no core dump, and dies with its parent. This protects against damaged
files, not against an attacker who already runs code in the process.
"""

import ctypes
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from typing import Any

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media.ipc import Array, DecoderResult, pack, unpack

_PACKAGES = ("rankvideo_rag.media.decoder.", "rankvideo_rag.testing.")
_PR_SET_PDEATHSIG = 1
_MAX_REQUEST_BYTES = 0  # requests carry no arrays


def main() -> None:
    """Respond to requests until the pipe is closed."""
    _die_with_parent(int(sys.argv[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    requests, results = _take_pipes()
    _write(results, {"ready": True}, {})
    while True:
        try:
            request, _ = unpack(lambda size: _read_exactly(requests, size), _MAX_REQUEST_BYTES)
        except EOFError:
            return
        _write(results, *_respond(request))


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the call above
        sys.exit(1)


def _take_pipes() -> tuple[int, int]:
    """Return private copies of standard input and output, which no library can read or write."""
    requests, results = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, results


def _respond(request: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Array]]:
    try:
        function = _find(request["function"])  # imports FFmpeg, before memory is limited
        _limit_memory(request["bytes"])
        result = function(**request["arguments"])
    except MemoryError:
        _limit_memory(None)
        return _error("too_large", f"decoding it needs more than the {request['bytes'] >> 20} MiB allowed (media_bytes)"), {}
    except MediaError as error:
        return _error(error.code, str(error)), {}
    except Exception as error:  # an unexpected kind of damage: the caller reports it and goes on to the next file
        message = f"the decoder failed with {type(error).__name__}: {error}"
        return {**_error("decoder_error", message), "traceback": traceback.format_exc()}, {}
    _limit_memory(None)
    return {"value": result.value}, result.arrays


def _error(code: str, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message}}


def _limit_memory(size: int | None) -> None:
    """Set the soft limit only: the next request may have another one, and a result is sent without a limit."""
    if sys.platform != "linux":  # macOS has no working limit on address space
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = hard if size is None else size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _find(name: str) -> Callable[..., DecoderResult]:
    """Import `package.module:function` from one of the packages whose functions may run here."""
    module_name, _, function_name = name.partition(":")
    if not module_name.startswith(_PACKAGES):
        raise ValueError(f"{name} is not in one of the packages {', '.join(_PACKAGES)}")
    function: Callable[..., DecoderResult] = getattr(import_module(module_name), function_name)
    if function.__module__ != module_name:
        raise ValueError(f"{name} is not defined in {module_name}")
    return function


def _read_exactly(pipe: int, size: int) -> bytearray:
    data = bytearray()
    while len(data) < size:
        piece = os.read(pipe, size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _write(pipe: int, header: dict[str, Any], arrays: dict[str, Array]) -> None:
    for buffer in pack(header, arrays):
        left = memoryview(buffer)
        while left:
            left = left[os.write(pipe, left) :]


if __name__ == "__main__":
    main()
