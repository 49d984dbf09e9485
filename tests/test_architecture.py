"""The structure of the package: imports run one way, the package is light, every folder ships."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "rankvideo_rag": ROOT / "rankvideo_rag",
    **{f"rankvideo_rag.{name}": ROOT / name for name in ("indexing", "agents", "eval")},
}
# A module imports from its own layer and from those before it.
LAYERS = [
    {"__init__", "schema", "errors", "settings", "text", "backends", "files", "concurrency"},
    {"formats", "media"},
    {"models"},
    {"ranking", "storage", "diagnostics"},
    {"indexing"},
    {"nodes", "metadata_filters"},
    {"answering"},
    {"retriever", "reranker", "synthesizer", "transforms"},
    {"archive"},
    {"agents"},
    {"training", "eval"},
    {"testing"},
    {"synthetic"},
    {"server"},
    {"cli", "__main__"},
]
LAYER_OF = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}
LLAMA_INDEX_ROOMS = {
    "nodes",
    "metadata_filters",
    "retriever",
    "reranker",
    "synthesizer",
    "answering",
    "transforms",
    "archive",
    "agents",
    "server",
    "cli",
}


def modules() -> list[tuple[str, Path]]:
    """(room, file) of every module of the package."""
    found = []
    for package, folder in FOLDERS.items():
        for file in folder.rglob("*.py"):
            parts = (package, *file.relative_to(folder).with_suffix("").parts)
            dotted = ".".join(parts).split(".")
            found.append((dotted[1] if len(dotted) > 1 else "__init__", file))
    return found


def imports(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize(("room", "file"), modules(), ids=lambda value: getattr(value, "name", value))
def test_a_module_imports_only_from_its_layer_or_below(room: str, file: Path) -> None:
    assert room in LAYER_OF, f"{file} is in no layer: add its room to LAYERS and to ARCHITECTURE.md"
    if file == ROOT / "rankvideo_rag" / "__init__.py":
        return  # names its public classes by string, and for type checkers only
    for name in imports(file):
        if name.startswith("rankvideo_rag."):
            other = name.split(".")[1]
            assert LAYER_OF.get(other, 0) <= LAYER_OF[room], f"{file} imports {name}"


@pytest.mark.parametrize(("room", "file"), modules(), ids=lambda value: getattr(value, "name", value))
def test_llama_index_stays_at_the_joints_and_media_libraries_in_their_room(room: str, file: Path) -> None:
    for name in imports(file):
        package = name.partition(".")[0]
        if package == "llama_index":
            assert room in LLAMA_INDEX_ROOMS or file.parent.name == "vector_stores", f"{file} imports {name}"
        if package in {"av", "decord", "cv2", "torchcodec"} and name != "av.ffmpeg_version_info":
            assert room in {"media", "diagnostics"} or file.name == "baselines.py", (
                f"{file} imports {name}: only media/ opens media"
            )


def test_every_folder_ships() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {
        ".".join((package, *file.parent.relative_to(folder).parts))
        for package, folder in FOLDERS.items()
        for file in folder.rglob("*.py")
    }
    assert sorted(declared) == sorted(folders)


@pytest.mark.parametrize("heavy", ["torch", "faiss", "numpy", "llama_index", "av", "pydantic"])
def test_importing_the_package_loads_nothing_heavy(heavy: str) -> None:
    code = f"import sys, rankvideo_rag; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_help_of_the_command_line_loads_nothing_heavy() -> None:
    code = (
        "import sys, rankvideo_rag.cli\n"
        "sys.exit(', '.join(m for m in ('torch', 'faiss', 'numpy', 'llama_index', 'av') if m in sys.modules))"
    )
    asked = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert asked.stderr.strip() == ""
