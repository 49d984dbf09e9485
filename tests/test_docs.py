"""The README and the documentation: snippets run, commands exist, links resolve, sizes hold."""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from rankvideo_rag.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def shell_commands(page: Path) -> list[list[str]]:
    """The `rankvideo` commands in a page's shell blocks, split into words."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("rankvideo ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_a_page_exists_with_its_options(page: Path) -> None:
    for words in shell_commands(page):
        command = typer.main.get_command(app)
        arguments = words[1:]
        while isinstance(command, TyperGroup) and arguments and not arguments[0].startswith("-"):
            assert arguments[0] in command.commands, f"{page.name}: {' '.join(words)}"
            command = command.commands[arguments.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0] for word in arguments if word.startswith("-")}
        assert used <= known | {"--help"}, f"{page.name}: {' '.join(words)}: unknown {used - known}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_and_the_architecture_stay_short() -> None:
    assert (ROOT / "README.md").stat().st_size <= 9_000
    assert (ROOT / "ARCHITECTURE.md").stat().st_size <= 12_000
