"""Looking for a moment before going to sleep.

A core that sleeps takes tens of microseconds to wake up, often more than what
is waited for. So a thread that has been answered quickly looks again and again
for a moment, letting other threads run at each look, before it lets itself be
put to sleep. Where that does not pay, since answers are slow or cores are
scarce, it finds out, and sleeps at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["LOOK_FOR", "Looking"]

LOOK_FOR = 100e-6
"""Seconds to look; what takes longer is slow, and not worth it."""

_WEIGHT = 1 / 8
"""Of the latest wait in the average."""

_TRY_AGAIN = 64
_TRY_AT_LEAST = 8192
"""Waits after which to try the way that has been slower; twice as many each time it still is."""

_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
_can_look = (_cores or 1) > 1

Wait = Callable[["float | None"], Sequence[Any]]


class Looking:
    """Waits in the way that has been faster lately: looking first, or sleeping at once.

    Parameters
    ----------
    wait : callable
        Takes the seconds to wait for, None for ever, and returns what is
        ready. Must let other threads run.

    Attributes
    ----------
    looks : bool
        Which way has been faster.
    """

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self.looks = False
        self._quick = False  # whether the last wait was over in a moment
        self._averages = [0.0, 0.0]  # seconds: of sleeping, of looking
        self._count = 0
        self._try_after = 1  # begin with trying

    def __call__(self, timeout: float | None) -> Sequence[Any]:
        """Wait; what is ready, or nothing if the time is over."""
        if not _can_look:
            return self._wait(timeout)
        begin = time.perf_counter()
        way = self.looks
        if self._quick:
            self._count += 1
            if self._count >= self._try_after:
                way = not way
        else:
            way = False
        ready: Sequence[Any] = ()
        if way:
            stop = begin + (LOOK_FOR if timeout is None else min(timeout, LOOK_FOR))
            while not ready and time.perf_counter() < stop:
                ready = self._wait(0)
        if not ready:
            ready = self._wait(timeout)
        self._learn(way, time.perf_counter() - begin)
        return ready

    def _learn(self, way: bool, seconds: float) -> None:
        was_quick, self._quick = self._quick, seconds < 2 * LOOK_FOR
        if not was_quick:
            return
        average = self._averages[way]
        seconds = min(seconds, 3 * LOOK_FOR)  # a slow one says little about either way
        self._averages[way] = average + (seconds - average) * _WEIGHT if average else seconds
        tried = way != self.looks
        if tried:
            self._count = 0
        sleeping, looking = self._averages
        faster = looking < sleeping if looking and sleeping else self.looks
        if faster != self.looks:
            self.looks = faster
            self._try_after = _TRY_AGAIN
        elif tried:
            self._try_after = min(max(2 * self._try_after, _TRY_AGAIN), _TRY_AT_LEAST)
