"""Functions that misbehave, to test the sandbox of `media`: run them in a decoder process with `run_in_decoder`."""

import os
import signal
import time

import numpy as np

from rankvideo_rag.media.ipc import DecoderResult


def echo(*, text: str) -> DecoderResult:
    """Return the text, and the process's id, folder and environment variables."""
    return DecoderResult({"text": text, "process": os.getpid(), "folder": os.getcwd(), "environment": sorted(os.environ)})


def spin() -> DecoderResult:
    """Never return, and ignore SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def sleep(*, seconds: float) -> DecoderResult:
    """Return late."""
    time.sleep(seconds)
    return DecoderResult({})


def meet(*, fifo: str, release: str) -> DecoderResult:
    """Return when the FIFO has been opened for reading and then the file `release` exists."""
    os.close(os.open(fifo, os.O_WRONLY))
    while not os.path.exists(release):
        time.sleep(0.01)
    return DecoderResult({"process": os.getpid()})


def crash(*, signal_number: int) -> DecoderResult:
    """End as a crashing decoder does."""
    os.kill(os.getpid(), signal_number)
    return sleep(seconds=60)


def allocate(*, size: int) -> DecoderResult:
    """Allocate so many bytes and return them as zeros."""
    return DecoderResult({}, {"zeros": np.zeros(size, np.uint8)})


def write_output(*, size: int) -> DecoderResult:
    """Write to standard output, and about `size` bytes to standard error, as a library may."""
    os.write(1, b"noise\n")
    for _ in range(size // 1000):
        os.write(2, b"." * 1000)
    return DecoderResult({"size": size})


def raise_error() -> DecoderResult:
    """Raise an unexpected exception."""
    raise ZeroDivisionError("an unexpected error")


def write_file(*, path: str) -> DecoderResult:
    """Try to write a file."""
    with open(path, "wb") as file:
        file.write(b"x" * 1000)
    return DecoderResult({})
