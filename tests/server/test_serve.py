"""The command rankvideo serve."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.server import VISUAL_QUESTION
from support.world import World
from typer.testing import CliRunner

from rankvideo_rag.backends import import_optional
from rankvideo_rag.cli import app as command_line
from rankvideo_rag.errors import InputError, MissingDependency


def test_serve_answers_and_stops_at_ctrl_c(world: World) -> None:
    command = [str(Path(sys.executable).with_name("rankvideo")), "serve", str(world.archive), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            match = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
            assert match
            reply = httpx.post(f"{match[0]}api/ask", json={"question": VISUAL_QUESTION}, timeout=30)
            process.send_signal(signal.SIGINT)
            _, stderr = process.communicate(timeout=20)
        finally:
            process.kill()
    assert reply.status_code == 200
    assert "server" not in reply.headers
    assert (process.returncode, stderr) == (0, "")


def test_serve_reports_an_address_it_cannot_listen_at(world: World) -> None:
    result = CliRunner().invoke(command_line, ["serve", str(world.archive), "--host", "192.0.2.1"])
    assert isinstance(result.exception, InputError)
    assert "192.0.2.1 port 8000" in str(result.exception)


def test_serve_without_its_packages_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rankvideo_rag.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette.applications", None)
    with pytest.raises(MissingDependency, match=r"rankvideo-rag\[server\]"):
        import_optional("rankvideo_rag.server", "serve")
