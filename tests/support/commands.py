"""Running `rankvideo` in a process of its own."""

import signal
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "rankvideo_rag"]


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    """Start `rankvideo` so that SIGINT interrupts it, even if these tests run as a background job, which ignores SIGINT."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_sigint)


def _heed_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
