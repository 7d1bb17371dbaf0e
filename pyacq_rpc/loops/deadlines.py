"""The times by which a client's requests have to be answered, kept by an event loop."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

__all__ = ["Deadlines"]

_FEW = 100
"""So many are kept without looking which of them are still needed."""


class Deadlines:
    """Calls back for those requests whose time is over.

    There is one timer for all: most requests are answered long before, and
    making a timer for each, and taking it back, would take longer.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        In whose thread all of this is called.
    expire : callable
        Called with the request and its timeout.
    waits : callable
        Whether a request is still to be answered.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        expire: Callable[[int, float], object],
        waits: Callable[[int], bool],
    ) -> None:
        self._loop = loop
        self._expire = expire
        self._waits = waits
        self._heap: list[tuple[float, int, float]] = []
        self._few = _FEW
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0  # when that is due

    def add(self, request_id: int, timeout: float) -> None:
        """Take up a request that was sent just now."""
        at = self._loop.time() + timeout
        heapq.heappush(self._heap, (at, request_id, timeout))
        if len(self._heap) > self._few:
            self._heap = [item for item in self._heap if self._waits(item[1])]
            heapq.heapify(self._heap)
            self._few = _FEW + 2 * len(self._heap)
        if self._timer is None or at < self._at:
            self._start()

    def clear(self) -> None:
        """Forget all."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._at = self._heap[0][0]
            self._timer = self._loop.call_at(self._at, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and (self._heap[0][0] <= now or not self._waits(self._heap[0][1])):
            _, request_id, timeout = heapq.heappop(self._heap)
            self._expire(request_id, timeout)
        self._start()
