"""The file tree of the README, from what each file says of itself. `make tree` writes it anew."""

import ast
import re
import subprocess
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH, LONGEST = 34, 120  # letters
BEGIN, END = "<!-- tree: written by `make tree` -->\n```\n", "```\n<!-- end of tree -->\n"
# What stands at the top level and cannot say of itself what it is.
SAID_HERE = {
    "ARCHITECTURE.md": "what runs where, which way imports go, and why",
    "CHANGELOG.md": "what changed for users",
    "CONTRIBUTING.md": "how we work",
    "LICENSE": "MIT",
    "Makefile": "make demo, make test, make test-vllm, make tiny, make lock, make tree",
    "constraints.txt": "versions that were seen to work together",
    "pyproject.toml": "the package, its extras, and how it is checked",
    "requirements.lock": "every version with its hash",
    "requirements-vllm.in": "vLLM for CPUs, against which the transformers backend is tested",
    "requirements-vllm.lock": "every version with its hash, for the environment of that test",
    "requirements-vllm.overrides": "where vLLM's requirements and ours differ",
    "rankvideo_rag/py.typed": "tells type checkers that the package is annotated",
    "rankvideo_rag/server/page.html": "the page",
    ".ci/run": "what CI calls",
}


def file_tree() -> str:
    """One line a file: path, and the first sentence of its docstring."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    lines: list[str] = []
    folder = ""
    for path in sorted({p for p in listed if _is_told(p)}, key=_files_before_folders):
        parent, _, name = path.rpartition("/")
        if parent != folder and name != "__init__.py":
            lines.append(f"{parent}/")
        folder = parent
        label = f"{parent}/" if name == "__init__.py" else "  " * bool(parent) + name
        lines.append(f"{label:<{WIDTH}} {SAID_HERE.get(path) or first_sentence(ROOT / path)}")
    return "\n".join(lines) + "\n"


def _is_told(path: str) -> bool:
    """Whether a file gets a line. A checkpoint's card speaks for the files beside it."""
    in_a_checkpoint = path.startswith("rankvideo_rag/demo/models/") and not path.endswith("/README.md")
    return (ROOT / path).is_file() and path not in (".gitignore", "README.md") and not in_a_checkpoint


def _files_before_folders(path: str) -> list[tuple[bool, str]]:
    *folders, name = path.split("/")
    return [*((True, folder) for folder in folders), (False, name)]


def first_sentence(path: Path) -> str:
    """The beginning of a module's docstring, or of another file's first line, without its full stop, cut to fit a line."""
    text = path.read_text(encoding="utf-8")
    said = (ast.get_docstring(ast.parse(text)) if path.suffix == ".py" else text.partition("\n")[0].lstrip("# ")) or ""
    return textwrap.shorten(re.split(r"(?<=\w)\.(?:\s|$)", said, maxsplit=1)[0], LONGEST, placeholder=" …")


def main() -> None:
    readme = ROOT / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    readme.write_text(before + BEGIN + file_tree() + END + rest.partition(END)[2], encoding="utf-8")


if __name__ == "__main__":
    main()
