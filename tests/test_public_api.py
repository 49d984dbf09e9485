"""The names that `rankvideo_rag` exports, the module that runs the command line, and what the examples import."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import rankvideo_rag
from rankvideo_rag.errors import RankVideoError

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def test_every_public_name_can_be_imported() -> None:
    assert rankvideo_rag.__all__ == sorted(rankvideo_rag.__all__)
    for name in rankvideo_rag.__all__:
        assert getattr(rankvideo_rag, name).__name__ == name
    assert dir(rankvideo_rag) == rankvideo_rag.__all__
    assert rankvideo_rag.RankVideoError is RankVideoError


def test_index_is_the_function_also_after_its_package_was_imported() -> None:
    import rankvideo_rag.indexing.run

    assert callable(rankvideo_rag.index)
    assert rankvideo_rag.index is rankvideo_rag.indexing.run.index


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'rankvideo_rag' has no attribute 'Retriever'"):
        _ = rankvideo_rag.Retriever


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "rankvideo_rag", "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "index" in done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_examples_import_only_public_names(example: Path) -> None:
    """A public name is one that `rankvideo_rag`, or a package in it, lists in `__all__`."""
    for node in ast.walk(ast.parse(example.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("rankvideo_rag"):
            package = import_module(node.module)
            assert hasattr(package, "__path__"), f"{example.name} imports from the module {node.module}"
            assert {alias.name for alias in node.names} <= set(package.__all__)


@pytest.mark.parametrize("package", ["rankvideo_rag.eval", "rankvideo_rag.formats", "rankvideo_rag.synthetic"])
def test_every_public_name_of_a_package_can_be_imported(package: str) -> None:
    module = import_module(package)
    assert all(hasattr(module, name) for name in module.__all__)
