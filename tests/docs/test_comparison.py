"""Each cell of the comparison has a source, and what is named as one is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.comparison.questions import QUESTIONS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "comparison.rst").read_text()
OURS = "pyacq-rpc"
PACKAGES = {
    "teleprox": "teleprox",
    "RPyC": "rpyc",
    "Pyro5": "Pyro5",
    "zerorpc": "zerorpc",
    "managers": "multiprocessing",
}
"""Project: where its files are."""

WHAT_WE_HAVE_NOT = {"README.md", "pyproject.toml", "docs/coming_from/zerorpc.rst"}
"""Where that is told: no test shows it."""


class Cell(NamedTuple):
    """What one project does about a topic, and the labels of where that is known from."""

    project: str
    topic: str
    text: str
    labels: tuple[str, ...]


def chapters(page: str) -> dict[str, str]:
    """The parts of a page that have a table of projects, by their titles."""
    parts = re.split(r"^(.+)\n-{3,}\n", page, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {title: text for title, text in found.items() if ".. list-table::" in text}


def rows(chapter: str) -> list[list[str]]:
    """The table of a chapter, its head first."""
    table = re.search(r"^   \* -(?:.*\n)(?:(?:     .*)?\n|   \* -.*\n)*", chapter, re.MULTILINE)
    assert table is not None
    return [
        [" ".join(cell.split()) for cell in re.split(r"^     -", row, flags=re.MULTILINE)]
        for row in re.split(r"^   \* -", table[0], flags=re.MULTILINE)[1:]
    ]


def cells(chapter: str) -> list[Cell]:
    """The cells of a chapter, but for its head and its first column."""
    head, *others = rows(chapter)
    found = []
    for topic, *texts in others:
        assert len(texts) == len(head) - 1, f"{topic}: a cell for each project"
        for project, text in zip(head[1:], texts, strict=True):
            labels = tuple(re.findall(r"\[#([^]]+)\]_", text))
            found.append(Cell(project, topic, re.sub(r"\s*\[#.*", "", text), labels))
    return found


def sources(chapter: str) -> list[tuple[str, str]]:
    """The labels and texts of the sources of a chapter."""
    found = re.findall(r"^\.\. \[#([^]]+)\] (.*\n(?:   .*\n)*)", chapter, re.MULTILINE)
    return [(label, " ".join(text.split())) for label, text in found]


def in_monospace(text: str) -> list[str]:
    return re.findall(r"``([^`]+)``", text)


def is_there(name: str, root: Path = ROOT) -> bool:
    """Whether a test, ``path::Class::function`` or less, or another file is in the repository."""
    path, *inner = name.split("::")
    if not (root / path).is_file():
        return False
    body: list[ast.stmt] = ast.parse((root / path).read_text()).body if inner else []
    for part in inner:
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = [node for node in body if isinstance(node, kinds) and node.name == part]
        if not found or not part.startswith(("Test", "test_")):
            return False
        body = found[0].body
    return True


def is_tried(text: str) -> bool:
    """Whether a source is a question that can be put again."""
    tried = re.fullmatch(r"Tried: ``python -m benchmarks\.comparison --only (\w+)``\.", text)
    return tried is not None and tried[1] in QUESTIONS


def is_of(project: str, text: str) -> bool:
    """Whether a source may tell of a project: a test or file of ours, a file or page of theirs."""
    if project == OURS:
        return bool(in_monospace(text)) and all(is_there(name) for name in in_monospace(text))
    has_file = any(name.startswith(f"{PACKAGES[project]}/") for name in in_monospace(text))
    has_page = re.search(r"`[^`]+ <https://[^ >]+>`__", text) is not None
    return text.startswith(f"{project}: ") and (has_file or has_page)


def wrong(chapter: str) -> list[str]:
    """What is wrong with the sources of a chapter."""
    labels = [label for label, _ in sources(chapter)]
    texts = dict(sources(chapter))
    used = {label for cell in cells(chapter) for label in cell.labels}
    found = [f"{label}: twice" for label in sorted(set(labels)) if labels.count(label) > 1]
    found += [f"{label}: not used" for label in sorted(texts.keys() - used)]
    referred = {*re.findall(r"\[#([^]]+)\]_", chapter)}
    found += [f"{label}: not below the table" for label in sorted(referred - texts.keys())]
    for cell in cells(chapter):
        where = f"{cell.project}, {cell.topic}"
        if not cell.text:
            found.append(f"{where}: no text")
        if not cell.labels:
            found.append(f"{where}: no source")
        for text in (texts[label] for label in cell.labels if label in texts):
            if not (is_tried(text) or is_of(cell.project, text)):
                found.append(f"{where}: {text} is no source")
    return found


CHAPTERS = chapters(PAGE)


def test_there_are_tables():
    assert len(CHAPTERS) == 8
    assert all(rows(chapter)[0] == ["", OURS, *PACKAGES] for chapter in CHAPTERS.values())


@pytest.mark.parametrize("title", CHAPTERS)
def test_each_cell_has_a_source_and_each_source_a_cell(title: str):
    assert wrong(CHAPTERS[title]) == []


@pytest.mark.parametrize("name", sorted({n for n in in_monospace(PAGE) if n.startswith("tests/")}))
def test_each_test_that_is_named_is_there(name: str):
    assert is_there(name)


@pytest.mark.parametrize("title", CHAPTERS)
def test_what_one_can_find_in_our_column_is_tested(title: str):
    """Where we say that we have something, a test is named; what we have not is in a file."""
    texts = dict(sources(CHAPTERS[title]))
    for cell in cells(CHAPTERS[title]):
        if cell.project == OURS and "``tests/" not in "".join(map(texts.get, cell.labels)):
            assert WHAT_WE_HAVE_NOT.issuperset(in_monospace("".join(map(texts.get, cell.labels))))


CHAPTER = """
.. list-table::
   :header-rows: 1

   * -
     - pyacq-rpc
     - RPyC
   * - a topic
     - yes [#o]_
     - no
       [#r]_ [#tried]_

.. [#o] ``tests/docs/test_comparison.py::test_there_are_tables``.
.. [#r] RPyC: ``rpyc/core/netref.py``: ``BaseNetref``;
   `a page <https://example.org>`__.
.. [#tried] Tried: ``python -m benchmarks.comparison --only killed``.
"""


class TestItselfCanFail:
    def test_a_chapter_as_it_should_be(self):
        assert wrong(CHAPTER) == []
        assert cells(CHAPTER)[1] == Cell("RPyC", "a topic", "no", ("r", "tried"))

    @pytest.mark.parametrize(
        ("right", "made_wrong", "said"),
        [
            ("yes [#o]_", "yes", "pyacq-rpc, a topic: no source"),
            ("yes [#o]_", "[#o]_", "pyacq-rpc, a topic: no text"),
            (" [#tried]_", "", "tried: not used"),
            ("[#tried]_", "[#other]_", "other: not below the table"),
            ("a topic", "a topic [#other]_", "other: not below the table"),
            ("::test_there_are_tables", "::test_there_are_chairs", "is no source"),
            ("test_comparison.py", "test_contrast.py", "is no source"),
            ("--only killed", "--only married", "is no source"),
            ("RPyC: ``", "Pyro5: ``", "is no source"),
            ("[#o] ``", "[#r] RPyC: ``x``.\n.. [#o] ``", "r: twice"),
        ],
    )
    def test_each_fault_is_told(self, right: str, made_wrong: str, said: str):
        assert right in CHAPTER
        told = wrong(CHAPTER.replace(right, made_wrong, 1))
        assert any(said in line for line in told)

    def test_a_source_that_is_neither_file_nor_page(self):
        assert not is_of("RPyC", "RPyC: everybody knows that.")
        assert not is_of("RPyC", "RPyC: ``teleprox/proxy.py``.")
        assert not is_of(OURS, "everybody knows that.")

    def test_a_row_that_lacks_a_cell(self):
        with pytest.raises(AssertionError, match="a topic: a cell for each project"):
            wrong(CHAPTER.replace("     - yes [#o]_\n", ""))

    @pytest.mark.parametrize(
        ("name", "found"),
        [
            ("tests/docs/test_comparison.py", True),
            ("tests/docs/test_comparison.py::TestItselfCanFail", True),
            (
                "tests/docs/test_comparison.py::TestItselfCanFail::test_a_row_that_lacks_a_cell",
                True,
            ),
            ("tests/docs/test_comparison.py::test_a_row_that_lacks_a_cell", False),
            ("tests/docs/test_comparison.py::Cell", False),
            ("tests/docs", False),
            ("README.md", True),
        ],
    )
    def test_what_is_there(self, name: str, found: bool):
        assert is_there(name) == found
