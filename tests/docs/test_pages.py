"""Every snippet of the pages is run: code as code, sessions with their output.

A page is one test and one namespace, so a page can be read, and pasted into an
interpreter, from its top to its end.
"""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.document import Document
from sybil.parsers import markdown, rest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]
WITHOUT_CODE = {"docs/index.rst", "docs/guide/index.rst", "docs/design.rst"}

FLAGS = doctest.ELLIPSIS
REST = Sybil(
    [rest.PythonCodeBlockParser(), rest.DocTestParser(optionflags=FLAGS), rest.SkipParser()]
)
MARKDOWN = Sybil([markdown.PythonCodeBlockParser(doctest_optionflags=FLAGS)])


def is_generated(page: Path) -> bool:
    return not {"_build", "_templates", "reference"}.isdisjoint(page.parts)


def parse(page: Path) -> Document:
    return (MARKDOWN if page.suffix == ".md" else REST).parse(page)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if not is_generated(page)],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_the_snippets_run(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    document = parse(page)
    document.namespace["__name__"] = "__main__"
    ran = 0
    for example in document.examples():
        example.evaluate()
        ran += 1
    document.namespace.clear()
    assert bool(ran) != (page.relative_to(ROOT).as_posix() in WITHOUT_CODE)
