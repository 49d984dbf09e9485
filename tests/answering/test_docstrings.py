"""The examples in the docstrings of the answering package are true."""

import doctest
import inspect
import pkgutil
from importlib import import_module

import pytest

from rankvideo_rag import answering

MODULES = [f"rankvideo_rag.answering.{module.name}" for module in pkgutil.iter_modules(answering.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    module = import_module(name)
    result = doctest.testmod(module)
    assert (result.attempted > 0, result.failed) == (">>>" in inspect.getsource(module), 0)
