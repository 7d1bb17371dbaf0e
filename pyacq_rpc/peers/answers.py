"""What a server says to one of its clients: the answers, and what becomes of the connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError
from ..late_logging import getLogger
from ..limits import Limits
from ..session.remote_errors import rebuild
from ..transport.addresses import host_of
from ..wire.codecs import Codec
from ..wire.messages import Failure, Goodbye, Move, Reference, Result, Welcome
from ..wire.values import Undecodable
from .exchange import resolve
from .links import ServerLink
from .pending import PendingRequests
from .sent_batch import SentBatch

if TYPE_CHECKING:
    from ..errors import ServerDisconnected
    from .channel import Channel
    from .runtime import Runtime
    from .thread_state import ThreadState

__all__ = ["Answers"]

_log = getLogger(__name__)


class Answers:
    """Takes what comes over a client's channel; see `arrivals.Receiver`.

    Parameters
    ----------
    runtime : Runtime
    thread : ThreadState
        The thread that the client belongs to.
    address : str
        Where the server listens.
    codec : Codec
        How messages are written.
    pending : PendingRequests
        What is to be answered.
    lost : callable
        Called with the reason when the server is gone.

    Attributes
    ----------
    channel : Channel
        The connection; given before anything can come over it.
    server_id : str or None
        The server's incarnation, once it has answered the hello.
    since : float or None
        When it did, by `time.time`.
    """

    channel: Channel

    def __init__(
        self,
        runtime: Runtime,
        thread: ThreadState,
        address: str,
        codec: Codec,
        pending: PendingRequests,
        lost: Callable[[ServerDisconnected], object],
    ) -> None:
        self.server_id: str | None = None
        self.since: float | None = None
        self._runtime = runtime
        self._thread = thread
        self._address = address
        self._host = host_of(address)
        self._codec = codec
        self._pending = pending
        self._lost = lost
        self._link: ServerLink | None = None  # keeps the name that the server has told
        self._dismissed = False  # by the server

    def server_name(self) -> str | None:
        """Return what the server calls itself, once it has told."""
        return None if self._link is None else self._link.name

    def receive(self, frames: list[Any]) -> Callable[[], object] | None:
        """Decode one message, and return what has to be done about it.

        Raises
        ------
        RPCError
            If it refers to what cannot be resolved.
        """
        try:
            message = self._codec.decode(frames, self._resolve)
        except Undecodable as undecodable:
            message = undecodable.partial
            if isinstance(message, Result):
                return self._answer(message.id, None, undecodable.error)
        except ProtocolError as error:
            _log.error("dropped a malformed message of %s: %s", self._address, error)
            return None
        if isinstance(message, Result):
            return self._answer(message.id, message.value, None)
        if isinstance(message, Failure):
            return self._effect_of_failure(message)
        if isinstance(message, Welcome):
            return self._welcomed(message)
        if isinstance(message, Move):
            self.channel.roads.moved()
        elif isinstance(message, Goodbye):
            self._dismissed = True
            return self.channel.farewell(f"has closed the connection ({message.reason})")
        else:
            _log.error("%s: a server does not send %s", self._address, type(message).__name__)
        return None

    def losing(self, along: list[Channel]) -> None:
        """The server is gone; add what is lost along with this connection."""
        if self.server_id is not None:
            links = self._runtime.links
            links.server_gone(self.channel, self.server_id, self._dismissed, along)

    def lost(self, error: ServerDisconnected) -> None:
        """The server is gone: everything that waits for it fails."""
        self._lost(error)

    def _welcomed(self, welcome: Welcome) -> Callable[[], object] | None:
        self.since = time.time()
        with self._runtime.lock:
            if welcome.server in self.channel.name.lost:
                # It was greeted by the name under which that server was given up meanwhile.
                return self.channel.farewell("was out of reach, and has just come back")
            self.server_id = welcome.server
        self.channel.met(welcome.server)
        self._link = self._runtime.links.link(self._address, welcome.server, greeted=True)
        name = welcome.info.get("name")
        if isinstance(name, str) and name:
            self._link.name = name
            self.channel.server = self._link.describe()
        self.channel.sizes.limits = _limits_of(welcome.info.get("limits"))
        path, token = welcome.info.get("path"), welcome.info.get("token")
        if isinstance(path, str) and isinstance(token, str):
            self.channel.move(path, token)
        return None

    def _effect_of_failure(self, failure: Failure) -> Callable[[], object] | None:
        if failure.id is not None:
            if failure.code == "withdrawn":
                return partial(self._pending.withdrawn, failure.id)
            return self._answer(failure.id, None, rebuild(failure))
        if failure.code == "stranger":
            return self.channel.farewell("has been replaced by another one")
        if self.server_id is None:
            return self.channel.farewell(f"has refused this client: {failure.message}")
        _log.error("%s could not read a message: %s", self._address, failure.message)
        return None

    def _answer(
        self, request_id: int, value: Any, error: Exception | None
    ) -> Callable[[], object] | None:
        pending = self._pending.get(request_id)
        if pending is None:
            return None
        pending.answered = True
        if pending.is_batch and error is None:
            assert isinstance(pending, SentBatch)
            value, error = pending.read(value, self._codec, self._resolve)
        return partial(self._pending.complete, request_id, pending, value, error)

    def _resolve(self, reference: Reference) -> object:
        owner = self._thread.server or self._runtime.callbacks
        channel = self.channel
        return resolve(self._runtime, owner, channel, channel.peer, self._host, reference)


def _limits_of(told: object) -> Limits | None:
    """Return what a server says that it takes; None if it says nothing of the kind."""
    if not isinstance(told, dict):
        return None
    message, frames = told.get("message"), told.get("frames")
    if type(message) is int and type(frames) is int:
        return Limits(message=message, frames=frames)
    return None
