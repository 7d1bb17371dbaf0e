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

from .waiting import wait_in_slices

__all__ = ["LOOK_FOR", "Looking"]

LOOK_FOR = 100e-6
"""Seconds to look; what takes longer is slow, and not worth it."""

_WEIGHT = 1 / 16
"""Of the latest wait in the average."""

_TRIAL = 8
"""Waits for which the other way is tried."""

_TRY_AGAIN = 64
_TRY_AT_LEAST = 4096
"""Waits after which to try it again; twice as many each time it has been slower."""

_WORSE = 1.5
"""Times its usual average at which the way taken is put to the test before that."""

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
        self._average = LOOK_FOR  # seconds that waits take in the way taken
        self._usual = LOOK_FOR  # the same when it was last compared
        self._left = _TRIAL  # waits until the trial begins, or ends
        self._apart = _TRY_AGAIN  # waits from one trial to the next
        self._trying = False
        self._tried = 0.0  # seconds that those of the trial have taken

    def __call__(self, timeout: float | None) -> Sequence[Any]:
        """Wait; what is ready, or nothing if the time is over."""
        if not _can_look:
            return wait_in_slices(self._wait, timeout)
        begin = time.perf_counter()
        ready: Sequence[Any] = ()
        if self._quick and self.looks is not self._trying:
            stop = begin + (LOOK_FOR if timeout is None else min(timeout, LOOK_FOR))
            while not ready and time.perf_counter() < stop:
                ready = self._wait(0)
        if not ready:
            ready = wait_in_slices(self._wait, timeout)
        seconds = time.perf_counter() - begin
        if self._quick:
            if seconds >= 2 * LOOK_FOR:
                self._quick = False
                seconds = min(seconds, 3 * LOOK_FOR)  # it says little about either way
            self._left -= 1
            if not self._trying:
                self._average += (seconds - self._average) * _WEIGHT
                if self._left <= 0 or self._average > _WORSE * self._usual:
                    self._trying, self._tried, self._left = True, 0.0, _TRIAL
            else:
                self._tried += seconds
                if self._left <= 0 or self._tried > _TRIAL * self._average:
                    self._decide()
        else:
            self._quick = seconds < 2 * LOOK_FOR
        return ready

    def _decide(self) -> None:
        """End a trial, and take the way that was faster."""
        if self._left <= 0 and self._tried < _TRIAL * self._average:
            self.looks = not self.looks
            self._average = self._tried / _TRIAL
            self._apart = _TRY_AGAIN
        else:
            self._apart = min(2 * self._apart, _TRY_AT_LEAST)
        self._usual = self._average
        self._left = self._apart
        self._trying = False
