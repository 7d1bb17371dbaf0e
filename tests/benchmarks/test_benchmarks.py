from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numpy")

ROOT = Path(__file__).parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=28)


def test_every_contender_does_every_work(tmp_path):
    output = tmp_path / "new" / "latest.json"
    run = bench("--tiny", "--rounds", "2", "--output", str(output))
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    found = json.loads(output.read_text())
    assert len(found["works"]) == 5
    for work, contenders in found["works"].items():
        assert work in run.stdout
        assert {"raw tcp", "pyacq-rpc tcp"} <= set(contenders)
        for name, times in contenders.items():
            assert name in run.stdout
            assert len(times["seconds"]) == 2
            assert all(0 < seconds < 10 for seconds in times["seconds"])
            assert (times["ratio"] is None) == name.startswith("raw")
    assert str(output) in run.stdout
    assert "\x1b" not in run.stdout


def test_rounds_must_be_positive():
    run = bench("--rounds", "0")
    assert run.returncode == 2
    assert "at least one" in run.stderr
