"""The decoder process: limits, crashes, reuse, and its end."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from support.media_files import write_video
from support.media_reads import error_code

from rankvideo_rag.errors import MediaError
from rankvideo_rag.media import (
    MediaLimits,
    count_decoder_calls,
    read_frames,
)
from rankvideo_rag.media.sandbox import run_in_decoder

FAULTS = "rankvideo_rag.testing.fault_injection"


def test_a_decoder_that_never_returns_is_killed() -> None:
    assert error_code(lambda: run_in_decoder(f"{FAULTS}:spin", MediaLimits(seconds=1.0))) == "timeout"


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGKILL"])
def test_a_crashing_decoder_names_the_signal(name: str) -> None:
    with pytest.raises(MediaError, match=name) as caught:
        run_in_decoder(f"{FAULTS}:crash", MediaLimits(), signal_number=int(signal.Signals[name]))
    assert caught.value.code == "crash"


def test_a_file_that_needs_too_much_memory_is_too_large(tmp_path: Path) -> None:
    assert error_code(lambda: run_in_decoder(f"{FAULTS}:allocate", MediaLimits(bytes=1 << 30), size=2 << 30)) == "too_large"
    noise = np.random.default_rng(1).integers(0, 256, (2304, 4096, 3), np.uint8)
    path = str(write_video(tmp_path / "a.mp4", frames=[noise], size=(4096, 2304), codec="mpeg4"))
    assert error_code(lambda: read_frames(path, limits=MediaLimits(bytes=256 << 20))) == "too_large"
    assert len(read_frames(path)) == 1


def test_output_of_a_library_does_not_garble_a_result() -> None:
    assert run_in_decoder(f"{FAULTS}:write_output", MediaLimits(), size=1_000_000).value == {"size": 1_000_000}


def test_a_decoder_gets_no_secrets_and_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    echo = f"{FAULTS}:echo"
    with pytest.raises(MediaError):
        run_in_decoder(f"{FAULTS}:crash", MediaLimits(), signal_number=9)  # so that the next one starts now
    found = run_in_decoder(echo, MediaLimits(), text="a\udcffb").value
    assert found["text"] == "a\udcffb"
    assert found["folder"] == "/"
    assert "OPENAI_API_KEY" not in found["environment"]
    assert (
        error_code(lambda: run_in_decoder(f"{FAULTS}:write_file", MediaLimits(), path=str(tmp_path / "x"))) == "decoder_error"
    )


def test_an_unexpected_exception_becomes_a_media_error_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert error_code(lambda: run_in_decoder(f"{FAULTS}:raise_error", MediaLimits())) == "decoder_error"
    assert "an unexpected error" in caplog.text
    assert "fault_injection.py" in caplog.text


@pytest.mark.parametrize("function", ["os:system", "rankvideo_rag.text:clean", "rankvideo_rag.media.safe_open:os"])
def test_only_functions_of_the_decoder_can_be_called(function: str) -> None:
    assert error_code(lambda: run_in_decoder(function, MediaLimits())) == "decoder_error"


def test_a_decoder_is_reused_and_replaced_and_outlives_the_calling_thread() -> None:
    processes: list[int] = []

    def ask() -> None:
        processes.append(run_in_decoder(f"{FAULTS}:echo", MediaLimits(), text="").value["process"])

    before = count_decoder_calls()
    for _ in range(120):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert count_decoder_calls() == before + 120
    assert 3 <= len(set(processes)) <= 4
    assert max(processes.count(process) for process in processes) <= 50


def test_concurrent_threads_have_separate_decoders(tmp_path: Path) -> None:
    processes: list[int] = []

    def meet(fifo: Path) -> None:
        arguments = {"fifo": str(fifo), "release": str(tmp_path / "release")}
        processes.append(run_in_decoder(f"{FAULTS}:meet", MediaLimits(), **arguments).value["process"])

    fifos = [tmp_path / str(number) for number in range(4)]
    for fifo in fifos:
        os.mkfifo(fifo)
    threads = [threading.Thread(target=meet, args=[fifo]) for fifo in fifos]
    for thread in threads:
        thread.start()
    for fifo in fifos:
        os.close(os.open(fifo, os.O_RDONLY))  # waits until the decoder has opened it: all four run at once
    (tmp_path / "release").touch()
    for thread in threads:
        thread.join()
    assert len(set(processes)) == 4


def test_a_decoder_killed_while_idle_is_replaced() -> None:
    process = run_in_decoder(f"{FAULTS}:echo", MediaLimits(), text="").value["process"]
    os.kill(process, signal.SIGKILL)
    assert is_gone(process)
    assert run_in_decoder(f"{FAULTS}:echo", MediaLimits(), text="").value["process"] != process


SLEEPER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it
from rankvideo_rag.media.sandbox import MediaLimits, run_in_decoder
print(run_in_decoder("rankvideo_rag.testing.fault_injection:echo", MediaLimits(), text="").value["process"], flush=True)
{then}
"""


def run_sleeper(then: str) -> tuple[subprocess.Popen[str], int]:
    """A process with a decoder, in a group of its own as in a terminal, and the decoder's process id."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER.format(then=then)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def is_gone(process: int) -> bool:
    for _ in range(600):
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_decoders_end_with_the_calling_process(ending: signal.Signals) -> None:
    process, decoder = run_sleeper('run_in_decoder("rankvideo_rag.testing.fault_injection:sleep", MediaLimits(), seconds=60)')
    os.killpg(process.pid, ending)
    _, stderr = process.communicate(timeout=60)
    assert is_gone(decoder)
    assert stderr.count("Traceback") == (1 if ending == signal.SIGINT else 0)
    assert stderr.rstrip().endswith("KeyboardInterrupt" if ending == signal.SIGINT else "")


def test_decoders_end_with_the_interpreter_and_not_with_a_fork() -> None:
    then = """
import os
if os.fork() == 0:
    print(run_in_decoder("rankvideo_rag.testing.fault_injection:echo", MediaLimits(), text="").value["process"], flush=True)
    os._exit(0)
os.wait()
print(run_in_decoder("rankvideo_rag.testing.fault_injection:echo", MediaLimits(), text="").value["process"], flush=True)
"""
    process, decoder = run_sleeper(then)
    stdout, stderr = process.communicate(timeout=60)
    of_the_fork, again = (int(line) for line in stdout.split())
    assert (process.returncode, stderr) == (0, "")
    assert again == decoder != of_the_fork
    assert is_gone(decoder)
    assert is_gone(of_the_fork)


def test_the_calling_process_does_not_load_ffmpeg() -> None:
    code = "import sys, rankvideo_rag.media; sys.exit('av' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
