"""What one process holds of all this: its threads, servers and I/O thread, and its end.

There is one `Runtime` in a process, `current()`. It is made anew in the child
of a fork, and a test may `reset` it. Whatever lives longer than a call hangs
on it. It has the package's only exit hooks, but for that of a running `QtRPCServer`,
which has to close before Qt takes down the application.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import zmq
import zmq.utils.garbage  # its exit hook has to come after ours: frames in flight are freed there

from ..errors import ServerDisconnected
from ..late_logging import getLogger
from ..transport.sockets import LINGER
from ..transport.stream import Stream
from .keyring import KeyRing
from .lingering import Lingering
from .main_thread import call_at_its_end
from .thread_state import ThreadEnd, ThreadState
from .unsent import Unsent

if TYPE_CHECKING:
    from .channel import Channel
    from .client import RPCClient
    from .hooks import Hook
    from .lingering import Ending
    from .listener import Listener
    from .server import ServerCore
    from .watcher import Watcher

T = TypeVar("T")

__all__ = ["Runtime", "current", "reset"]


ROADS_VARIABLE = "PYACQ_RPC_ROADS"
"""Environment variable: with ``zmq`` nothing takes the direct road."""

SERVER_GRACE = LINGER / 1000 + 1.0
"""Seconds that servers have at exit for finishing what they are doing, and for closing."""

_log = getLogger(__name__)


class Runtime:
    """Everything of this process that is shared between threads."""

    def __init__(self) -> None:
        from .links import Links  # here: a link asks for the `current` runtime

        self.pid = os.getpid()
        self.lock = threading.RLock()
        self._local = threading.local()
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._watcher: Watcher | None = None
        self.direct = os.environ.get(ROADS_VARIABLE, "all") != "zmq"
        self.unsent = Unsent()
        self.lingering = Lingering()
        self.callbacks: ServerCore | None = None
        # Its own lock, since whoever holds it waits for another thread.
        self._callbacks_lock = threading.Lock()
        self._serving: dict[weakref.ref[ServerCore], Listener] = {}
        self._looping: set[ServerCore] = set()
        self._at_exit: list[Callable[[], None]] = []
        self._threads: weakref.WeakSet[ThreadState] = weakref.WeakSet()
        self._attached: dict[Any, Any] = {}
        self.thread_hooks: list[Callable[[ThreadState], None]] = []  # called in each new thread
        self.waiting: set[object] = set()  # who waits for an answer now
        self.half_made: set[Channel] = set()  # that have not begun, or were interrupted before
        self.request_ids = itertools.count(1)
        self.outgoing_hooks: tuple[Hook, ...] = ()
        self.incoming_hooks: tuple[Hook, ...] = ()
        self._opening = threading.RLock()  # a collection within may come back here
        self._closing = False
        self.closed = False
        self.keys = KeyRing(self)
        self.links = Links(self)

    @contextlib.contextmanager
    def opening(self, to_serve: bool = False) -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
        """Give whoever makes sockets the process's zmq context, which is not ended meanwhile.

        By the end of this it has to be known whose they are, so that he closes them. At exit
        nobody opens any, whose use would bring the process down: daemon threads still run then.

        Parameters
        ----------
        to_serve : bool
            Whether others are to connect to them, of whom nobody is let in at exit.

        Raises
        ------
        ServerDisconnected
            If the process is ending.
        """
        with self._opening:
            if self.closed or (to_serve and self._closing):
                raise ServerDisconnected(
                    "this program is ending, and opens no connections any more"
                )
            with self.lock:
                if self._context is None:
                    self._context = zmq.Context()
                    self._context.set(zmq.MAX_SOCKETS, _max_sockets())
            yield self._context

    def thread(self) -> ThreadState:
        """Return the calling thread's state."""
        try:
            state: ThreadState = self._local.end.state
        except AttributeError:
            state = ThreadState()
            with self.lock:
                self._threads.add(state)
            self._local.end = ThreadEnd(state, self._thread_ended)
            for hook in self.thread_hooks:
                hook(state)
        return state

    def end_thread(self) -> None:
        """Close what the current thread has, which is about to end."""
        with contextlib.suppress(AttributeError):
            del self._local.end

    def client_at(self, address: str) -> RPCClient:
        """Return the current thread's client of the server there, made if needed."""
        from .client import RPCClient

        client = self.thread().clients.get(address)
        return client if client is not None and not client.closed() else RPCClient(address)

    @property
    def watcher(self) -> Watcher:
        """The I/O thread, started when first needed."""
        if self._watcher is not None:
            return self._watcher  # without the lock: ``Lease.__del__`` comes here
        with self.lock:
            if self._watcher is None:
                from .watcher import Watcher

                self._watcher = Watcher(self)
            return self._watcher

    def attend(self, stream: Stream, lock: threading.RLock) -> None:
        """Have the I/O thread flush a stream from now on when its owner has gone on."""
        stream.on_full = partial(self._flush_later, stream, lock)
        stream.on_soon = partial(self._flush_soon, stream, lock)

    def _flush_later(self, stream: Stream, lock: threading.RLock) -> None:
        self.unsent.add(stream, lock)
        self._poke_watcher()

    def _flush_soon(self, stream: Stream, lock: threading.RLock) -> None:
        try:
            if self.unsent.add_soon(stream, lock):
                self._poke_watcher(soon=True)
        except BaseException:  # an interrupt: nobody else would tell it any more
            self._poke_watcher()
            raise

    def close_stream(self, stream: Stream, lock: threading.RLock) -> None:
        """Close a stream when all is out; its lock is held."""
        if stream.flush():
            stream.close()
        else:
            self.unsent.add(stream, lock, ends=True)
            self._poke_watcher()

    def linger(self, ending: Ending) -> None:
        """Have the I/O thread see to it that something comes to its end."""
        self.lingering.add(ending)
        self._poke_watcher()

    def waits_itself(self) -> bool:
        """Whether the current thread must not wait for what lingers: the I/O thread, or at exit."""
        return self._closing or (self._watcher is not None and self._watcher.is_current())

    def _poke_watcher(self, soon: bool = False) -> None:
        # At exit no thread can be started any more; then `close` sees to it.
        if self._watcher is not None or not self._closing:
            self.watcher.poke(soon)

    def exporter(self, state: ThreadState) -> ServerCore:
        """Return the server that exports the objects of a thread.

        A thread without a server gets the process's callback server, whose
        calls run in a thread of its own.
        """
        if state.server is not None and state.server.running():
            return state.server
        with self._callbacks_lock:
            if self.callbacks is None or not self.callbacks.running():
                from .background import start_background

                self.callbacks = start_background("callbacks")
            return self.callbacks

    def serving(self, server: ServerCore) -> None:
        """Remember a server, which has to be closed at exit or when it is dropped."""

        def dropped(reference: weakref.ref[ServerCore]) -> None:
            listener.close()
            self._serving.pop(reference, None)

        listener = server.listener
        with self.lock:
            self._serving[weakref.ref(server, dropped)] = listener

    def serves(self, address: str) -> bool:
        """Whether a server of this process listens there."""
        # A copy, made in one step: servers may be dropped at any time, in any thread.
        return any(listener.address == address for listener in list(self._serving.values()))

    def begins_to_loop(self, server: ServerCore) -> None:
        """A server begins to serve in the current thread until it is closed.

        If Python waits for this thread at exit, that server has to be closed
        when the main thread has ended; nobody else might do it.
        """
        thread = threading.current_thread()
        if thread.daemon or thread is threading.main_thread():
            return
        with self.lock:
            self._looping.add(server)
        if not _main_thread_is_watched():
            server.close()

    def ends_to_loop(self, server: ServerCore) -> None:
        """A server has ceased to serve."""
        with self.lock:
            self._looping.discard(server)

    def close_looping(self) -> None:
        """Ask all servers that Python waits for to close."""
        with self.lock:
            looping = list(self._looping)
        for server in looping:
            server.close()

    def attachment(self, kind: Callable[[Runtime], T]) -> T:
        """Return the one object of this kind that belongs to this runtime.

        Other packages keep here what they have once in a process. A method
        ``abandon`` is called in the child of a fork.
        """
        with self.lock:
            if kind not in self._attached:
                self._attached[kind] = kind(self)
            found: T = self._attached[kind]
            return found

    def at_exit(self, hook: Callable[[], None]) -> None:
        """Have `hook` called at exit, before any socket is closed."""
        with self.lock:
            self._at_exit.append(hook)

    def close(self) -> None:
        """End everything, in the order in which it was built upon."""
        with self.lock:
            hooks, self._at_exit = self._at_exit, []
        for hook in reversed(hooks):
            try:
                hook()
            except Exception:  # noqa: BLE001  # the others have to end as well
                _log.exception("an exit hook failed: %r", hook)
        with self._opening:
            self._closing = True
        # Clients first: those of our own servers then end without lingering.
        self.links.close_clients()
        serving = list(self._serving.items())
        for reference, listener in serving:
            server = reference()
            (listener if server is None else server).close()
            del server
        if self._watcher is None:
            self.lingering.finish()
        deadline = time.monotonic() + SERVER_GRACE
        stuck = [
            reference()
            for reference, listener in serving
            if not listener.wait_closed(max(0.0, deadline - time.monotonic()))
        ]
        if stuck:
            _log.warning("left open at exit, busy in a call: %s", stuck)
        with self._opening:
            self.closed = True
        if self._watcher is not None:
            last = self.links.close_clients if stuck else self._end_context
            self._watcher.stop(last, timeout=2 * LINGER / 1000 + 1.0)
        elif not stuck:
            self._end_context()
        with self.lock:
            threads = list(self._threads)
        for thread in threads:
            thread.close()

    def _end_context(self) -> None:
        """Wait until what was sent is out, `LINGER` at most."""
        self.links.close_clients()
        for channel in list(self.half_made):
            channel.drop()
        self.keys.close()
        self.unsent.flush_soon()
        self.unsent.finish(LINGER / 1000)
        self.lingering.finish()
        if self._context is not None:
            # Closes what somebody has left open, too: waiting for that would
            # take for ever.
            self._context.destroy(linger=LINGER)
            self._context = None

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        self.links.abandon()
        for listener in list(self._serving.values()):
            listener.abandon()
        for attached in self._attached.values():
            if hasattr(attached, "abandon"):
                attached.abandon()

    def _thread_ended(self, state: ThreadState) -> None:
        if self.pid != os.getpid():
            return
        clients = list(state.made)
        server = state.server
        state.close()
        if self.closed:
            return
        if server is not None:
            server.close()
        for client in clients:
            client.thread_ended()


