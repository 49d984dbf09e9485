"""The examples in docstrings work."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"rankvideo_rag": "rankvideo_rag"} | {name: f"rankvideo_rag.{name}" for name in ("indexing", "agents", "eval")}


def modules_with_examples() -> list[str]:
    """Dotted names of the modules whose docstrings contain examples."""
    found = []
    for folder, package in PACKAGES.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            if ">>> " in file.read_text(encoding="utf-8"):
                parts = file.relative_to(ROOT / folder).with_suffix("").parts
                found.append(".".join((package, *parts)).removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_the_examples_in_docstrings_work(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0
