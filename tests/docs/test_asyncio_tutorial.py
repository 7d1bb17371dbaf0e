"""The tutorial about asyncio, where other event loops and the ways it may end are concerned."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from event_loops import LOOPS
from processes import ROOT
from sybil import Sybil
from sybil.document import Document
from sybil.parsers import rest

PAGE = ROOT / "docs" / "tutorials" / "asyncio.rst"

pytestmark = pytest.mark.timeout(120)


def snippets(language: str) -> list[str]:
    found = re.findall(rf"code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE.read_text())
    return [textwrap.dedent(code) for code in found]


PROGRAM = "\n".join(snippets("python"))
"""The page without its sessions: what a user would have in a file."""


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the page has defined, with its nodes running."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    document: Document = Sybil([rest.PythonCodeBlockParser()]).parse(PAGE)
    document.namespace["__name__"] = "__main__"
    for example in document.examples():
        example.evaluate()
    names = document.namespace
    yield names
    names["observatory"].stop()
    names["weather"].stop()
    names["folder"].cleanup()
    names.clear()


@pytest.mark.parametrize(
    ("loop", "said"), [("uvloop", "dome closed: 0\n"), ("trio", "north 31: 0.1 s\n")]
)
def test_in_another_event_loop(
    loop: str, said: str, names: Any, capsys: pytest.CaptureFixture[str]
):
    if loop == "uvloop" and loop not in LOOPS:
        pytest.skip("there is no uvloop for Windows")
    (code,) = [code for code in snippets("py") if code.startswith(f"import {loop}")]
    exec(code, names)
    assert capsys.readouterr().out.endswith(said)


def run_the_night(tmp_path: Path, end: str) -> subprocess.Popen[str]:
    """Run the page as a program, in which `end` comes when both shutters are open."""
    program = tmp_path / "night.py"
    program.write_text(f"{PROGRAM}\nimport signal\n{textwrap.dedent(end)}\nasyncio.run(night())\n")
    return subprocess.Popen(
        [sys.executable, str(program)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


CALM = """
async def too_windy():
    print("calm", flush=True)
    await asyncio.sleep(600)
"""


def test_ctrl_c_closes_the_dome(tmp_path: Path):
    with run_the_night(tmp_path, CALM) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "calm\n"
        program.send_signal(signal.SIGINT)
        told, errors = program.communicate(timeout=90)
    assert told == "dome closed: 0\n"
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_a_dead_weather_station_closes_the_dome(tmp_path: Path):
    end = "weather['station'].winds = lambda: weather.kill()"
    with run_the_night(tmp_path, end) as program:
        told, errors = program.communicate(timeout=90)
    assert told == "dome closed: 0\n"
    assert errors.splitlines()[-1].startswith("pyacq_rpc.errors.ServerDisconnected: weather ")
