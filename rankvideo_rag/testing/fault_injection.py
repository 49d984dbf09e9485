"""Functions that misbehave on purpose, to see that the fence holds: run them through `fence.call`, never directly."""

import os
import signal
import time

import numpy as np

from rankvideo_rag.media.ipc import Reply


def answer(*, words: str) -> Reply:
    """Say what was said, and who says it."""
    return Reply({"words": words, "process": os.getpid(), "folder": os.getcwd(), "environment": sorted(os.environ)})


def spin() -> Reply:
    """Never come back, and take no hint."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def sleep(*, seconds: float) -> Reply:
    """Come back late."""
    time.sleep(seconds)
    return Reply({})


def die(*, signal_number: int) -> Reply:
    """End as a crashing decoder does."""
    os.kill(os.getpid(), signal_number)
    return sleep(seconds=60)


def allocate(*, size: int) -> Reply:
    """Take so many bytes of memory and give them back as zeros."""
    return Reply({}, {"zeros": np.zeros(size, np.uint8)})


def babble(*, size: int) -> Reply:
    """Write so many bytes where answers and error messages go, as a chatty library would."""
    os.write(1, b"noise\n")
    for _ in range(size // 1000):
        os.write(2, b"." * 1000)
    return Reply({"babbled": size})


def stumble() -> Reply:
    """Fail in a way that nobody foresaw."""
    raise ZeroDivisionError("one of these days")


def write_file(*, path: str) -> Reply:
    """Try to leave something on the disk."""
    with open(path, "wb") as file:
        file.write(b"x" * 1000)
    return Reply({})
