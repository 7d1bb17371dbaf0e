"""Every snippet of the pages is run: code as code, sessions with their output.

A page is one test and one namespace, so a page can be read, and pasted into an
interpreter, from its top to its end.
"""

from __future__ import annotations

import doctest
import sys
from codeop import CommandCompiler
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet
from sybil import Sybil
from sybil.document import Document
from sybil.parsers import markdown, rest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]
WITHOUT_CODE = {
    "docs/comparison.rst",
    "docs/coming_from/index.rst",
    "docs/index.rst",
    "docs/tutorials/index.rst",
    "docs/howto/index.rst",
    "docs/tutorials/notebook.rst",  # its cells are run by test_notebook_page.py
    "docs/guide/index.rst",
    "docs/guide/performance.rst",
    "docs/design.rst",
    "docs/security.rst",
}

FLAGS = doctest.ELLIPSIS
REST = Sybil(
    [rest.PythonCodeBlockParser(), rest.DocTestParser(optionflags=FLAGS), rest.SkipParser()]
)
MARKDOWN = Sybil([markdown.PythonCodeBlockParser(doctest_optionflags=FLAGS)])


def is_generated(page: Path) -> bool:
    return not {"_build", "_templates", "reference"}.isdisjoint(page.parts)


def parse(page: Path) -> Document:
    return (MARKDOWN if page.suffix == ".md" else REST).parse(page)


def refused_by_the_prompt(code: str) -> list[str]:
    """What is wrong for the plain prompt of Python, to which each line is typed.

    A blank line ends a block there, and nothing else does, before Python 3.13.
    """
    compile_command = CommandCompiler()
    refused = []
    typed: list[str] = []
    for line in [*code.rstrip().split("\n"), ""]:  # Return is pressed in the end
        typed.append(line)
        try:
            whole = compile_command("\n".join(typed)) is not None
        except SyntaxError:
            refused.append("\n".join(typed))
            whole = True
        if whole:
            typed = []
    return [*refused, "\n".join(typed)] if typed else refused


def parameter(page: Path) -> ParameterSet:
    uses_qt = pytest.mark.qt if "from qtpy" in page.read_text() else ()
    return pytest.param(page, marks=uses_qt, id=page.relative_to(ROOT).as_posix())


every_page = pytest.mark.parametrize(
    "page", [parameter(page) for page in PAGES if not is_generated(page)]
)


@pytest.mark.timeout(60)
@every_page
@pytest.mark.usefixtures("runtime_directory")  # they look for servers by their names
def test_the_snippets_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    document = parse(page)
    document.namespace["__name__"] = "__main__"
    ran = 0
    for example in document.examples():
        example.evaluate()
        ran += 1
    document.namespace.clear()
    assert bool(ran) != (page.relative_to(ROOT).as_posix() in WITHOUT_CODE)


@every_page
def test_the_snippets_can_be_pasted_into_the_prompt(page: Path):
    for example in parse(page).examples():
        code = example.parsed
        code = code.source if isinstance(code, doctest.Example) else str(code)
        assert refused_by_the_prompt(code) == []


@pytest.mark.parametrize(
    ("code", "is_fine"),
    [
        ("def f():\n    a = 1\n\n    return a", False),
        ("def f():\n    return 1\nf()", False),
        ("x = [", False),
        ("def f():\n    return 1\n\nf()", True),
        ("x = [\n\n1]\nfor n in x:\n    n", True),
    ],
)
def test_what_the_prompt_refuses_is_found(code: str, is_fine: bool):
    assert (refused_by_the_prompt(code) == []) == is_fine
