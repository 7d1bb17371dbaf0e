"""``python -m benchmarks.comparison.sources``: are the files and names that the page names there?

It looks into the packages that are installed, for the versions that the page compares.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "comparison.rst"
OURS = ("tests/", "docs/", "README.md", "pyproject.toml")


def main() -> int:
    """Print what is not there; return the exit code."""
    missing = [line for source in sources(PAGE.read_text()) for line in not_there(source)]
    print("\n".join(missing) or "all are there")
    return bool(missing)


def sources(page: str) -> Iterator[list[str]]:
    """Yield what is in monospace in each source: files, and the names in them."""
    for text in re.findall(r"^\.\. \[#[^]]+\] (.*\n(?:   .*\n)*)", page, re.MULTILINE):
        names = re.findall(r"``([^`]+)``", text)
        if names and not names[0].startswith((*OURS, "python -m")):
            yield names


def not_there(source: list[str]) -> list[str]:
    """Return which files, and names in them, of a source do not exist."""
    missing = []
    code = None
    for name in source:
        if name.endswith(".py"):
            path = find(name)
            code = path.read_text() if path else None
            missing += [] if path else [name]
        elif code is not None and not (is_defined(ast.parse(code).body, name) or name in code):
            missing.append(f"{source[0]}: {name}")
    return missing


def find(name: str) -> Path | None:
    """Return where the file of an installed package is."""
    package, _, rest = name.partition("/")
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    paths = [Path(folder) / rest for folder in folders or ()]
    return next((path for path in paths if path.is_file()), None)


def is_defined(body: list[ast.stmt], name: str) -> bool:
    """Whether a class, function or method, ``Class.method``, is defined there."""
    first, _, rest = name.partition(".")
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in body if isinstance(node, kinds) and node.name == first]
    return bool(found) and (not rest or is_defined(found[0].body, rest))


if __name__ == "__main__":
    sys.exit(main())
