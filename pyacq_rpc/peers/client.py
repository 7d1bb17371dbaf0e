"""`RPCClient`: one thread's connection to one server.

Who reads the socket. The thread that waits for an answer reads it itself, so
that no other thread has to wake up first; when nobody waits, the I/O thread
(`watcher.py`) reads what arrives, so that futures complete by themselves.
"""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..errors import CallTimeout, ProtocolError, ServerDisconnected
from ..session.proxy import NO_TIMEOUT_GIVEN, Lease, ObjectProxy
from ..session.remote_errors import rebuild
from ..transport.sockets import clean_address
from ..transport.waiting import wait_readable
from ..wire import messages
from ..wire.codecs import codec_named, codec_of
from ..wire.messages import Failure, Goodbye, Reference, Request, Result, Welcome
from ..wire.values import Undecodable
from .channel import Channel
from .exchange import Outgoing, refuse, resolve
from .future import Future
from .pending import Pending, PendingRequests
from .runtime import current

__all__ = ["DEFAULT_TIMEOUT", "RPCClient"]

_log = logging.getLogger(__name__)

DEFAULT_TIMEOUT = 10.0
"""Seconds that a synchronous call waits unless told otherwise."""


class RPCClient:
    """Connection of the current thread to an `RPCServer`.

    Clients are made when they are needed, by `ProcessSpawner` or by using a
    proxy. A thread has one for each address; `get_client` returns it. Making
    one does not wait for the server: see `ensure_connection`.

    Parameters
    ----------
    address : str or bytes
        Address of the server, such as ``'tcp://127.0.0.1:5000'``.
    reentrant : bool
        Whether the server of this thread, if any, goes on serving while the
        client waits for an answer. Without it, two servers that call each
        other would wait for ever.
    serializer : {'msgpack', 'json'}
        How messages are written.

    Raises
    ------
    ValueError
        If the address or the serializer is none.

    Examples
    --------
    >>> server = start_background("example")
    >>> client = RPCClient(server.address)
    >>> client["answer"] = 42
    >>> client["answer"]
    42
    >>> math = client._import("math")
    >>> math.sqrt(2, _sync="async").result()
    1.4142135623730951
    """

    def __init__(
        self, address: str | bytes, reentrant: bool = True, serializer: str = "msgpack"
    ) -> None:
        self.address = clean_address(address)
        self.reentrant = reentrant
        self.timeout: float | None = DEFAULT_TIMEOUT
        self.server_id: str | None = None
        self._runtime = current()
        self._thread = self._runtime.thread()
        self._codec = codec_named(serializer)
        self._ids = itertools.count(1)
        self._pending = PendingRequests()
        self._waiting = 0
        self._armed = False
        self.channel = Channel(self._runtime, self.address, self._codec, self)
        self._thread.made.add(self)
        known = self._thread.clients.get(self.address)
        if known is None or known.closed():
            self._thread.clients[self.address] = self
        self._runtime.opened(self)

    @staticmethod
    def get_client(address: str | bytes) -> RPCClient | None:
        """Return this thread's client of the server at `address`.

        It is made if there is none yet. If that server runs in this very
        thread, there is nothing to connect to and None is returned.
        """
        address = clean_address(address)
        runtime = current()
        server = runtime.thread().server
        if server is not None and server.address == address:
            return None
        return runtime.client_at(address)

    def __repr__(self) -> str:
        state = "disconnected" if self.channel.gone else "closed" if self.closed() else "open"
        return f"<RPCClient of {self.address}, {state}>"

    # -- the actions -------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        return self.send("get_item", {"name": name})

    def __setitem__(self, name: str, value: Any) -> None:
        self.send("set_item", {"name": name, "value": value}, sync="sync")

    def call_obj(
        self,
        obj: ObjectProxy,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        **kwds: Any,
    ) -> Any:
        """Call a remote object.

        Parameters
        ----------
        obj : ObjectProxy
            What to call.
        args : tuple, optional
        kwargs : dict, optional
        **kwds
            Passed to `send`.
        """
        opts = {"obj": obj._target, "args": list(args or ()), "kwargs": dict(kwargs or {})}
        return self.send("call_obj", opts, holding=obj._lease, **kwds)

    def get_obj(self, obj: ObjectProxy, **kwds: Any) -> Any:
        """Return a copy of a remote object, or a proxy if it has no value form.

        Parameters
        ----------
        obj : ObjectProxy
        **kwds
            Passed to `send`.
        """
        return self.send("get_obj", {"obj": obj._target}, holding=obj._lease, **kwds)

    def transfer(self, obj: Any, **kwds: Any) -> Any:
        """Send an object to the server and return a proxy to it there.

        Parameters
        ----------
        obj : object
            Travels by value if it has a value form.
        **kwds
            Passed to `send`.
        """
        return self.send("transfer", {"obj": obj}, **{"return_type": "proxy", **kwds})

    def delete(self, obj: ObjectProxy, **kwds: Any) -> Any:
        """Revoke the reference of a proxy.

        The proxy and every copy of it, in other processes too, can no longer
        be used. A reference to the same object that was acquired independently
        remains good. Proxies that are merely dropped need no `delete`.

        Parameters
        ----------
        obj : ObjectProxy
        **kwds
            Passed to `send`.
        """
        opts = {"obj_id": obj._obj_id, "ref_id": obj._ref_id}
        return self.send("delete", opts, **kwds)

    def _import(self, module: str, **kwds: Any) -> Any:
        """Import a module over there and return a proxy to it."""
        return self.send("import", {"module": module}, **kwds)

    def ping(self, sync: str = "sync", **kwds: Any) -> Any:
        """Return ``'pong'`` from the server."""
        return self.send("ping", sync=sync, **kwds)

    def measure_clock_diff(self, rounds: int = 10) -> float:
        """Measure how far the server's clock is ahead of this one.

        Parameters
        ----------
        rounds : int
            Number of requests; the one that was answered soonest counts.

        Returns
        -------
        float
            In seconds, right within half of that round trip (Cristian 1989).
        """
        best = (float("inf"), 0.0)
        for _ in range(rounds):
            before = time.time()
            start = time.perf_counter()
            theirs = self.send("time")
            took = time.perf_counter() - start
            best = min(best, (took, theirs - (before + took / 2)))
        return best[1]

    def close_server(self, sync: str = "sync", timeout: float | None = 1.0, **kwds: Any) -> Any:
        """Ask the server to close.

        All of its clients are told that it has.

        Returns
        -------
        bool
            True if it has closed, or had before.
        """
        if self.disconnected():
            return True
        try:
            return self.send("close", sync=sync, timeout=timeout, **kwds)
        except ServerDisconnected:
            return True

    # -- sending -----------------------------------------------------------

    def send(
        self,
        action: str,
        opts: dict[str, Any] | None = None,
        return_type: str | None = None,
        sync: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
        holding: object = None,
    ) -> Any:
        """Send a request. There is a method for each action; this serves all.

        Parameters
        ----------
        action : str
            One of the keys of `pyacq_rpc.wire.messages.ACTIONS`.
        opts : dict, optional
            The options of the action, as listed there.
        return_type : {'auto', 'proxy', 'value'}
            By value where there is a value form, else by proxy (the default);
            or insist.
        sync : {'sync', 'async', 'off'}
            Wait for the result (the default); return a `Future` at once; or
            return None at once and have no answer sent.
        timeout : float or None
            Seconds to wait for the answer, 10 if not given; None: for ever.
        holding : object
            Kept alive until the request has arrived.

        Returns
        -------
        object
            The result, or a `Future`, or None.

        Raises
        ------
        ServerDisconnected
            If the server is gone.
        CallTimeout
            If no answer came in time; the client remains good, and the late
            answer is dropped.
        SerializationError
            If an argument can travel neither by value nor by proxy.
        """
        if sync not in (None, "sync", "async", "off"):
            raise ValueError(f"sync is one of sync, async, off; not {sync!r}")
        self._check_usable()
        outgoing = Outgoing(self._runtime, self._thread, self.server_id, None)
        reply = "off" if sync == "off" else return_type or "auto"
        request = Request(next(self._ids), action, reply, opts or {})
        future = None if sync == "off" else Future(self, request.id)
        try:
            frames = self._codec.encode(request, outgoing.refer)
            if future is not None:
                self._pending.add(request.id, Pending(future, outgoing, holding))
            self.channel.send(frames)
        except BaseException:
            self._pending.discard(request.id)
            outgoing.undo()
            raise
        if future is None:
            if outgoing.leases or outgoing.grants or self._is_foreign(holding):
                self._hold_until_arrived(outgoing, holding)
            return None
        if sync == "async" or self._runtime.watcher.is_current():
            self._arm()
        if sync == "async":
            return future
        try:
            self.process_until_future(
                future, self.timeout if timeout == NO_TIMEOUT_GIVEN else timeout
            )
        except BaseException:
            self._pending.abandon(request.id)  # its late answer is dropped
            raise
        try:
            return future.result(0)
        finally:
            del future  # breaks the same cycle as in `Future.result`

    def _check_usable(self) -> None:
        if self._runtime is not current():
            raise ServerDisconnected(
                f"this client of {self.address} was made before a fork or a reset"
            )
        if self.closed():
            raise self.channel.reason()
        if not self._thread.is_current():
            raise RuntimeError(
                f"this client of {self.address} belongs to another thread;"
                " get this thread's own with RPCClient.get_client(address)"
            )

    def _is_foreign(self, lease: object) -> bool:
        return isinstance(lease, Lease) and lease.home is not self.channel

    def _hold_until_arrived(self, outgoing: Outgoing, holding: object) -> None:
        """Keep what a request without an answer refers to until it is there.

        The server takes our messages in order: once it answers the next one,
        it has had that request too.
        """
        ping = Request(next(self._ids), "ping", "ack", {})
        self._pending.add(ping.id, Pending(None, outgoing, holding))
        self.channel.send(self._codec.encode(ping, refuse))
        self._arm()

    def _arm(self) -> None:
        """Have the I/O thread read the channel while nobody else does."""
        if not self._armed:
            self._armed = True
            self._runtime.watcher.poke()

    # -- receiving: see `channel.Receiver` -------------------------------------

    def receive(self, frames: list[Any]) -> Callable[[], object] | None:
        """Decode one message, and return what has to be done about it."""
        try:
            return self._effect_of(frames)
        except Exception:  # noqa: BLE001  # one bad message must not lose the others
            _log.exception("%r: a message could not be taken in", self)
            return None

    def received(self) -> None:
        """Something was done: if the owner waits, it has to look again."""
        if self._waiting and not self._thread.is_current():
            self._thread.waker.wake()

    def process_msg(self, msg: list[Any]) -> None:
        """Take in one message of the server: give its future what it brings.

        Parameters
        ----------
        msg : list of zmq.Frame
            The frames of the message.
        """
        effect = self._effect_of(msg)
        if effect is not None:
            effect()

    def lost(self, error: ServerDisconnected) -> None:
        """The server is gone: everything that waits for it fails."""
        if self.server_id is not None:
            self._runtime.server_gone(self.address, self.server_id)
        self._leave_thread()
        self._fail_pending(error)

    def unattended(self) -> bool:
        """Whether answers are to come and nobody waits for them here."""
        if not self._armed or self._waiting:
            return False
        if not self._pending:
            self._armed = False
            # A request that was sent just now has found itself armed.
            self._armed = bool(self._pending)
        return self._armed

    def _effect_of(self, frames: list[Any]) -> Callable[[], object] | None:
        try:
            buffers = [frame.buffer for frame in frames]
            message = codec_of(buffers).decode(buffers, self._resolve)
        except Undecodable as undecodable:
            message = undecodable.partial
            if isinstance(message, Result):
                return self._answer(message.id, None, undecodable.error)
        except ProtocolError as error:
            _log.error("%r: dropped a malformed message: %s", self, error)
            return None
        if isinstance(message, Result):
            return self._answer(message.id, message.value, None)
        if isinstance(message, Failure):
            return self._effect_of_failure(message)
        if isinstance(message, Welcome):
            self.server_id = message.server
        elif isinstance(message, Goodbye):
            return partial(self.channel.lose, f"has closed ({message.reason})")
        else:
            _log.error("%r: a server does not send %s", self, type(message).__name__)
        return None

    def _effect_of_failure(self, failure: Failure) -> Callable[[], object] | None:
        if failure.id is not None:
            if failure.code == "withdrawn":
                return partial(self._pending.withdrawn, failure.id)
            return self._answer(failure.id, None, rebuild(failure))
        if failure.code == "stranger":
            return partial(self.channel.lose, "has been replaced by another one")
        if self.server_id is None:
            return partial(self.channel.lose, f"has refused this client: {failure.message}")
        _log.error("%r: the server could not read a message: %s", self, failure.message)
        return None

    def _answer(
        self, request_id: int, value: Any, error: Exception | None
    ) -> Callable[[], object] | None:
        if self._pending.answered(request_id) is None:
            return None
        return partial(self._pending.complete, request_id, value, error)

    def _resolve(self, reference: Reference) -> object:
        owner = self._thread.server or self._runtime.callbacks
        return resolve(self._runtime, owner, self.channel, reference)

    # -- waiting -----------------------------------------------------------

    def process_until_future(self, future: Future, timeout: float | None = None) -> None:
        """Take in messages until `future` is done.

        The server of this thread, if any, goes on serving meanwhile.

        Parameters
        ----------
        future : Future
        timeout : float or None
            In seconds; None waits for ever.

        Raises
        ------
        CallTimeout
            If it is not done by then.
        """
        if self._runtime.watcher.is_current():
            self._runtime.watcher.run_until(future, timeout)
            if not future.done():
                raise CallTimeout(self._describe_silence(timeout))
            return
        deadline = None if timeout is None else time.monotonic() + timeout
        thread = self._thread
        self._waiting += 1
        try:
            while True:
                self.channel.pump()
                if future.done():
                    return
                server = thread.server if self.reentrant else None
                if server is not None and server.serve_ready():
                    continue
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise CallTimeout(self._describe_silence(timeout))
                fds = [self.channel.fd, thread.waker.fd]
                if server is not None:
                    fds += server.fds()
                    due = server.timers.due_in()
                    if due is not None:
                        left = due if left is None else min(left, due)
                if thread.waker.fd in wait_readable(fds, left):
                    thread.waker.clear()
        finally:
            self._waiting -= 1
            if not self._waiting:
                # Meanwhile the I/O thread has left this channel alone.
                self._armed = False
                if self._pending:
                    self._arm()

    def wait_for(self, future: Future, timeout: float | None) -> None:
        """Wait for a future of this client, from whichever thread."""
        if self._thread.is_current():
            try:
                self.process_until_future(future, timeout)
            except CallTimeout:
                return
        elif self._runtime.watcher.is_current():
            self._runtime.watcher.run_until(future, timeout)
        else:
            concurrent.futures.wait([future], timeout)

    def _describe_silence(self, timeout: float | None) -> str:
        if self.server_id is None:
            return (
                f"no answer from {self.address} after {timeout} s, and no sign of a server"
                " there: either none is listening, or it has been busy all the time"
            )
        return f"no answer from the server at {self.address} after {timeout} s: it is busy"

    def cancel(self, request_id: int) -> None:
        """Withdraw a request if the server has not begun with it."""
        if self._pending.abandon(request_id):
            self.channel.note(messages.Cancel(request_id))

    # -- beginning and end -------------------------------------------------

    def ensure_connection(self, timeout: float | None = 1.0) -> None:
        """Wait until the server has answered.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.

        Raises
        ------
        CallTimeout
            If it has not by then: there is none, or it is busy.
        ServerDisconnected
            If it is gone.
        """
        self.ping(timeout=timeout)

    def disconnected(self) -> bool:
        """Whether the server is gone, or this client closed."""
        if not self.closed() and self._thread.is_current():
            self.channel.pump()
            self.channel.check_monitor()
        return self.closed()

    def closed(self) -> bool:
        """Whether this client can no longer be used."""
        return self.channel.closed

    def welcomed(self) -> bool:
        """Whether the server has answered the hello."""
        self.channel.pump()
        return self.server_id is not None

    def close(self) -> None:
        """Close this connection; the server stays.

        Calls that wait for an answer get `ServerDisconnected`. A later use of
        a proxy makes a new client.
        """
        if self.channel.close():
            self._leave_thread()
            self._fail_pending(self.channel.reason())

    def _leave_thread(self) -> None:
        self._thread.made.discard(self)
        if self._thread.clients.get(self.address) is self:
            del self._thread.clients[self.address]

    def thread_ended(self) -> None:
        """The thread of this client is gone: close it as soon as that is safe."""
        if self.depended_on():
            self._runtime.watcher.retire(self)
        else:
            self.close()

    def depended_on(self) -> bool:
        """Whether answers are to come, or leases are held through this client."""
        return bool(self._pending) or self.channel.live_leases() > 0

    def has_pending(self) -> bool:
        """Whether answers are to come."""
        return bool(self._pending)

    def _fail_pending(self, error: ServerDisconnected) -> None:
        self._pending.fail_all(error)
        if self._waiting:
            self._thread.waker.wake()