def _max_sockets() -> int:
    """Return as many as there can be descriptors for, and little more.

    A client or a server has three, and takes four descriptors at least. The
    default would be the limit long before the descriptors are; and zmq makes
    the room at once, which would be much of what a small process takes.
    """
    most = 65_000
    descriptors = os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 0
    return min(most, descriptors * 3 // 4) if descriptors > 0 else most


_current: Runtime | None = None
_abandoned: list[Any] = []
_parent: Runtime | None = None  # where this is the child of a fork, until there is a runtime
_make_lock = threading.Lock()
_main_thread_watched = False
_main_thread_ended = False


def current() -> Runtime:
    """Return the runtime of this process."""
    global _current, _parent
    runtime = _current
    if runtime is None:
        with _make_lock:
            if _current is None:
                runtime = Runtime()
                if _parent is not None:
                    # They may have been added by a module that is not imported once more.
                    runtime.outgoing_hooks = _parent.outgoing_hooks
                    runtime.incoming_hooks = _parent.incoming_hooks
                    _parent = None
                _current = runtime
            runtime = _current
    return runtime


def reset() -> None:
    """Close everything that this process has open, and begin anew.

    For tests; a program ends by itself.
    """
    global _current, _parent
    if _current is not None:
        _current.close()
    _current = _parent = None


def _main_thread_is_watched() -> bool:
    """See to it that servers are closed at its end; False if it has ended already."""
    global _main_thread_watched, _main_thread_ended
    with _make_lock:
        if not _main_thread_watched:
            # As late as this, since the last to register is called first: the
            # threads of executors are waited for in such a call.
            _main_thread_watched = True
            _main_thread_ended = not call_at_its_end(_close_looping)
    return not _main_thread_ended


def _close_looping() -> None:
    global _main_thread_ended
    _main_thread_ended = True  # for those that begin only now
    if _current is not None and _current.pid == os.getpid():
        _current.close_looping()


def _close_at_exit() -> None:
    if _current is not None and _current.pid == os.getpid():
        _current.close()


def _after_fork_in_child() -> None:
    # The parent's sockets and threads do not exist here; not even closing them
    # would be safe. Keeping the old runtime alive keeps it from trying.
    global _current, _parent, _make_lock
    _make_lock = threading.Lock()
    old, _current = _current, None
    if old is not None:
        _parent = old
        _abandoned.append(old)
        old.abandon()


atexit.register(_close_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
