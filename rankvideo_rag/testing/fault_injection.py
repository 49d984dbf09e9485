"""Functions that misbehave on purpose, to see that the fence holds: run them through `fence.call`, never directly."""

import os
import signal
import time

import numpy as np

from rankvideo_rag.media.ipc import DecoderResult


def answer(*, words: str) -> DecoderResult:
    """Say what was said, and who says it."""
    return DecoderResult({"words": words, "process": os.getpid(), "folder": os.getcwd(), "environment": sorted(os.environ)})


def spin() -> DecoderResult:
    """Never come back, and take no hint."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def sleep(*, seconds: float) -> DecoderResult:
    """Come back late."""
    time.sleep(seconds)
    return DecoderResult({})


def die(*, signal_number: int) -> DecoderResult:
    """End as a crashing decoder does."""
    os.kill(os.getpid(), signal_number)
    return sleep(seconds=60)


def allocate(*, size: int) -> DecoderResult:
    """Take so many bytes of memory and give them back as zeros."""
    return DecoderResult({}, {"zeros": np.zeros(size, np.uint8)})


def babble(*, size: int) -> DecoderResult:
    """Write so many bytes where answers and error messages go, as a chatty library would."""
    os.write(1, b"noise\n")
    for _ in range(size // 1000):
        os.write(2, b"." * 1000)
    return DecoderResult({"babbled": size})


def stumble() -> DecoderResult:
    """Fail in a way that nobody foresaw."""
    raise ZeroDivisionError("one of these days")


def write_file(*, path: str) -> DecoderResult:
    """Try to leave something on the disk."""
    with open(path, "wb") as file:
        file.write(b"x" * 1000)
    return DecoderResult({})
