"""What a signal meets in a node: a request that is being taken, and a nap."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from pyacq_rpc import register_type, unregister_type


class Signal:
    """Arrives as a signal, if both sides have registered it: while its request is being taken."""

    def __init__(self, number: int) -> None:
        self.number = int(number)


def _arrive(number: int) -> Signal:
    os.kill(os.getpid(), number)
    return Signal(number)


def register() -> None:
    """Let signals travel by value."""
    register_type(Signal, "signalling.Signal", lambda signal: signal.number, _arrive)


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Let them do so for a while."""
    register()
    try:
        yield
    finally:
        unregister_type(Signal)


def nap(seconds: float, signal: Signal | None = None) -> None:
    """Sleep, in slices: Python sees no signal that comes as a long sleep begins."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
