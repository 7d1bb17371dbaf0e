"""The I/O thread: sees to clients that nobody is waiting at.

It reads their answers, so that futures complete by themselves; it notices
that a server has died; it sends the releases of proxies that were collected;
it closes the clients of threads that have ended; and it answers what is urgent
for servers of this process that are busy.
"""

from __future__ import annotations

import collections
import heapq
import itertools
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..late_logging import getLogger
from ..transport.sockets import LINGER
from ..transport.waiting import Waker, wait_ready
from .scouting import PATIENCE
from .unsent import SOON

if TYPE_CHECKING:
    from .channel import Channel
    from .client import RPCClient
    from .future import Future
    from .lease_holder import LeaseHolder
    from .runtime import Runtime
    from .server import ServerCore

__all__ = ["Watcher"]

_log = getLogger(__name__)

RELEASE_DELAY = 0.05
"""Seconds that releases may wait for more of them to share their message."""

URGENT_INTERVAL = 0.05
"""Seconds between two looks for urgent messages to servers that may be busy."""


class Watcher:
    """The I/O thread of a runtime; a daemon, started with the first client of either side."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lock = threading.RLock()  # a collection within may come back here
        self._channels: set[Channel] = set()
        self._new: list[Channel] = []
        self._noted: collections.deque[LeaseHolder] = collections.deque()
        # When, and what; the one is filled by all threads, the other sorted by this one.
        self._to_do: collections.deque[tuple[float, int, Callable[[], object]]] = (
            collections.deque()
        )
        self._later: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._retiring: list[tuple[RPCClient, float]] = []  # and when their threads ended
        self._servers: weakref.WeakSet[ServerCore] = weakref.WeakSet()
        self._look_at = 0.0  # when it is looked for urgent messages again
        self._flush_at: float | None = None
        self._waker = Waker()
        self._stopping = False
        self._ticking = False  # whether it will look again soon in any case
        self._last: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="pyacq-rpc I/O", daemon=True)
        self._ident = -1
        self._thread.start()

    def is_current(self) -> bool:
        """Whether the caller is the I/O thread."""
        return threading.get_ident() == self._ident

    def poke(self, soon: bool = False) -> None:
        """Have the thread look at its channels again; `soon` will do after a millisecond."""
        if not (soon and self._ticking):
            self._waker.wake()

    def add(self, channel: Channel) -> None:
        """Watch a channel from now on."""
        with self._lock:
            self._channels.add(channel)
            self._new.append(channel)
        self.poke()

    def remove(self, channel: Channel) -> None:
        """Stop watching a channel, which is about to close its socket."""
        with self._lock:
            self._channels.discard(channel)

    def do(self, function: Callable[[], object], delay: float = 0.0) -> None:
        """Have something done in the I/O thread, where no interrupt comes.

        Parameters
        ----------
        function : callable
        delay : float
            Seconds from now.
        """
        self._to_do.append((time.monotonic() + delay, next(self._numbers), function))
        self.poke()

    def note_release(self, holder: LeaseHolder) -> None:
        """A lease of this holder is over; safe to call from ``__del__``."""
        self._noted.append(holder)
        if not self._stopping:
            self._waker.wake()

    def attend(self, server: ServerCore) -> None:
        """Answer urgent requests to this server from now on, while it is busy."""
        with self._lock:
            if server in self._servers:
                return
            self._servers.add(server)
        self.poke()

    def retire(self, client: RPCClient) -> None:
        """Close a client whose thread has ended, once nothing depends on it."""
        with self._lock:
            self._retiring.append((client, time.monotonic()))
        self.poke()

    def stop(self, last: Callable[[], object], timeout: float) -> None:
        """End the thread, with `last` as the last thing that it does.

        Parameters
        ----------
        last : callable
        timeout : float
            Seconds to wait for that.
        """
        self._last = last
        self._stopping = True
        self._waker.wake()
        if not self.is_current():
            self._thread.join(timeout)

    def run_until(self, future: Future[Any], timeout: float | None) -> None:
        """Do the thread's work within it, for a callback that has to wait."""
        future.add_done_callback(lambda _: self.poke())  # another thread may complete it
        deadline = None if timeout is None else time.monotonic() + timeout
        while not future.done() and not self._stopping:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self._turn(left)

    def _run(self) -> None:
        self._ident = threading.get_ident()
        while not self._stopping:
            try:
                self._turn(None)
            except BaseException:  # noqa: BLE001  # every client depends on this thread
                _log.exception("the I/O thread met an error and goes on")
        self._waker.close()
        self._last()
        self._ident = -1  # another thread may get it

    def _turn(self, timeout: float | None) -> None:
        """Wait once, and see to what has come up."""
        self._ticking = False  # before it looks: what comes later has to wake it
        self._do_what_is_due()
        self._flush_releases()
        self._close_retired()
        self._runtime.lingering.look()
        with self._lock:
            channels = list(self._channels)
            new, self._new = self._new, []
        for channel in new:
            # A socket that nobody has tried to read yet does not signal.
            channel.check_monitor()
        owners: dict[int, Callable[[], object]] = {}
        busy = False
        for channel in channels:
            owners[channel.roads.monitor_fd] = channel.check_monitor
            if channel.is_busy():
                busy = True
            elif channel.wants_reading():
                # What came before the wait leaves no edge to wait for.
                if channel.pump():
                    timeout = 0.0  # it may be what `run_until` waits for
                owners.update(dict.fromkeys(channel.roads.fds, channel.pump))
        unsent = self._runtime.unsent
        waits = (
            SOON if busy else None,
            unsent.due_in(),
            self._runtime.lingering.due_in(),
            self._flush_in(),
            max(0.0, self._later[0][0] - time.monotonic()) if self._later else None,
            self._add_urgent(owners),
        )
        for limit in (*waits, RELEASE_DELAY if self._retiring else None):
            if limit is not None:
                timeout = limit if timeout is None else min(timeout, limit)
        writable = unsent.fds()
        self._ticking = timeout is not None and timeout <= SOON
        for fd in wait_ready([self._waker.fd, *owners], writable, timeout):
            if fd == self._waker.fd:
                self._waker.clear()
            elif fd in owners:
                owners[fd]()
        if writable:
            unsent.flush()
        if unsent.due_in() == 0:
            unsent.flush_soon()

    def _add_urgent(self, owners: dict[int, Callable[[], object]]) -> float | None:
        """Add where urgent requests come, or return the seconds after which to do so."""
        with self._lock:
            servers = list(self._servers)
        left = self._look_at - time.monotonic()
        if servers and left > 0:
            return left
        for server in servers:
            if not server.listener.closed:
                # Not the server itself: it may be dropped while we wait.
                look = partial(self._look_for_urgent, weakref.ref(server))
                owners[server.listener.urgent_fd] = look
        return None

    def _look_for_urgent(self, reference: weakref.ref[ServerCore]) -> None:
        server = reference()
        if server is not None:
            server.look_for_urgent()
        # Most of what comes is for its thread, and what is urgent can wait so long.
        self._look_at = time.monotonic() + URGENT_INTERVAL

    def _do_what_is_due(self) -> None:
        while self._to_do:
            heapq.heappush(self._later, self._to_do.popleft())
        while self._later and self._later[0][0] <= time.monotonic():
            heapq.heappop(self._later)[2]()

    def _flush_in(self) -> float | None:
        if not self._noted:
            return None
        now = time.monotonic()
        if self._flush_at is None:
            self._flush_at = now + RELEASE_DELAY
        return max(0.0, self._flush_at - now)

    def _flush_releases(self) -> None:
        if self._flush_at is None or time.monotonic() < self._flush_at:
            return
        self._flush_at = None
        while self._noted:
            self._noted.popleft().flush_releases()

    def _close_retired(self) -> None:
        with self._lock:
            retiring, self._retiring = self._retiring, []
        for client, ended in retiring:
            try:
                closed = self._may_close(client, ended)
            except Exception:  # noqa: BLE001  # the others have to be closed as well
                _log.exception("a client of a thread that has ended could not be closed yet")
                closed = False
            if not closed:
                with self._lock:
                    self._retiring.append((client, ended))

    def _may_close(self, client: RPCClient, ended: float) -> bool:
        if client.closed() or self._stopping:
            return True
        if client.reaches_nobody():
            if not _in_vain(client, ended):
                return False
            client.close()
            return True
        if client.has_pending():
            return False
        if client.channel.holder.live_leases():
            # The leases are the process's: they live on with this thread's own
            # connection, if by the same name, which must stand before the other one ends.
            if self._runtime.links.peer_name(client.address) is not client.channel.name:
                return False
            stand_in = self._runtime.client_at(client.address)
            if stand_in.channel.name is not client.channel.name or not stand_in.welcomed():
                return False
        client.close()
        return True


def _in_vain(client: RPCClient, since: float) -> bool:
    """Whether a client has had its time to reach somebody, and what it has sent to get out."""
    patience = PATIENCE if client.channel.roads.accepted() else LINGER / 1000
    return time.monotonic() - since >= patience
