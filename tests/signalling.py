"""A value whose decoding sends the process a signal, and a nap that has one begun with."""

from __future__ import annotations

import os
import time

from pyacq_rpc import register_type


class Signal:
    """Arrives as a signal: while its request is taken, and not carried out yet."""

    def __init__(self, number: int) -> None:
        self.number = int(number)


def _arrive(number: int) -> Signal:
    os.kill(os.getpid(), number)
    return Signal(number)


register_type(Signal, "signalling.Signal", lambda signal: signal.number, _arrive)


def nap(seconds: float, signal: Signal | None = None) -> None:
    """Sleep, in slices: Python sees no signal that comes as a long sleep begins."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
