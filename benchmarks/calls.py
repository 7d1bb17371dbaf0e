"""The same through `pyacq_rpc`, with an object in a spawned process."""

from __future__ import annotations

import contextlib
import tempfile
from typing import ClassVar

import numpy as np

from pyacq_rpc import reset
from spawner import ProcessSpawner

__all__ = ["CallsIpc", "CallsTcp", "Thing"]


class Thing:
    """What lives in the other process."""

    def __init__(self) -> None:
        self._ticks = 0
        self._arrays: dict[int, np.ndarray] = {}

    def add(self, a: int, b: int) -> int:
        return a + b

    def tick(self) -> None:
        self._ticks += 1

    def ticks(self) -> int:
        """Return the number of ticks since the last time."""
        ticks, self._ticks = self._ticks, 0
        return ticks

    def array(self, megabytes: int) -> np.ndarray:
        if megabytes not in self._arrays:
            self._arrays[megabytes] = np.ones(megabytes * 125_000)
        return self._arrays[megabytes]


class _Calls:
    name: ClassVar[str]
    baseline: ClassVar[str]
    address: ClassVar[str]

    def __enter__(self) -> _Calls:
        with contextlib.ExitStack() as opening:
            opening.callback(reset)
            folder = opening.enter_context(tempfile.TemporaryDirectory(prefix="pyacq-rpc-bench-"))
            node = opening.enter_context(ProcessSpawner(address=self.address.format(folder=folder)))
            self._thing = node._import("benchmarks.calls").Thing()
            self._builtins = node._import("builtins")
            self._arrays: dict[int, np.ndarray] = {}
            self._open = opening.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def call(self, count: int) -> None:
        thing = self._thing
        for _ in range(count):
            assert thing.add(1, 2) == 3

    def pipeline(self, count: int) -> None:
        thing = self._thing
        futures = [thing.add(1, 2, _sync="async") for _ in range(count)]
        for future in futures:
            assert future.result() == 3

    def fire(self, count: int) -> None:
        thing = self._thing
        for _ in range(count):
            thing.tick(_sync="off")
        assert thing.ticks() == count

    def send_array(self, count: int, megabytes: int) -> None:
        if megabytes not in self._arrays:
            self._arrays[megabytes] = np.ones(megabytes * 125_000)
        array, builtins = self._arrays[megabytes], self._builtins
        for _ in range(count):
            assert builtins.len(array) == array.size

    def get_array(self, count: int, megabytes: int) -> None:
        thing = self._thing
        for _ in range(count):
            assert thing.array(megabytes).size == megabytes * 125_000


class CallsTcp(_Calls):
    """Calls over loopback."""

    name: ClassVar[str] = "pyacq-rpc tcp"
    baseline: ClassVar[str] = "raw tcp"
    address: ClassVar[str] = "tcp://127.0.0.1:*"


class CallsIpc(_Calls):
    """Calls over a Unix socket."""

    name: ClassVar[str] = "pyacq-rpc ipc"
    baseline: ClassVar[str] = "raw ipc"
    address: ClassVar[str] = "ipc://{folder}/node"
