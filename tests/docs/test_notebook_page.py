"""The tutorial about notebooks, cell by cell, in a real kernel of Jupyter's."""

from __future__ import annotations

import asyncio
import doctest
import os
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from notebook import Notebook, Ran, notebook
from patience import patient_ipython
from processes import ROOT

PAGE = (ROOT / "docs" / "tutorials" / "notebook.rst").read_text()

pytestmark = pytest.mark.timeout(300)

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


class Cell(NamedTuple):
    """A cell as the page has it, with its prompts, and what the page shows of it."""

    number: int
    typed: str
    said: str


def cells() -> Iterator[Cell]:
    for block in re.findall(r"code-block:: text\n\n((?:   .*\n|\n)+)", PAGE):
        for part in re.split(r"^(?=In \[)", textwrap.dedent(block), flags=re.MULTILINE)[1:]:
            typed = re.match(r"In \[(\d+)\]: .*\n(?: +\.\.\.:.*\n)*", part)
            assert typed is not None, part
            yield Cell(int(typed[1]), typed[0].rstrip("\n"), part[typed.end() :])


def comparable(text: str) -> str:
    """Leave out which process it was, where it listened, and when; and marks below a line."""
    lines = [it for it in text.splitlines() if not re.fullmatch(r" *[~^]+", it)]  # of Python 3.13
    changing = re.compile("tcp://|<ProcessSpawner")
    return "\n".join(re.sub(r"\d+", "N", it) if changing.search(it) else it for it in lines).strip()


async def check(notebook: Notebook, cell: Cell) -> Ran:
    """Run a cell, interrupt it where the page does, and compare what comes."""
    before, interrupted, _ = cell.said.partition("^C\n")
    ran = await notebook.run(cell.typed, interrupted_at=before.strip() if interrupted else "")
    assert ran.number == cell.number
    said, told = comparable(cell.said.replace("^C\n", "")), comparable(ran.text())
    assert doctest.OutputChecker().check_output(said, told, FLAGS), f"{cell.typed}\n{told}"
    return ran


def kinds(ran: Ran) -> set[str]:
    return {kind for _, data in ran.shown if isinstance(data, dict) for kind in data}


async def go_through(folder: Path) -> None:
    env = {**os.environ, "IPYTHONDIR": patient_ipython(folder), "PYTHONPATH": str(ROOT)}
    ran = {}
    async with notebook(env, folder) as started:
        for cell in cells():
            ran[cell.typed.partition(": ")[2].splitlines()[0]] = await check(started, cell)
            if cell.typed.endswith("cam.expose?"):
                reply = await started.client.complete("cam.ex", reply=True, timeout=60)
                assert reply["content"]["matches"] == ["expose"]
    assert "image/png" in kinds(ran["import matplotlib.pyplot as plt"])
    assert "image/png" in kinds(ran["%rich figure"])
    ((_, shown),) = ran["%rich cam"].shown
    assert shown["text/html"] == "<b>Camera</b> with 1 images"
    assert "**Camera** with 1 images" in PAGE


def test_a_notebook_shows_what_the_page_does(tmp_path: Path):
    assert [cell.number for cell in cells()] == list(range(1, 25))
    asyncio.run(go_through(tmp_path))
