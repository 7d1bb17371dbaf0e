from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.stages import STAGES

ROOT = Path(__file__).parents[2]


def test_every_stage_of_a_call_is_measured():
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.stages", "60"], capture_output=True, text=True, cwd=ROOT
    )
    assert not run.stderr
    _, *rows, total = run.stdout.splitlines()
    assert all(row[8:].startswith(what) for row, (_, what, _) in zip(rows, STAGES))
    times = [float(row.split()[-2]) for row in rows]
    assert len(times) == len(STAGES)
    assert all(time > 0 for time in times)
    assert float(total.split()[-2]) == pytest.approx(sum(times), abs=0.1 * len(times))
