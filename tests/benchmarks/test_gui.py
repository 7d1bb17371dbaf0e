from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WHAT = [
    "largest gap of a 10 ms timer, no calls",
    "the same, 200 calls in flight",
    "calls meanwhile",
    "10 deep with a GUI, more than with a node",
    "the one to the other",
    "a call of a GUI to one of a plain node",
]


@pytest.mark.timeout(120)
def test_what_calls_do_to_a_window_and_cost_is_measured():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.gui", "--seconds", "0.2"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (run.returncode, "Traceback" in run.stderr) == (0, False), run.stderr
    lines = dict(line.split(":") for line in run.stdout.splitlines())
    assert list(lines) == WHAT
    figures = {what: float(figure.split()[0]) for what, figure in lines.items()}
    del figures["10 deep with a GUI, more than with a node"]  # on a busy machine, maybe less
    assert all(figure > 0 for figure in figures.values())
