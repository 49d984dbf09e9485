"""Backends by name, and advice on missing packages."""

import re
import tomllib
from pathlib import Path

import pytest

from rankvideo_rag.backends import EXTRAS, import_optional, load_backend
from rankvideo_rag.errors import InputError, MissingDependency


def test_extras_are_those_of_pyproject() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    declared = pyproject["project"]["optional-dependencies"]
    names = {extra: {re.split(r"[^\w-]", line)[0] for line in lines} for extra, lines in declared.items() if extra != "all"}
    assert {extra: found - {"rankvideo-rag"} for extra, found in names.items()} == {e: set(n) for e, n in EXTRAS.items()}


@pytest.mark.parametrize(
    ("user", "module", "extra"),
    [
        ("vllm", "no_such_module", "vllm"),
        ("demo train", "no_such_module", "train"),
        ("whisper", "no_such_module", "asr"),
        ("transformers", "no_such_module", "models"),
        ("milvus", "llama_index.no_such_module", "milvus"),
    ],
)
def test_a_missing_package_is_reported_with_the_extra_that_installs_it(user: str, module: str, extra: str) -> None:
    with pytest.raises(MissingDependency, match=rf"pip install 'rankvideo-rag\[{extra}\]'"):
        import_optional(module, user)


def test_a_missing_package_of_no_extra_is_installed_by_its_own_name() -> None:
    with pytest.raises(MissingDependency, match=r"'no_such_module'\. Install it with: pip install no_such_module"):
        import_optional("no_such_module", "mine")


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no backend 'magic' in rankvideo_rag\.models\.asr: it has faster_whisper, whisper"):
        load_backend("rankvideo_rag.models.asr", "magic", None)


def test_a_function_elsewhere_is_loaded_by_its_dotted_name() -> None:
    assert load_backend("rankvideo_rag.models.asr", "pathlib:Path", "a") == Path("a")
