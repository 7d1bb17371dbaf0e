"""Loops of which an interrupt would leave the ``try`` around them.

From Python 3.12 on it does, if it comes when a loop goes back because of a condition: the jump
belongs to no ``try`` and no ``with`` (https://github.com/python/cpython/issues/130279). A lock
would stay taken, or a ``finally`` not happen. That is so of ``while condition:``, of a ``for``
that ends in an ``if`` without ``else``, and of ``[x for x in y if condition]``. A function of its
own for what is within has no such place, nor has ``while True:`` with a ``break``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def unsafe(node: ast.AST, is_guarded: bool = False) -> Iterator[int]:
    """Yield the lines of such loops below a node."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            is_within = is_guarded or name in _guarded_parts(node)
            if is_within and _goes_back_on_a_condition(child):
                yield child.lineno
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from unsafe(child, is_within and not is_function)


def _guarded_parts(node: ast.AST) -> tuple[str, ...]:
    """Return the parts of a statement of which an interrupt may not leave without a word."""
    if isinstance(node, ast.Try):
        if node.finalbody:
            return ("body", "handlers", "orelse")
        return ("body",) if any(map(_catches_interrupts, node.handlers)) else ()
    return ("body",) if isinstance(node, (ast.With, ast.AsyncWith)) else ()


def _catches_interrupts(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return bool({"BaseException", "KeyboardInterrupt"} & {ast.unparse(kind) for kind in kinds})


def _goes_back_on_a_condition(node: ast.AST) -> bool:
    if isinstance(node, ast.While):
        return not (isinstance(node.test, ast.Constant) and node.test.value)
    if isinstance(node, (ast.For, ast.AsyncFor)):
        return _ends_in_a_condition(node.body)
    if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
        return any(loop.ifs for loop in node.generators)
    return False


def _ends_in_a_condition(block: list[ast.stmt]) -> bool:
    last = block[-1]
    if isinstance(last, ast.If):
        branches = [last.body, last.orelse]
    elif isinstance(last, ast.Try):
        branches = [branch for branch in (last.orelse, last.finalbody) if branch]
    elif isinstance(last, (ast.For, ast.AsyncFor, ast.While)):
        branches = [last.orelse] if last.orelse else []
    else:
        return isinstance(last, (ast.Assert, ast.Match))
    return not all(branches) or any(map(_ends_in_a_condition, branches))


@pytest.mark.parametrize("folder", ["pyacq_rpc", "spawner"])
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
        ("try:\n  while a: b()\nexcept ValueError: c()", []),
        ("try:\n  while a: b()\nexcept BaseException: c()", [2]),
        ("with a:\n  for b in c:\n    if b: d()", [2]),
        ("with a:\n  for b in c:\n    if b: d()\n    else: e()", []),
        ("with a:\n  for b in c:\n    if b: d()\n    elif c: e()", [2]),
        ("with a:\n  for b in c:\n    try: b()\n    finally:\n      if c: d()", [2]),
        ("with a:\n  for b in c:\n    if b: continue\n    d()", []),
        ("with a:\n  for b in c:\n    for d in b: e()\n    else:\n      if c: d()", [2]),
        ("with a:\n  d = [b for b in c if b]", [2]),
        ("try:\n  while a: b()\nexcept: c()", [2]),
        ("try:\n  while a: b()\nexcept (ValueError, KeyboardInterrupt): c()", [2]),
        ("try: a()\nexcept ValueError:\n  while b: c()\nfinally: d()", [3]),
        ("try: a()\nexcept ValueError: b()\nelse:\n  while b: c()\nfinally: d()", [4]),
        ("with a:\n  d = [b or c for b in c]", []),
        ("with a:\n  d = any(b for b in c if b)", []),
    ],
)
def test_which_they_are(code, lines):
    assert list(unsafe(ast.parse(code))) == lines
