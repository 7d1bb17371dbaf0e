"""Processes that tests look at from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]

OCCUPATIONS = {
    "idle": "pass",
    "busy": "node._import('time').sleep(60, _sync='off')",
    # A regular expression that takes for ever, and never gives the GIL back.
    "holding the GIL": "node._import('re').match('(a*)*b', 'a' * 60, _sync='off')",
    "ignoring SIGTERM": "node._import('signal').signal(15, 1)",
}
"""What a `node` is made to do, when its parent is killed."""


def gone(pid: int) -> bool:
    """Whether a process has ended, reaped or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def in_a_fork(act):
    """Return what `act` does there, as text."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads
        pid = os.fork()
    if pid == 0:
        try:
            answer = str(act())
        except BaseException as error:  # noqa: BLE001  # it must not go on as a second pytest
            answer = f"{type(error).__name__}: {error}"
        os.write(write, answer.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer


PARENT = """
import sys, time
from spawner import NodeTemplate, ProcessSpawner
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
