"""`ServerCore`: what every server does, whichever loop turns it.

A turn takes all messages from the socket into a queue, and carries out the
first request. A request that waits for an answer lets further turns happen
within it; that is how calls re-enter. All of this happens in the one thread
that the server belongs to; only `close`, `get_proxy` and the table of objects
may be used from others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import zmq

from ..errors import ProtocolError, RPCError
from ..session.dispatch import Dispatcher, UserError
from ..session.leases import ObjectTable, new_token
from ..session.policy import Policy, Trusted
from ..session.proxy import Lease, ObjectProxy
from ..session.remote_errors import describe, failure_of_error
from ..transport.monitor import Monitor, source_descriptor
from ..transport.sockets import FrameSocket, bind_router, clean_address, endpoint
from ..transport.waiting import Waker, wait_readable
from ..wire import messages
from ..wire.codecs import Codec, codec_named, codec_of
from ..wire.messages import Failure, Hello, Message, Reference, Request, Result, Target
from ..wire.values import Undecodable
from .connection import Connection, Connections
from .exchange import Outgoing, reference_to, refuse, resolve
from .inbox import Inbox
from .local import LOCAL, LocalClient, LocalHome
from .runtime import ServerLink, ThreadState, current
from .timers import Timer, Timers

__all__ = ["ServerCore", "start_background"]

_log = logging.getLogger(__name__)

GRANT_GRACE = 60.0
"""Seconds that the grants of a process outlive it, for a slow receiver."""


class ServerCore:
    """Serves the objects of one thread over one socket.

    Parameters
    ----------
    address : str or bytes
        Where to listen; ``*`` for the port takes any that is free.
    name : str, optional
        What the server is called in logs and error messages.
    policy : Policy, optional
        Decides what peers may do.

    Attributes
    ----------
    address : str
        Where clients reach the server.
    server_id : str
        Names this incarnation; no other server will ever have it.

    Raises
    ------
    OSError
        If it cannot listen there.
    """

    def __init__(
        self,
        address: str | bytes = "tcp://127.0.0.1:*",
        name: str | None = None,
        policy: Policy | None = None,
    ) -> None:
        self._runtime = current()
        self._lock = threading.RLock()
        self._socket = bind_router(self._runtime.context, clean_address(address))
        self.address = endpoint(self._socket)
        self.name = name or f"server-{self.address.rpartition(':')[2]}"
        self.server_id = new_token()
        self._fd = int(self._socket.fd)
        self._monitor = Monitor(self._socket)
        self._waker = Waker()
        self.table = ObjectTable()
        self.timers = Timers()
        self.dispatcher = Dispatcher(self.table, policy or Trusted(), self.close)
        self.link: ServerLink = self._runtime.link(self.address, self.server_id)
        self._connections = Connections()
        self._frames = FrameSocket(self._socket)
        self._inbox = Inbox(self._frames, self._monitor, self._connections)
        self._thread: ThreadState | None = None
        self._depth = 0
        self._looping = False
        self._closing = False
        self._closed = threading.Event()
        self._local = LocalClient(self)
        self._home = LocalHome(self)
        self._runtime.opened(self)

    def __repr__(self) -> str:
        state = "closed" if self._closed.is_set() else "open"
        return f"<{type(self).__name__} {self.name} at {self.address}, {state}>"

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
        if thread.server is srv or srv._closed.is_set():
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

    # -- published names and proxies -----------------------------------------

    def __getitem__(self, name: str) -> Any:
        return self.dispatcher.names[name]

    def __setitem__(self, name: str, obj: Any) -> None:
        self.dispatcher.names[name] = obj

    def __delitem__(self, name: str) -> None:
        del self.dispatcher.names[name]

    def get_proxy(self, obj: Any, **kwds: Any) -> ObjectProxy:
        """Return a proxy of a local object, to be sent to any other node.

        Parameters
        ----------
        obj : object
        **kwds
            Options of the proxy, as for ``ObjectProxy._set_proxy_options``.
        """
        ref = self.table.open(obj, LOCAL)
        reference = reference_to(self, obj, ref, "")
        proxy = ObjectProxy(reference, self.link, Lease(ref, self._home))
        if kwds:
            proxy._set_proxy_options(**kwds)
        return proxy

    def unwrap_proxy(self, proxy: ObjectProxy) -> Any:
        """Return the local object that a proxy of this server stands for.

        Raises
        ------
        ValueError
            If the proxy is another server's.
        ReferenceReleased
            If its reference was deleted.
        """
        if proxy._link is not self.link:
            raise ValueError(f"{proxy!r} belongs to another server than {self!r}")
        try:
            return self.dispatcher.resolve(proxy._target)
        except UserError as wrapped:
            raise wrapped.error from None

    def offer(self, obj: object, token: str) -> str:
        """Make a reference to `obj` for whoever claims `token`."""
        return self.table.offer(obj, LOCAL, token)

    def withdraw(self, token: str) -> None:
        """Forget an offer that nobody will claim."""
        self.table.withdraw(LOCAL, token)

    def take_back(self, reference: Reference) -> object:
        """Return the object of a reference that has come home."""
        if reference.token:
            self.table.consume(reference.token)
        try:
            return self.dispatcher.resolve(Target(reference.ref, reference.attributes))
        except UserError as wrapped:
            raise wrapped.error from None

    # -- turns -----------------------------------------------------------------

    def fds(self) -> list[int]:
        """Descriptors that are readable when `serve_ready` may have work."""
        return [] if self._closed.is_set() else [self._fd, self._monitor.fd, self._waker.fd]

    def serve_ready(self) -> bool:
        """Do what can be done without waiting: one request, and what is due.

        Returns
        -------
        bool
            Whether anything was done; if not, one may wait for `fds`.
        """
        with self._lock:  # `close` must not come between the look and the turn
            if self._closed.is_set():
                return False
            ending = self._closing and not self._depth
            if ending:
                self._close_socket()
            else:
                self._waker.clear()
                self._depth += 1
        if ending:
            self._let_go()
            return True
        try:
            self.table.collect()
            with self._lock:
                self._inbox.fill()
            worked = self.timers.run_due()
            if self._inbox:
                identity, frames = self._inbox.pop()
                self._process(identity, frames)
                worked = True
        finally:
            self._depth -= 1
            if self._closing and not self._looping:
                self.close()  # was asked to within the turn
        return worked or (self._closing and not self._depth)

    def serve_until_closed(self) -> None:
        """Serve, and wait, and serve, until the server is asked to close."""
        with self._lock:
            if self._closed.is_set():
                return
            self._looping = True  # from now on, only this thread closes
        try:
            while not self._closed.is_set():
                if not self.serve_ready():
                    wait_readable(self.fds(), self.timers.due_in())
        finally:
            self._looping = False
            self.close()

    def process_action(
        self, action: str, opts: dict[str, Any], return_type: str, caller: object
    ) -> Any:
        """Carry out a single action, as for a request, and return the result.

        Parameters
        ----------
        action : str
            One of the keys of `pyacq_rpc.wire.messages.ACTIONS`.
        opts : dict
            Its options.
        return_type : {'auto', 'proxy'}
            With ``'proxy'`` the result is a proxy of it.
        caller : object
            Who asks; for subclasses that want to know.
        """
        try:
            result = self.dispatcher.run(action, opts)
        except UserError as wrapped:
            raise wrapped.error from None
        return self.get_proxy(result) if return_type == "proxy" else result

    def _process(self, identity: bytes, frames: list[zmq.Frame] | None) -> None:
        connection = self._connections.get(identity)
        if frames is None:
            if connection is not None:
                self._forget(connection)
            return
        try:
            buffers = [frame.buffer for frame in frames]
            codec = connection.codec if connection is not None else codec_of(buffers)
            message = codec.decode(buffers, self._resolve)
        except Undecodable as undecodable:
            request = undecodable.partial
            if connection is not None and isinstance(request, Request) and request.reply != "off":
                self._send(connection, self._describe(request.id, undecodable.error))
            else:
                _log.error("%r: dropped a message: %s", self, undecodable)
            return
        except ProtocolError as error:
            codec = connection.codec if connection is not None else codec_named("msgpack")
            self._refuse(identity, codec, error)
            return
        if connection is None:
            if isinstance(message, Hello):
                self._welcome(identity, codec, message, source_descriptor(frames[0]))
            else:
                stranger = Failure(None, "stranger", "", [], "say hello first", None, "")
                self._send_to(identity, codec.encode(stranger, refuse))
        elif not isinstance(message, Request):
            self._keep_books(connection, message)
        elif not connection.withdrawn(message.id):
            self._run_request(connection, message)
        elif message.reply != "off":
            withdrawn = Failure(message.id, "withdrawn", "", [], "withdrawn", None, "")
            self._send(connection, withdrawn)

    def _resolve(self, reference: Reference) -> object:
        return resolve(self._runtime, self, None, reference)

    def _welcome(self, identity: bytes, codec: Codec, hello: Hello, fd: int | None) -> None:
        if hello.version != messages.VERSION:
            error = ProtocolError(
                f"protocol version {hello.version} is not spoken here, but {messages.VERSION}"
            )
            self._refuse(identity, codec, error)
            return
        with self._lock:
            # A descriptor is used again as soon as it is free: the end of its
            # last connection has to be noted before its next one begins.
            self._inbox.look_at_monitor()
        connection = Connection(identity, hello.peer, codec, fd)
        self._connections.add(connection)
        welcome = messages.Welcome(messages.VERSION, self.server_id, {"name": self.name})
        if not self._send(connection, welcome):
            self._inbox.lost(connection)  # its end was noted before its hello

    def _refuse(self, identity: bytes, codec: Codec, error: ProtocolError) -> None:
        _log.warning("%r: refused a message: %s", self, error)
        self._send_to(identity, codec.encode(failure_of_error(error.request_id, error), refuse))

    def _keep_books(self, connection: Connection, message: Message) -> None:
        peer = connection.peer
        if isinstance(message, messages.Release):
            self.table.release(peer, message.refs)
        elif isinstance(message, messages.Grant):
            self.table.grant(peer, message.ref, message.token)
        elif isinstance(message, messages.Claim):
            self.table.claim(peer, message.ref, message.token)
        elif isinstance(message, messages.Withdraw):
            self.table.withdraw(peer, message.token)
        elif isinstance(message, messages.Goodbye):
            self._forget(connection)
        elif not isinstance(message, messages.Cancel):
            error = ProtocolError(f"a client does not send {type(message).__name__} here")
            self._refuse(connection.identity, connection.codec, error)

    def _forget(self, connection: Connection) -> None:
        """A client is gone; with the last one of its process go the leases."""
        peer = connection.peer
        for grantor, token in connection.handed:
            grantor.withdraw(token)  # does nothing for those that were claimed
        if self._connections.remove(connection):
            self.table.drop_peer(peer)
            self.timers.once(GRANT_GRACE, lambda: self._expire(peer))

    def _expire(self, peer: str) -> None:
        if not self._connections.has_peer(peer):
            self.table.expire_peer(peer)

    def _run_request(self, connection: Connection, request: Request) -> None:
        answer: Message
        reply = request.reply
        interrupt: BaseException | None = None
        outgoing = Outgoing(self._runtime, self._state(), None, connection.peer)
        frames = None
        try:
            result = self.dispatcher.run(request.action, request.options)
            if reply == "ack":
                result = None
            elif reply == "proxy":
                result = outgoing.refer(result)
            if reply != "off":
                refer = refuse if reply == "value" else outgoing.refer
                frames = connection.codec.encode(Result(request.id, result), refer)
            del result
        except BaseException as error:  # noqa: BLE001  # user code may raise anything
            outgoing.undo()
            answer = self._describe(request.id, error)
            if isinstance(error, UserError) and isinstance(error.error, KeyboardInterrupt):
                interrupt = error.error
            elif isinstance(error, KeyboardInterrupt):
                interrupt = error
            ended = isinstance(error, UserError) and isinstance(error.error, SystemExit)
            if reply == "off" and interrupt is None and not (ended and self._closing):
                _log.error("%r: a call that wanted no answer failed:\n%s", self, answer.traceback)
            elif reply != "off":
                frames = connection.codec.encode(answer, refuse)
        del request
        if frames is not None and self._send_to(connection.identity, frames):
            connection.handed.extend(outgoing.grants)
        elif frames is not None:
            outgoing.undo()
        if interrupt is not None:
            raise interrupt

    def _describe(self, request_id: int, error: BaseException) -> Failure:
        if isinstance(error, UserError):
            return describe(request_id, error.error)
        if isinstance(error, RPCError):
            return failure_of_error(request_id, error)
        return describe(request_id, error)

    def _state(self) -> ThreadState:
        return self._thread if self._thread is not None else self._runtime.thread()

    def _send(self, connection: Connection, message: Message) -> bool:
        return self._send_to(connection.identity, connection.codec.encode(message, refuse))

    def _send_to(self, identity: bytes, frames: list[Any]) -> bool:
        """Send to one client; whether it is still there."""
        with self._lock:
            if self._closed.is_set():
                return False
            try:
                self._frames.send([identity, *frames])
            except zmq.ZMQError as error:
                _log.debug("%r: could not answer a client: %s", self, error)
                return False
        return True

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
        self._waker.wake()
        return timer

    def running(self) -> bool:
        """Whether the server has not been closed."""
        return not (self._closing or self._closed.is_set())

    def close(self) -> None:
        """Ask the server to close; from any thread, at any time.

        A request that is being carried out is finished and answered first.
        All clients are told.
        """
        with self._lock:
            if self._closed.is_set():
                return
            self._closing = True
            self._waker.wake()
            if self._depth or self._looping:
                return  # the server's own thread will
            self._close_socket()
        self._let_go()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the server has closed; whether it has.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.
        """
        return self._closed.wait(timeout)

    def _close_socket(self) -> None:
        """Tell all clients, and stop listening; the lock is held."""
        for connection in self._connections.all():
            self._send(connection, messages.Goodbye("server closed"))
        self._runtime.server_closed(self.link)
        self._monitor.unbind()
        self._monitor.close()
        self._socket.close()
        self._waker.close()
        self._closed.set()

    def _let_go(self) -> None:
        """Forget all objects, which may run code of the user's."""
        self.timers.clear()
        self.unregister_server(self)
        self._inbox.clear()
        self.dispatcher.names.clear()
        self.table.clear()


def start_background(name: str) -> ServerCore:
    """Return a server that runs in a new thread of its own, a daemon."""
    server = ServerCore(name=name)
    ready = threading.Event()

    def run() -> None:
        ServerCore.register_server(server)
        ready.set()
        server.serve_until_closed()

    threading.Thread(target=run, name=f"pyacq-rpc {name}", daemon=True).start()
    ready.wait()
    return server
