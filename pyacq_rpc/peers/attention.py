"""Who takes in the answers to one client, and how its thread waits for them.

The thread that waits for an answer reads the connection itself, so that no other
thread has to wake up first; when nobody waits, the I/O thread (`watcher.py`) reads
what arrives, so that futures complete by themselves.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..transport.looking import Looking
from ..transport.waiting import make_poll, wait_in_slices
from .nesting import PATIENCE
from .pending import PendingRequests
from .runtime import Runtime
from .thread_state import ThreadState

if TYPE_CHECKING:
    from .channel import Channel
    from .server import ServerCore

__all__ = ["Attention"]


class Attention:
    """Sees that what comes for one client is taken in.

    Parameters
    ----------
    runtime : Runtime
    thread : ThreadState
        The thread that the client belongs to.

    Attributes
    ----------
    asked : int
        Counts what the owner does: the requests that it sends, and its waits.
    """

    def __init__(self, runtime: Runtime, thread: ThreadState) -> None:
        self.asked = 0
        self._seen = 0  # of that, by the I/O thread
        self._runtime = runtime
        self._thread = thread
        self._channel: Channel
        self._pending: PendingRequests
        self._waiting = 0
        self._armed = False
        self._polled: Sequence[int] = ()
        self._poll: Callable[[float | None], Sequence[object]]
        self._look: Looking

    def attend(self, channel: Channel, pending: PendingRequests) -> None:
        """Attend to this channel from now on, over which the answers to these come."""
        self._channel, self._pending = channel, pending

    # -- by the thread of the client -------------------------------------------

    def waits(self) -> int:
        """How many waits of this thread for this server are within each other just now."""
        return self._waiting

    def wait(self, is_done: Callable[[], bool], timeout: float | None, reentrant: bool) -> bool:
        """Take in messages until that is so; whether it is in time.

        Parameters
        ----------
        is_done : callable
        timeout : float or None
            In seconds; None waits for ever.
        reentrant : bool
            Whether the server of this thread goes on serving meanwhile.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        thread, channel = self._thread, self._channel
        left = timeout
        held = 0.0
        self._waiting += 1
        try:
            self._runtime.waiting.add(self)
            if not channel.signals():
                channel.pump()
            done = is_done()
            while True:
                if done or (left is not None and left <= 0):
                    break
                server = thread.server if reentrant else None
                if server is None:
                    self._wait_alone(left)
                else:
                    held = self._serve_meanwhile(server, left, held)
                if thread.waker.woken:
                    thread.waker.clear()
                channel.pump()
                done = is_done()
                if deadline is not None and not done:
                    left = deadline - time.monotonic()
        finally:
            self._waiting -= 1
            if self._waiting:
                thread.waker.wake()  # whoever waits further out: its answer may be here
            else:
                # Meanwhile the I/O thread has left this channel alone.
                self._armed = False
                self.asked += 2  # it will probably wait again
                try:
                    self._runtime.waiting.discard(self)
                    if self._pending:
                        self.arm(soon=True)
                except BaseException:  # an interrupt: others still wait for their answers
                    self._runtime.waiting.discard(self)
                    self.arm()
                    raise
        return done

    def _serve_meanwhile(self, server: ServerCore, timeout: float | None, held: float) -> float:
        """Have the server of this thread take a turn, or wait for it as well.

        Takes and returns since when others have been put off within this wait, or 0.
        """
        nesting = server.nesting
        is_stuck = bool(held) and time.monotonic() - held >= PATIENCE
        server.doing.waits += 1
        nesting.stuck += is_stuck
        try:
            if not server.serve_ready():
                due = server.timers.due_in(timeout)
                if server.listener.inbox.items and not is_stuck:
                    held = held or time.monotonic()
                    due = PATIENCE if due is None else min(due, PATIENCE)
                server.wait_for([*self._channel.roads.fds, self._thread.waker.fd], due)
        finally:
            nesting.stuck -= is_stuck
            server.doing.waits -= 1
        server.doing.check()
        return held

    def _wait_alone(self, timeout: float | None) -> None:
        """Wait for the channel, or to be woken."""
        fds = self._channel.roads.fds
        if fds is not self._polled:
            self._poll = make_poll([*fds, self._thread.waker.fd])
            self._look = Looking(self._poll)
            self._polled = fds
        # Looking keeps the interpreter from other threads: from a server in this
        # process, which needs it to answer, and from others that wait.
        if len(self._runtime.waiting) < 2 and not self._channel.in_process:
            self._look(timeout)
        else:
            wait_in_slices(self._poll, timeout)

    # -- the I/O thread ----------------------------------------------------------

    def arm(self, soon: bool = False) -> None:
        """Have the I/O thread read the channel while nobody else does."""
        if not self._armed:
            self._armed = True  # before it looks
            try:
                self._runtime.watcher.poke(soon)
            except BaseException:  # an interrupt: the next one has to do it
                self._armed = False
                raise

    def disarm(self) -> None:
        """Forget that the I/O thread was told: it may have left the reading to somebody else."""
        self._armed = False

    def received(self) -> None:
        """Something was done: if the owner waits, it has to look again."""
        if self._waiting and not self._thread.is_current():
            self._thread.waker.wake()

    def wake(self) -> None:
        """If the owner waits, have it look again, whoever calls."""
        if self._waiting:
            self._thread.waker.wake()

    def is_busy(self) -> bool:
        """Whether the owner has sent several requests, or waited, since this was last asked."""
        if not self._armed or self._waiting:
            return False
        asked, self._seen = self.asked - self._seen, self.asked
        return asked > 1

    def unattended(self) -> bool:
        """Whether answers are to come and nobody waits for them here."""
        if not self._armed or self._waiting:
            return False
        if not self._pending:
            self._armed = False
            # A request that was sent just now has found itself armed.
            self._armed = bool(self._pending)
        return self._armed
