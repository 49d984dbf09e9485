"""Print figures about the structure of the package: `make structure`, or `python tests/support/structure.py [ROOT]`.

Counts modules, lines, function lengths (with docstring), cyclomatic complexity (radon), parameters and names that are
defined more than once. Imports against the layers are checked by tests/test_architecture.py.
"""

import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from radon.complexity import cc_visit

PACKAGES = ("rankvideo_rag", "indexing", "agents", "eval")
Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules(root: Path) -> Iterator[Path]:
    """Every module of the product below `root`."""
    for package in PACKAGES:
        yield from sorted((root / package).rglob("*.py"))


def functions(tree: ast.AST) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: Function) -> int:
    """Lines from the `def` to the last statement."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    """Number of parameters without `self` and `cls`."""
    args = function.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def figures(root: Path) -> dict[str, float | str]:
    """The figures by name."""
    sources = {path: path.read_text(encoding="utf-8") for path in modules(root)}
    trees = {path: ast.parse(source) for path, source in sources.items()}
    all_functions = [function for tree in trees.values() for function in functions(tree)]
    lengths = sorted(length(function) for function in all_functions)
    classes = Counter(node.name for tree in trees.values() for node in tree.body if isinstance(node, ast.ClassDef))
    stems = Counter(path.stem for path in sources if path.stem != "__init__")
    complexity = [block.complexity for source in sources.values() for block in cc_visit(source) if block.letter != "C"]
    return {
        "modules": len(sources),
        "lines": sum(source.count("\n") for source in sources.values()),
        "functions": len(lengths),
        "function length, median": statistics.median(lengths),
        "function length, 90th percentile": lengths[int(len(lengths) * 0.9)],
        "functions over 40 lines": sum(length > 40 for length in lengths),
        "complexity over 10": sum(value > 10 for value in complexity),
        "parameter lists over 8": sum(parameters(function) > 8 for function in all_functions),
        "class names defined more than once": sum(count > 1 for count in classes.values()),
        "module names used more than once": sum(count > 1 for count in stems.values()),
        "repeated class names": ", ".join(sorted(name for name, count in classes.items() if count > 1)) or "-",
        "repeated module names": ", ".join(sorted(name for name, count in stems.items() if count > 1)) or "-",
    }


if __name__ == "__main__":
    for name, value in figures(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        print(f"{name:38} {value}")  # noqa: T201
