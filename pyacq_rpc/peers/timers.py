"""Timers of a server: callbacks at regular intervals, in its own thread."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import CallTimeout, ServerDisconnected
from ..late_logging import getLogger
from ..session.proxy import ObjectProxy

if TYPE_CHECKING:
    from .tasks import Tasks

__all__ = ["Timer", "Timers"]

_log = getLogger(__name__)


class Timer:
    """A callback that a server makes at regular intervals.

    Made by `RPCServer.start_timer`.

    Attributes
    ----------
    interval : float
        Seconds from the start of one call to the start of the next.
    callback : callable
    """

    def __init__(self, callback: Callable[..., Any], interval: float, kwds: dict[str, Any]) -> None:
        self.interval = interval
        self.callback = callback
        self._kwds = kwds
        self._stopped = False
        self.running = False  # as a task

    def stop(self) -> None:
        """End the calls; from any thread, and from the callback itself."""
        self._stopped = True

    def stopped(self) -> bool:
        """Whether `stop` was called, or the callback's object has gone."""
        return self._stopped

    def _run(self, tasks: Tasks | None) -> None:
        try:
            result = self.callback(**self._kwds)
            if tasks is not None:
                self.running = True  # it may have ended when we are told that it runs
                if tasks.run(result, self._ended) is None:
                    self.running = False
        except Exception as error:  # noqa: BLE001  # user code may raise anything
            self._failed(error)

    def _ended(self, _: object, error: BaseException | None) -> None:
        self.running = False
        is_cancelled = self._stopped and not isinstance(error, Exception)
        if error is not None and not is_cancelled:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        away = isinstance(error, (ServerDisconnected, CallTimeout))
        away = away and isinstance(self.callback, ObjectProxy)
        if away and not _is_only_late(error, self.callback):
            _log.warning("timer stopped, its callback is out of reach: %s", error)
            self._stopped = True
            return
        _log.error(
            "the callback of a timer failed; it will be called again",
            exc_info=(type(error), error, error.__traceback__),
        )


def _is_only_late(error: BaseException, callback: Any) -> bool:
    """Whether somebody is there who has not answered in time.

    An owner that died before it was ever reached would keep all timers waiting, each time.
    """
    if not isinstance(error, CallTimeout):
        return False
    from .client import RPCClient  # here only: a server need not have any

    try:
        client = callback._link.client()
    except ServerDisconnected:
        return False
    return not isinstance(client, RPCClient) or client.channel.connected()


class Timers:
    """All timers of one server.

    Attributes
    ----------
    heap : list
        By the time they are due; empty if there are none.
    current : Timer or None
        The one whose callback is being called.
    since : float
        When that began, by `time.monotonic`.
    tasks : Tasks or None
        Which take up the calls whose results are still to come.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a collection within may come back here
        self._order = itertools.count()
        self.heap: list[tuple[float, int, Timer]] = []
        self.current: Timer | None = None
        self.since = 0.0
        self.tasks: Tasks | None = None

    def start(self, callback: Callable[..., Any], interval: float, kwds: dict[str, Any]) -> Timer:
        """Add a timer whose first call is due one interval from now."""
        if not interval > 0:
            raise ValueError(f"the interval of a timer is in seconds, and positive; not {interval}")
        timer = Timer(callback, interval, kwds)
        with self._lock:
            heapq.heappush(self.heap, (time.monotonic() + interval, next(self._order), timer))
        return timer

    def once(self, delay: float, callback: Callable[[], object]) -> None:
        """Call back one time, `delay` seconds from now."""

        def run() -> None:
            timer.stop()
            callback()

        timer = self.start(run, delay, {})

    def due_in(self, at_most: float | None = None) -> float | None:
        """Seconds until the next call is due, but not more than `at_most`; that if none is due."""
        with self._lock:
            if self.current is not None or not self.heap:
                return at_most
            due = max(0.0, self.heap[0][0] - time.monotonic())
        return due if at_most is None else min(due, at_most)

    def run_due(self) -> bool:
        """Make the calls that are due; whether there was one.

        A call that comes while another runs (the callback waits for an answer
        and its server serves meanwhile) does nothing: callbacks do not overlap.
        """
        ran = False
        now = time.monotonic()
        while self.current is None:
            with self._lock:
                if not self.heap or self.heap[0][0] > now:
                    break
                due, _, timer = heapq.heappop(self.heap)
            if timer.stopped():
                continue
            ran = True
            if timer.running:  # as a task, from an earlier time on
                self._put_back(timer, due)
                continue
            self.since = time.monotonic()
            self.current = timer
            try:
                timer._run(self.tasks)
            finally:
                self.current = None
                if not timer.stopped():
                    self._put_back(timer, due)
        return ran

    def _put_back(self, timer: Timer, due: float) -> None:
        """Start to start; starts that were missed are not made up for."""
        missed = max(0.0, time.monotonic() - due) // timer.interval
        again = due + (missed + 1) * timer.interval
        with self._lock:
            heapq.heappush(self.heap, (again, next(self._order), timer))

    def clear(self) -> None:
        """Stop all timers."""
        with self._lock:
            for _, _, timer in self.heap:
                timer.stop()
            self.heap.clear()
