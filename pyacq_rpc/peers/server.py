"""`ServerCore`: what every server does, whichever loop turns it.

A turn takes all messages from the socket into a queue, and carries out the
first request. A request that waits for an answer lets further turns happen
within it; that is how calls re-enter. All of this happens in the one thread
that the server belongs to; only `close`, `get_proxy` and the table of objects
may be used from others. While that thread is busy, the I/O thread takes in what
comes over the socket, and answers what is urgent. To send may swallow the sign
that something has come there: after that it is looked at before a request is begun.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import zmq

from ..limits import Limits
from ..session.dispatch import Dispatcher
from ..session.policy import Policy, Trusted
from ..session.stats import ServerStats
from ..transport.keys import KeyOrPath
from ..transport.waiting import wait_readable
from ..wire.messages import URGENT
from .answering import answer_urgent
from .chunking import Prompter
from .exporter import Exporter
from .listener import Listener
from .local import LocalClient
from .nesting import Nesting
from .reception import Reception
from .running import Running, describe_running
from .runtime import SERVER_GRACE, current
from .stats import ServerCounts, stats_of
from .tasks import Tasks
from .timers import Timer, Timers

__all__ = ["ServerCore"]

TURN = 0.0005
"""Seconds for which requests are carried out before timers and all that has come are looked at."""

INSISTING = 0.05
"""Seconds after which an interrupt that was missed is sent again; later on, it takes longer."""


class ServerCore(Exporter):
    """Serves the objects of one thread over one socket.

    Parameters
    ----------
    address : str or bytes
        Where to listen; ``*`` for the port takes any that is free.
    name : str, optional
        What the server is called in logs and error messages.
    policy : Policy, optional
        Decides what peers may do.
    key : Key or str or path, optional
        What clients have to have to connect, or the file with it; by default
        the user's key.
    limits : Limits, optional
        What it takes of each client.
    listed : bool
        Whether other programs of this user find it, such as ``pyacq-rpc ls``.

    Attributes
    ----------
    address : str
        Where clients reach the server.
    server_id : str
        Names this incarnation; no other server will ever have it.
    policy : Policy
        What decides.
    nesting : Nesting
        What is carried out within a request that waits.
    tasks : Tasks or None
        The requests that go on after their turn, where there is an event loop for that.

    Raises
    ------
    OSError
        If it cannot listen there.
    ValueError
        If it could not work with these limits.
    """

    may_nest = False
    """Whether a request may run an event loop, which is then to be told of those that follow."""

    def __init__(
        self,
        address: str | bytes = "tcp://127.0.0.1:*",
        name: str | None = None,
        policy: Policy | None = None,
        key: KeyOrPath | None = None,
        limits: Limits | None = None,
        listed: bool = True,
    ) -> None:
        self.limits = (limits or Limits()).check()
        runtime = current()
        with runtime.opening(to_serve=True):
            self.listener = Listener(runtime, address, key, self.limits)
            super().__init__(runtime, self.listener.address)
            self.name = name or f"server-{self.address.rpartition(':')[2]}"
            self.timers = Timers()
            self.policy: Policy = Trusted() if policy is None else policy
            self.dispatcher = Dispatcher(self.table, self.policy, self)
            self.doing = Running()
            self.nesting = Nesting(self.listener, self.doing)
            self.counts = ServerCounts()
            self.prompter = Prompter(runtime)
            self.tasks: Tasks | None = None
            self.link.name = self.name
            self._reception = Reception(self)
            self._items = self.listener.inbox.items
            self._excess = self.listener.inbox.excess
            self._lock = threading.RLock()  # held while it is decided who closes
            self._depth = 0
            self._looping = False
            self._closing = False
            self._local = LocalClient(self)
            runtime.serving(self)
        if listed:
            self.listener.be_listed(self.name, self.server_id)

    def __repr__(self) -> str:
        state = "closed" if self.listener.closed else "open"
        return f"<{type(self).__name__} {self.name} at {self.address}, {state}>"

    def __setitem__(self, name: str, obj: Any) -> None:
        if self.listener.closed:
            raise RuntimeError(f"{self!r} publishes nothing any more; make another server")
        super().__setitem__(name, obj)

    # -- one server for each thread ------------------------------------------

    @staticmethod
    def get_server() -> ServerCore | None:
        """Return the server of the current thread, or None."""
        return current().thread().server

    @staticmethod
    def register_server(srv: ServerCore) -> None:
        """Make `srv` the server of the current thread.

        Raises
        ------
        RuntimeError
            If the thread has one already.
        """
        thread = current().thread()
        if thread.server is srv or srv.listener.closed:
            return
        if thread.server is not None and thread.server.running():
            raise RuntimeError(
                f"this thread already has a server, {thread.server!r};"
                " close that one, or run this one in another thread"
            )
        if srv._thread is not None:
            raise RuntimeError(f"{srv!r} belongs to another thread already")
        srv._thread = thread
        thread.server = srv

    @staticmethod
    def unregister_server(srv: ServerCore) -> None:
        """Take `srv` from the thread that it belongs to."""
        if srv._thread is not None:
            if srv._thread.server is srv:
                srv._thread.server = None
            srv._thread = None

    @staticmethod
    def local_client() -> LocalClient | None:
        """Return a client of the current thread's own server, or None."""
        server = current().thread().server
        return None if server is None else server.local()

    def local(self) -> LocalClient:
        """Return the client for this server's own thread."""
        return self._local

    # -- turns -----------------------------------------------------------------

    def depth(self) -> int:
        """How many turns are within each other just now."""
        return self._depth

    def depth_of_calls(self) -> int:
        """Return the depth of a request that is made now, in the server's thread."""
        tasks = self.tasks
        return self.doing.depth or (0 if tasks is None else tasks.depth_of_calls())

    def fds(self) -> list[int]:
        """Descriptors that are readable when `serve_ready` may have work."""
        return self.listener.fds()

    def serve_ready(self, seconds: float = 0.0) -> bool:
        """Do what can be done without waiting: a request, and what is due.

        Parameters
        ----------
        seconds : float
            For which to go on with further requests that have come.

        Returns
        -------
        bool
            Whether anything was done; if not, one may wait for `fds`.
        """
        listener, tasks = self.listener, self.tasks
        with self._lock:  # `close` must not come between the look and the turn
            if listener.closed:
                return False
            ending = self._closing and not self._depth and (tasks is None or tasks.finished())
            if ending:
                self._close_listener()
            else:
                self._depth += 1
        if ending:
            self._let_go()
            self._await_end()
            return True
        try:
            if self.table.later:
                self.table.collect()
            listener.fill()
            if listener.inbox.urgent:
                self.answer_urgent()
            if self._excess:
                self._reception.turn_away()
            if tasks is not None:
                tasks.cancel_withdrawn()
            if listener.unread:
                self._look_about()  # before what may take long
            worked = bool(self.timers.heap) and self.timers.run_due()
            # What is within another request, or beside a task, may be needed for that to end.
            last = self._closing and self._depth == 1 and (tasks is None or tasks.finished())
            if self._items and not last and (self._depth == 1 or self.nesting.admits()):
                worked = True
                if self.may_nest and len(self._items) > 1:
                    listener.wake()
                now = time.monotonic()
                stop = now + seconds
                if self._depth == 1:
                    self.counts.turn_since = now
                while True:
                    if listener.unread:
                        self._look_about()
                    self._reception.take(self._items)
                    if not self._items or self._closing or time.monotonic() >= stop:
                        break
                    if tasks is not None and tasks.starting:
                        break
                    if self._depth > 1 and not self.nesting.admits():
                        break
            if listener.unread:
                self.look_again()  # it may be long until the next turn
        finally:
            self._depth -= 1
            counts = self.counts
            if counts.turn_since and not self._depth:
                since, counts.turn_since = counts.turn_since, 0.0
                counts.busy += time.monotonic() - since
            if self._closing and not self._looping:
                self.close()  # was asked to within the turn
            if self.nesting.looked and not self._depth:
                self.nesting.forget()
        return worked or (self._closing and not self._depth)

    def wait_for(self, fds: list[int], timeout: float | None) -> None:
        """Wait within a request, or for an answer, and miss nothing meanwhile.

        Parameters
        ----------
        fds : list of int
            What to wait for, besides what `serve_ready` may be called for.
        timeout : float or None
            Seconds to wait at most; None waits for ever.
        """
        wait_readable([*fds, *self.fds()], timeout)

    def serve_until_closed(self) -> None:
        """Serve, and wait, and serve, until the server is asked to close."""
        if not self.begin_looping():
            return
        try:
            self.runtime.begins_to_loop(self)
            listener = self.listener
            while True:
                if listener.closed:
                    break
                worked = self.serve_ready(TURN)
                if not (self._closing or (worked and self._items)):
                    listener.wait(self.timers.due_in() if self.timers.heap else None)
        except zmq.ZMQError:
            # One that began while Python ends was not asked to close, like the others.
            if not self.runtime.closed:
                raise
        finally:
            self.end_looping()

    def begin_looping(self) -> bool:
        """Leave closing to the current thread from now on; whether it is not too late for that."""
        with self._lock:
            self._looping = not self.listener.closed
            return self._looping

    def end_looping(self) -> None:
        """Close, since the current thread serves no longer."""
        self._looping = False
        self.runtime.ends_to_loop(self)
        self.close()

    def nested(self) -> bool:
        """Whether requests are carried out within another one."""
        return self._depth > 1

    # -- while it is busy: from any thread -------------------------------------

    def attends(self) -> bool:
        """Whether its thread would see at once to what comes."""
        return self._looping and self.doing.request is None and self.timers.current is None

    def look_for_urgent(self) -> None:
        """See to urgent requests if the server's thread does not, being busy."""
        if not self.attends():
            self.look_again()

    def _look_about(self) -> None:
        """Take in what has come over the socket, and see to what does not wait for its turn."""
        self._take_in()
        if self._excess:
            self._reception.turn_away()
        if self.tasks is not None:
            self.tasks.cancel_withdrawn()

    def look_again(self) -> None:
        """Take in what has come over the socket, and have the server's thread see to the rest.

        Sending may have swallowed the sign that something has come: if nobody looked, an
        urgent request would wait until the server's thread is through with all others.
        """
        self._take_in()
        self.listener.wake_for_rest()

    def _take_in(self) -> None:
        self.listener.look_for_urgent()
        while self.listener.inbox.urgent:
            self.answer_urgent()  # which sends as well
            self.listener.look_for_urgent()

    def answer_urgent(self) -> None:
        """Answer the urgent requests that have come."""
        urgent = self.listener.inbox.urgent
        while urgent:
            try:
                connection, request = urgent.popleft()
            except IndexError:  # another thread took the last one
                return
            answer_urgent(self, connection, request)

    def status(self) -> dict[str, object]:
        """Return what the server is doing, for `RPCClient.status`."""
        return describe_running(self.doing, self.dispatcher, self.tasks, self.timers)

    def stats(self) -> ServerStats:
        """Return what this server has done so far, and what it has now; from any thread.

        Returns
        -------
        ServerStats

        See Also
        --------
        RPCClient.server_stats : The same, of another process's server.

        Examples
        --------
        >>> server = RPCServer()
        >>> server["answer"] = 42
        >>> server.stats().published
        1
        >>> server.close()
        """
        return stats_of(self)

    def interrupt(self, only: tuple[str, int] | None = None) -> bool:
        """Raise `KeyboardInterrupt` in what is being carried out; whether anything is.

        Parameters
        ----------
        only : tuple, optional
            A peer and the id of a request of that: nothing else is interrupted.
        """
        thread, request = self._thread, self.doing.request
        if thread is None:
            return False
        if self.tasks is not None:
            is_idle = request is None or request.action in URGENT
            if (is_idle or only is not None) and self.tasks.interrupt(only):
                return True
            if is_idle:
                return False
        if thread.is_current() and not self.doing.waits:
            return False
        found = self.doing.interrupt(thread.ident, only)
        thread.waker.wake()  # if it waits, it has to look
        if self.doing.unseen:
            self._insist(thread.ident, INSISTING)
        return found

    def _insist(self, ident: int, after: float) -> None:
        """Interrupt again, and again, if the signal is missed."""

        def look() -> None:
            if self.doing.insist(ident):
                self._insist(ident, min(2 * after, 5.0))

        self.runtime.watcher.do(look, after)

    # -- timers, and the end ---------------------------------------------------

    def start_timer(self, callback: Callable[..., Any], interval: float, **kwds: Any) -> Timer:
        """Call back at regular intervals, in the server's thread.

        Calls do not overlap: one that is due while another runs comes after
        it, and starts that were missed are left out.

        Parameters
        ----------
        callback : callable
            A proxy, or something that may be called in the server's thread.
        interval : float
            Seconds from the start of one call to the start of the next.
        **kwds
            Given to the callback; for a proxy ``_sync='off'``, for example.

        Returns
        -------
        Timer
            Its ``stop()`` ends the calls.
        """
        timer = self.timers.start(callback, interval, kwds)
        self.listener.wake()
        return timer

    def running(self) -> bool:
        """Whether the server has not been closed."""
        return not (self._closing or self.listener.closed)

    def close(self) -> None:
        """Ask the server to close; from any thread, at any time.

        A request that is being carried out is finished and answered first.
        All clients are told, and have two seconds for reading what they were sent. An
        event loop goes on meanwhile; else this waits for them.
        """
        ends = False
        try:
            with self._lock:
                if self.listener.closed:
                    return
                self._closing = True
                self.listener.wake()
                if self._depth or self._looping:
                    return  # the server's own thread will
                ends = True
                self._close_listener()
            self._let_go()
        except BaseException:  # an interrupt
            if ends:
                self._let_go()
            raise
        self._await_end()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the server has closed; whether it has.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.
        """
        return self.listener.wait_closed(timeout)

    def _close_listener(self) -> None:
        self.runtime.links.server_closed(self.link)
        self.listener.close()

    def _await_end(self) -> None:
        """Wait for clients that are slow to read, where nothing else is to go on here."""
        if not (self.listener.wait_closed(0) or self.runtime.waits_itself()):
            self.listener.wait_closed(SERVER_GRACE)

    def _let_go(self) -> None:
        """Forget all objects, which may run code of the user's."""
        self.timers.clear()
        self.unregister_server(self)
        self.listener.inbox.clear()
        self.dispatcher.names.clear()
        self.table.clear()
