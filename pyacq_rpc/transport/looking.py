"""Looking for a moment before going to sleep.

A core that sleeps takes tens of microseconds to wake up, often more than what
is waited for. So a thread that has been answered quickly looks again and again
for a moment, before it lets itself be put to sleep. At each look it lets other
threads and processes run: the one that is to answer may wait for this very core.
Where looks find nothing in time, and more want to run than there are cores, it
sleeps at once for a while.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .waiting import wait_in_slices

__all__ = ["LOOK_FOR", "Looking"]

LOOK_FOR = 100e-6
"""Seconds to look; what takes longer is slow, and not worth it."""

_CREDIT = 8
"""What looks may cost before it is asked whether cores are scarce; one that finds something in
time gives 1 of that back."""

_IN_VAIN = 2
"""What one costs that does not."""

_TAKEN = 10 * LOOK_FOR
"""Seconds after which others have had the core for long: that costs all the credit."""

_REST = 256
_MOST_REST = 4096
"""Waits without a look where cores are scarce; twice as many each time, until looks pay again."""

LOAD = "/proc/loadavg"
"""Linux's file that tells, among others, how many threads want to run just now; see proc(5)."""

_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
_can_look = (_cores or 1) > 1

_let_others_run: Callable[[], object] = getattr(os, "sched_yield", partial(time.sleep, 0))

Wait = Callable[["float | None"], Sequence[Any]]


class Looking:
    """Waits by looking first, while that pays, or by sleeping at once.

    Parameters
    ----------
    wait : callable
        Takes the seconds to wait for, None for ever, and returns what is
        ready. Must let other threads run.
    """

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self._quick = False  # whether the last wait was over in a moment
        self._credit = _CREDIT
        self._rest = 0  # waits to come without a look
        self._next_rest = _REST

    def __call__(self, timeout: float | None) -> Sequence[Any]:
        """Wait; what is ready, or nothing if the time is over."""
        begin = now = time.perf_counter()
        if self._rest and self._quick:
            self._rest -= 1
        elif self._quick and (timeout is None or timeout >= LOOK_FOR):
            while now < begin + LOOK_FOR:
                ready = self._wait(0)
                now = time.perf_counter()
                if ready:
                    if now >= begin + LOOK_FOR:  # others have had this core meanwhile
                        self._pay(now - begin)
                    elif self._credit < _CREDIT:
                        self._credit += 1
                        if self._credit == _CREDIT:
                            self._next_rest = _REST
                    return ready
                _let_others_run()
            self._pay(now - begin)
        ready = wait_in_slices(self._wait, timeout)
        self._quick = _can_look and time.perf_counter() - begin < 2 * LOOK_FOR
        return ready

    def _pay(self, seconds: float) -> None:
        self._credit -= _IN_VAIN if seconds < _TAKEN else _CREDIT
        if self._credit <= 0:
            self._credit = _CREDIT
            if _are_cores_scarce():
                self._rest = self._next_rest
                self._next_rest = min(2 * self._next_rest, _MOST_REST)


def _are_cores_scarce() -> bool:
    """Whether more threads want to run than there are cores, or the system does not tell."""
    try:
        with open(LOAD, "rb", buffering=0) as file:
            runnable = file.read(80).split()[3].partition(b"/")[0]
        return int(runnable) > (_cores or 1)
    except (OSError, IndexError, ValueError):
        return True
