"""Processes that tests look at from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


PARENT = """
import sys, time
from spawner import ProcessSpawner
node = ProcessSpawner({arguments})
print(node.pid, flush=True)
{then}
"""


def start_parent(then: str, arguments: str = "") -> tuple[subprocess.Popen[str], int]:
    code = PARENT.format(then=then, arguments=arguments)
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    return parent, int(parent.stdout.readline())
