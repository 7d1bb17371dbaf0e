"""Keeps every core busy, as a machine is on which there is something to do."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

__all__ = ["burning"]

_BURN = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""


@contextlib.contextmanager
def burning() -> Iterator[None]:
    """Enter to have one process for each core that does nothing but compute."""
    with contextlib.ExitStack() as opening:
        for _ in range(os.cpu_count() or 1):
            process = subprocess.Popen([sys.executable, "-c", _BURN])
            opening.enter_context(process)
            opening.callback(process.kill)
        yield
