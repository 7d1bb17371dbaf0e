"""The tests that the page names are there, and each chapter with promises names some."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.rst").read_text()

WITHOUT_PROMISES = {"Security", "Against whom", "When something is found"}


def chapters() -> dict[str, str]:
    parts = re.split(r"^(.+)\n[=-]{4,}\n", PAGE, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def named(text: str) -> list[str]:
    return re.findall(r"``(tests/[^`]*)``", text)


def test_there_are_chapters():
    assert len(chapters()) > 10
    assert chapters().keys() >= WITHOUT_PROMISES


@pytest.mark.parametrize("name", sorted(set(named(PAGE))))
def test_what_it_names_is_there(name: str):
    path = ROOT / name
    assert path.is_file()
    assert "def test_" in path.read_text() or "fuzz" in path.parts


@pytest.mark.parametrize("chapter", sorted(chapters().keys() - WITHOUT_PROMISES))
def test_each_chapter_names_its_tests(chapter: str):
    assert named(chapters()[chapter])
