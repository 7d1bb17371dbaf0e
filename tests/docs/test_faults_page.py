"""The page about faults shows what the tests hold."""

from __future__ import annotations

from pathlib import Path

from faults.table import as_rst

PAGE = Path(__file__).parents[2] / "docs/guide/faults.rst"


def test_the_page_has_the_table():
    """``python tests/faults/table.py`` prints it."""
    assert as_rst() in PAGE.read_text()
