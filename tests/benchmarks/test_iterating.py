from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

WHAT = [
    "one call for each item",
    "of a range",
    "of a generator",
    "the same, async for",
    "the same, no prefetch",
]


def test_items_are_compared_with_calls():
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks.iterating", "--items", "500"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (run.returncode, run.stderr) == (0, "")
    lines = run.stdout.splitlines()
    assert [line[:24].strip() for line in lines] == WHAT
    assert all(float(line[24:].split()[0]) > 0 for line in lines)
