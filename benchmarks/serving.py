"""Servers of contenders, each in a fresh interpreter.

``python -m benchmarks.serving CONTENDER ADDRESS`` is such a process. It ends
when its stdin does, and so never outlives the one that has started it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from . import stdout

__all__ = ["Node", "ready", "start"]


@dataclass(frozen=True)
class Node:
    """A process that serves.

    Attributes
    ----------
    pid : int
    address : str
        Where it is reached, in the words of the contender.
    """

    pid: int
    address: str


@contextlib.contextmanager
def start(contender: str, address: str) -> Iterator[Node]:
    """Start a process in which the contender's ``serve(address)`` runs.

    Raises
    ------
    RuntimeError
        If it ended before it was ready.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.serving", contender, address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        try:
            if not process.stdout.readline():
                raise RuntimeError(f"the server of {contender} ended before it was ready")
            yield Node(process.pid, address)
        finally:
            process.stdin.close()


def ready() -> None:
    """Tell the parent that clients may come, and end this process when it ends."""
    with stdout.take() as parent:
        print("ready", file=parent)

    def end() -> None:
        os.read(0, 1)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()


if __name__ == "__main__":
    from .contenders import find

    find(sys.argv[1]).serve(sys.argv[2])
