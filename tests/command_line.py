"""The command line, as a program of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from processes import ROOT

PATIENCE = 90.0
"""Seconds to wait for what a program does: on a busy machine it takes long to start."""

PROGRAM = [sys.executable, "-m", "pyacq_rpc"]

LAB = """
import time
from pyacq_rpc import expose


class Camera:
    gain = 2

    @expose
    def expose(self, seconds, colour="red"):
        end = time.monotonic() + seconds
        while time.monotonic() < end:  # Python sees no signal that comes as a long sleep begins
            time.sleep(0.02)
        return [seconds, colour]

    def fail(self):
        raise ValueError("shutter\\nstuck")


camera = Camera()
"""
"""A module to serve something from."""


class Serving:
    """``pyacq-rpc serve`` in a process of its own.

    Parameters
    ----------
    arguments : sequence of str
    directory : path
        Where it runs; is given a module ``lab``.
    lab : str
        The text of that.
    """

    def __init__(self, arguments: Sequence[str], directory: object, lab: str = LAB) -> None:
        with open(os.path.join(str(directory), "lab.py"), "w") as file:
            file.write(lab)
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--json", *arguments],
            cwd=str(directory),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline() or '{"address": "", "name": ""}')
        self.address: str = told["address"]
        self.name: str = told["name"]
        self.pid = self.process.pid

    def end(self, signum: int, timeout: float = PATIENCE) -> tuple[int, str]:
        """End it by a signal; return the exit code, and what it wrote to stderr."""
        self.process.send_signal(signum)
        return self.wait(timeout)

    def wait(self, timeout: float = PATIENCE) -> tuple[int, str]:
        """Wait for its end; return the exit code, and what it wrote to stderr."""
        _, told = self.process.communicate(timeout=timeout)
        return self.process.returncode, told

    def __enter__(self) -> Serving:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
