"""Nothing that a peer sends is run as code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "code"}
BUILTINS = {"eval", "exec", "compile", "__import__"}

TYPED = {
    "pyacq_rpc/people/ipython/cells.py": {"compile", "eval", "exec"},
    "pyacq_rpc/people/commands/shell.py": {"code"},
}
"""Runs what a person has typed at a prompt: in a node as a plain function that a trusted client
calls, and in the process that has the prompt."""

FILES = [path for package in ("pyacq_rpc", "spawner") for path in (ROOT / package).rglob("*.py")]


def found_in(text: str) -> set[str]:
    """What of this could run code, or rebuild any object, from data."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found.update(MODULES & {alias.name.partition(".")[0] for alias in node.names})
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.update(MODULES & {(node.module or "").partition(".")[0]})
        elif isinstance(node, ast.Name):
            found.update(BUILTINS & {node.id})
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_has_what_could_run_it(path):
    assert found_in(path.read_text()) == TYPED.get(path.relative_to(ROOT).as_posix(), set())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import pickle", {"pickle"}),
        ("from marshal import loads", {"marshal"}),
        ("run = eval", {"eval"}),
        ("__import__(name)", {"__import__"}),
        ("re.compile(x); import picture; from . import code; code = 1", set()),
    ],
)
def test_what_could_is_found(text, found):
    assert found_in(text) == found


def test_modules_are_imported_by_name_in_few_places_only():
    """What a request asks for, once the policy has granted it; our own modules and plugins; what
    the user of the command line wants to serve."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "pyacq_rpc").rglob("*.py")
        if "import_module" in path.read_text()
    }
    assert importing == {
        "pyacq_rpc/__init__.py",
        "pyacq_rpc/people/commands/serve.py",
        "pyacq_rpc/session/dispatch.py",
        "pyacq_rpc/wire/registry.py",
    }
