"""The type checkers know of proxies what ``calls.py`` says, and find the errors marked there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

COMMANDS = {
    # What it finds in the package itself, next to these versions of others, is not the subject.
    "mypy": [
        *("--config-file", "pyproject.toml", "--cache-dir", "{cache}"),
        *("--follow-imports", "silent"),
    ],
    "pyright": ["--pythonpath", sys.executable, "--project"],
}

pytestmark = pytest.mark.timeout(600)  # mypy reads the whole package first


def check(checker: str, where: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    arguments = [argument.format(cache=cache) for argument in COMMANDS[checker]]
    return subprocess.run(
        [sys.executable, "-m", checker, *arguments, str(where)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def spoilt(folder: Path) -> Path:
    """The same file with one error that is not marked, and one mark where there is no error."""
    source = (HERE / "calls.py").read_text()
    source += "\n\ndef wrong(camera: Camera) -> int:\n    return camera.name()\n"
    source += "\n\ndef right(camera: Camera) -> str:\n    return camera.name()  # type: ignore\n"
    (folder / "calls.py").write_text(source)
    config = (HERE / "pyrightconfig.json").read_text()
    (folder / "pyrightconfig.json").write_text(config.replace('"../.."', f'"{ROOT.as_posix()}"'))
    return folder


def test_mypy(tmp_path):
    found = check("mypy", HERE / "calls.py", tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    found = check("mypy", spoilt(tmp_path) / "calls.py", tmp_path)
    assert found.stdout.count("error:") == 2, found.stdout + found.stderr


def test_pyright(tmp_path):
    found = check("pyright", HERE, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr
    found = check("pyright", spoilt(tmp_path), tmp_path)
    assert "2 errors" in found.stdout, found.stdout + found.stderr
