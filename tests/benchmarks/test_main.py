"""The whole of it, as it is run, for us and plain pyzmq."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("numpy")

from benchmarks.contenders import OURS, RAW

ROOT = Path(__file__).parents[2]


def bench(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error", "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.timeout(60)
def test_we_and_plain_pyzmq_do_every_work_and_leave_nothing(tmp_path):
    # A socket's path has to be short.
    with tempfile.TemporaryDirectory() as folder:
        output = tmp_path / "new" / "latest.json"
        run = bench(
            "--tiny", "--contenders", RAW, OURS, "--output", str(output), folder=Path(folder)
        )
        # The directory of the direct roads is the user's, and stays.
        assert [place.name for place in Path(folder).glob("*[!0-9]")] == []
        assert list(Path(folder).glob("pyacq-rpc-*/*")) == []
    assert run.stderr == ""
    assert run.returncode == 0
    found = json.loads(output.read_text())
    works = {name for name, who in found["quantities"].items() if OURS in who}
    assert works == {
        "call",
        "bound",
        "inproc",
        "async",
        "fire",
        "send 1 MB",
        "get 1 MB",
        "start",
        "warm",
        "memory",
        "crowd rate",
        "crowd evenness",
        "proxies client",
        "proxies server",
        "proxies release",
    }
    raw = {name for name, who in found["quantities"].items() if RAW in who}
    assert works - raw == {
        "bound",
        "fire",
        "warm",
        "proxies client",
        "proxies server",
        "proxies release",
    }
    for line in found["lines"]:
        assert line["title"] in run.stdout
    assert str(output) in run.stdout
    assert "\x1b" not in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rounds", "0"], "at least one"),
        (["--only", "nonsense"], "no work is called nonsense"),
        (["--contenders", "nobody"], "invalid choice"),
    ],
)
def test_what_cannot_be_is_said(arguments, message, tmp_path):
    run = bench(*arguments, folder=tmp_path)
    assert run.returncode == 2
    assert message in run.stderr
