"""Loops of which an interrupt would leave the ``try`` around them.

On Python 3.13 it does, if it comes when ``while condition:`` goes back: the jump belongs to no
``try`` and no ``with`` (https://github.com/python/cpython/issues/130279). A lock would stay taken,
or a ``finally`` not happen. ``while True:`` with a ``break`` has no such place.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

INTERRUPTED = ["pyacq_rpc/peers", "pyacq_rpc/transport", "pyacq_rpc/loops", "pyacq_rpc/qt"]
"""What runs in the threads of users."""


def unsafe(node: ast.AST, is_guarded: bool = False) -> Iterator[int]:
    """Yield the lines of such loops below a node."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            begins = isinstance(node, (ast.Try, ast.With)) and name == "body"
            is_within = is_guarded or begins
            if isinstance(child, ast.While) and is_within and not _is_endless(child):
                yield child.lineno
            is_function = isinstance(child, (ast.FunctionDef, ast.Lambda))
            yield from unsafe(child, is_within and not is_function)


def _is_endless(loop: ast.While) -> bool:
    return isinstance(loop.test, ast.Constant) and bool(loop.test.value)


@pytest.mark.parametrize("folder", INTERRUPTED)
def test_there_are_none(folder):
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / folder).rglob("*.py")
        for line in unsafe(ast.parse(path.read_text()))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("try:\n  while a: b()\nfinally: c()", [2]),
        ("with a:\n  if b:\n    while c: d()", [3]),
        ("with a:\n  while True:\n    if b: break", []),
        ("while a:\n  with b: c()", []),
        ("try: a()\nfinally:\n  while b: c()", []),
        ("with a:\n  def b():\n    while c: d()", []),
    ],
)
def test_which_they_are(code, lines):
    assert list(unsafe(ast.parse(code))) == lines
