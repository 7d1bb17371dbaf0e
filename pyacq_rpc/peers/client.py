"""`RPCClient`: one thread's connection to one server, as a user sees it."""

from __future__ import annotations

import concurrent.futures
import contextlib
from typing import TYPE_CHECKING, Any

from ..errors import CallTimeout, ServerDisconnected
from ..session.holding import Lease
from ..session.options import NO_TIMEOUT_GIVEN, check_options, check_timeout
from ..session.proxy import ObjectProxy
from ..transport.keys import KeyOrPath
from ..transport.sockets import clean_address
from ..wire.codecs import codec_named
from ..wire.messages import URGENT
from .attention import Attention
from .batching import Batching
from .conversation import Conversation
from .future import Future
from .runtime import current

if TYPE_CHECKING:
    from .hooks import HookedCall

__all__ = ["DEFAULT_TIMEOUT", "RPCClient"]

DEFAULT_TIMEOUT = 10.0
"""Seconds that a synchronous call waits unless told otherwise."""


class RPCClient(Batching):
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
    key : str or path, optional
        The file with the server's key; by default the user's own. It is
        remembered for the address.

    Raises
    ------
    ValueError
        If the address or the serializer is none, or the file holds no key.
    OSError
        If the key cannot be read, or others could read it too.

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

    here = False

    def __init__(
        self,
        address: str | bytes,
        reentrant: bool = True,
        serializer: str = "msgpack",
        key: KeyOrPath | None = None,
    ) -> None:
        self.address = clean_address(address)
        self.reentrant = reentrant
        self._timeout: float | None = DEFAULT_TIMEOUT
        self._runtime = current()
        self._in_watcher = self._runtime.watcher.is_current()
        self._thread = self._runtime.thread()
        self._codec = codec_named(serializer)
        if key is not None:
            self._runtime.keys.give(self.address, key)
        self._connect()

    def _converse(self) -> Conversation:
        return Conversation(
            self._runtime,
            self._thread,
            self.address,
            self._codec,
            self.leave_thread,
            Attention(self._runtime, self._thread),
        )

    def _connect(self) -> None:
        with self._runtime.opening():
            self._conversation = self._converse()
            self.channel = self._conversation.channel
            self._holder = self.channel.holder
            try:
                self.channel.begin()
                self._thread.made.add(self)
                known = self._thread.clients.get(self.address)
                if known is None or known.closed():
                    self._thread.clients[self.address] = self
                self._runtime.links.opened(self)
            except BaseException:
                self.leave_thread()
                self.channel.drop()
                raise

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

    @property
    def timeout(self) -> float | None:
        """Seconds that calls wait for their answers, unless told otherwise; None: for ever."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: float | None) -> None:
        check_timeout(timeout)
        self._timeout = timeout

    @property
    def server_name(self) -> str | None:
        """What the server calls itself, once it has answered."""
        return self._conversation.answers.server_name()

    @property
    def server_id(self) -> str | None:
        """The server's incarnation, once it has answered."""
        return self._conversation.answers.server_id

    def __repr__(self) -> str:
        state = "disconnected" if self.channel.gone else "closed" if self.closed() else "open"
        return f"<RPCClient of {self.address}, {state}>"

    # -- sending -----------------------------------------------------------

    def send(
        self,
        action: str,
        opts: dict[str, Any] | None = None,
        return_type: str | None = None,
        sync: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
        about: ObjectProxy | None = None,
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
        about : ObjectProxy, optional
            What the request is about, kept alive until that has arrived.

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
        ValueError
            If an option is not one of these words, or the timeout out of range.
        TypeError
            If the timeout is no number.
        """
        check_options(sync, return_type, timeout)
        self.check_usable()
        return self.request(action, opts or {}, return_type, sync, timeout, about)

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        about: ObjectProxy | None,
        hooked: HookedCall | None = None,
    ) -> Any:
        """Send a request of a proxy; see `session.link.Client`."""
        if self.block is not None and hooked is None:
            batch = self.open_batch()
            if batch is not None and not batch.passes_by(action, opts):
                return batch.request_about(about, action, opts, return_type, sync, timeout)
        if self._runtime.outgoing_hooks and hooked is None and action not in URGENT:
            from .hooks import is_within_hook, outgoing

            if not is_within_hook():
                return outgoing(self, action, opts, return_type, sync, timeout, about)
        if timeout is NO_TIMEOUT_GIVEN:
            timeout = self._timeout
        conversation, holder = self._conversation, self._holder
        holding = None if about is None else about._lease
        if holding is not None and holding.home is not holder:
            holding = self.introduced(holding)
        context = None if hooked is None else hooked.context
        if sync == "off":
            conversation.tell(action, opts, holding, context)
            return None
        reply = return_type or "auto"
        if sync != "async" and not self._in_watcher:
            return conversation.call(action, opts, reply, holding, timeout, self.reentrant, context)
        future = conversation.ask(action, opts, reply, self, holding, hooked)
        conversation.attention.arm()
        if sync == "async":
            return future
        try:
            self.process_until_future(future, timeout)
        except BaseException:
            conversation.abandon(future.request_id)  # its late answer is dropped
            raise
        try:
            return future.result(0)
        finally:
            del future  # breaks the same cycle as in `Future.result`

    def introduced(self, holding: Lease) -> Lease:
        """Return a lease that the server knows of, for what this one holds."""
        holder = self._holder
        if holding.home is not holder and (holding.token or holding.home.peer != holder.peer):
            return holder.introduce(holding)
        return holding

    def check_usable(self) -> None:
        """Raise an exception if requests cannot be sent from here: wrong thread, or closed."""
        self.check_thread()
        if self.closed():
            raise self.channel.reason()

    def check_thread(self) -> None:
        """Raise an exception if the client belongs to another thread, or to what was before."""
        if self._runtime is not current():
            raise ServerDisconnected(
                f"this client of {self.address} was made before a fork or a reset"
            )
        if not self._thread.is_current():
            raise RuntimeError(
                f"this client of {self.address} belongs to another thread;"
                " get this thread's own with RPCClient.get_client(address)"
            )

    # -- receiving ---------------------------------------------------------

    def process_msg(self, msg: list[Any]) -> None:
        """Take in one message of the server: give its future what it brings.

        Parameters
        ----------
        msg : list of zmq.Frame
            The frames of the message, as the socket has given them.
        """
        opened = self.channel.roads.opened(msg)
        if opened is None:
            return
        effect = self._conversation.answers.receive(opened)
        self._holder.arriving.clear()
        if effect is not None:
            effect()

    def process_until_future(self, future: Future[Any], timeout: float | None = None) -> None:
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
        watcher = self._runtime.watcher
        if not watcher.is_current():
            self.channel.flush()
            try:
                self._conversation.wait(future.done, timeout, self.reentrant)
            except KeyboardInterrupt as interrupt:
                self._conversation.note_interrupt(interrupt, future.request_id, future.cancel)
                raise
            return
        watcher.run_until(future, timeout)
        if not future.done():
            raise CallTimeout(self._conversation.describe_silence(timeout))

    def wait_for(self, future: Future[Any], timeout: float | None) -> None:
        """Wait for a future of this client, from whichever thread."""
        if self._thread.is_current():
            with contextlib.suppress(CallTimeout):
                self.process_until_future(future, timeout)
            return
        if self._runtime.watcher.is_current():
            self._runtime.watcher.run_until(future, timeout)
        else:
            concurrent.futures.wait([future], timeout)
        if not future.done():
            self._conversation.note_timeout()

    def may_wait(self) -> bool:
        """Whether the current thread may wait for an answer."""
        return True

    def hurry(self) -> None:
        """Let no request wait for others to be sent with; from any thread."""
        self.channel.flush()

    def whom(self) -> str:
        """Return what the server is called in messages."""
        return self.channel.server

    def cancel(self, request_id: int) -> None:
        """Withdraw a request if the server has not begun with it."""
        self._conversation.cancel(request_id)

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
        self.ping("sync", timeout=timeout)

    def disconnected(self) -> bool:
        """Whether the server is gone, or this client closed."""
        if not self.closed() and self._thread.is_current():
            self.channel.pump()
            self.channel.check_monitor()
        return self.closed()

    def reconnect(self) -> None:
        """Connect to the server that is at the address now, if the last one is gone.

        Proxies of the earlier server do not come back: they raise
        `ServerDisconnected`, and never reach an object of another one.
        """
        self.check_thread()
        if self.disconnected():
            self._connect()

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
        self._conversation.close()

    def leave_thread(self) -> None:
        """Be this thread's client no more; `get_client` makes another one."""
        self._thread.made.discard(self)
        if self._thread.clients.get(self.address) is self:
            del self._thread.clients[self.address]

    def thread_ended(self) -> None:
        """The thread of this client is gone: close it as soon as that is safe."""
        if self.depended_on() or not self.channel.connected():
            self._runtime.watcher.retire(self)
        else:
            self.close()

    def depended_on(self) -> bool:
        """Whether answers are to come, or leases are held through this client."""
        return self.has_pending() or self._holder.live_leases() > 0

    def has_pending(self) -> bool:
        """Whether answers are to come."""
        return self._conversation.has_pending()

    def reaches_nobody(self) -> bool:
        """Whether nobody listens there so far, and nobody waits for an answer from there."""
        return not (self.channel.connected() or self._conversation.is_awaited())
