"""What a server does about each message: greet, keep the books, run the request."""

from __future__ import annotations

import collections
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from ..errors import LimitExceeded, ProtocolError, RPCError
from ..late_logging import getLogger
from ..session.leases import LOCAL
from ..session.remote_errors import failure_of_error
from ..transport.addresses import host_of, is_here
from ..transport.guest import Guest, admitted_key, peer_host
from ..transport.monitor import source_descriptor
from ..wire import messages
from ..wire.codecs import codec_named, codec_of
from ..wire.messages import Failure, Goodbye, Hello, Message, Reference, Request
from ..wire.values import Undecodable
from .answering import failure_of, run_request, told
from .connection import Connection
from .exchange import CLAIM_GRACE, resolve
from .inbox import OverZmq

if TYPE_CHECKING:
    from .server import ServerCore

__all__ = ["Reception"]

_log = getLogger(__name__)

_REVOKED = "your key does not let you in any more; ask the server's owner for another one"

_MSGPACK = codec_named("msgpack")

RETRY = 0.1
"""Seconds after which a client that found no descriptor free is looked at again."""

GRANT_GRACE = 60.0
"""Seconds that the grants of a process outlive it, for a slow receiver."""


class Reception:
    """Takes the messages of a server's clients, one at a time, in its thread.

    Parameters
    ----------
    server : ServerCore
    """

    def __init__(self, server: ServerCore) -> None:
        self._server = server
        self._listener = server.listener
        self._connections = server.listener.connections
        self._lock = server.listener.lock
        self._inbox = server.listener.inbox
        self._waiting = server.listener.inbox.waiting
        self._refused = server.listener.inbox.refused
        self._limits = server.limits

    def take(self, items: collections.deque[tuple[bytes, list[Any] | None]]) -> None:
        """See to the next message, or (frames None) to a client being gone."""
        identity, frames = items.popleft()
        connection = self._connections.get(identity)
        if frames is None:
            if connection is not None:
                self._is_gone(connection)
            elif identity in self._waiting:
                self._drop(identity)
            return
        with self._lock:  # the I/O thread may be counting what comes
            left = self._waiting.get(identity, 1) - 1
            if left > 0 and items:
                self._waiting[identity] = left
            else:
                self._waiting.pop(identity, None)
                if self._refused and identity not in self._inbox.running:
                    self._refused.discard(identity)
        if connection is None:
            self._meet(identity, frames)
            return
        if connection.guest is not None and not _may_stay(connection.guest):
            self._send_away(connection)
            return
        if not frames:
            self._drop_part()
            return
        try:
            message = connection.codec.decode(frames, partial(self._resolve, connection))
            del frames
        except Undecodable as undecodable:
            self._tell_undecodable(connection, undecodable)
            return
        except (ProtocolError, LimitExceeded) as error:
            self._refuse(connection, error)
            return
        if not isinstance(message, Request):
            self._keep_books(connection, message)
        elif not (connection.cancelled and connection.withdrawn(message.id)):
            handed = [message]
            del message
            run_request(self._server, connection, handed)
        elif message.reply != "off":
            withdrawn = Failure(message.id, "withdrawn", "", [], "withdrawn", None, "")
            self._listener.tell(connection, withdrawn)

    def _resolve(self, connection: Connection, reference: Reference) -> object:
        server, peer, host = self._server, connection.peer, connection.host
        return resolve(server.runtime, server, None, peer, host, reference)

    def _meet(self, identity: bytes, frames: list[Any]) -> None:
        """Take a message of somebody who is not connected: it has to be a hello."""
        stranger = self._stranger(identity, frames)
        if stranger is None or not isinstance(frames, OverZmq):
            return  # it has said goodbye before, or we have
        if not frames:
            self._drop_part()
            return
        try:
            codec = codec_of(frames, self._limits.nesting)
            guest = self._guest(frames.frame)
            if guest is not None and not _may_stay(guest):
                # It was let in, and goes on after it was sent away.
                stranger.codec = codec
                self._listener.tell(stranger, Goodbye(_REVOKED))
                return
            message = codec.decode(frames, _no_reference)
            stranger.codec = codec
        except Undecodable as undecodable:
            _log.error("%r: dropped a message: %s", self._server, undecodable)
            return
        except (ProtocolError, LimitExceeded) as error:
            self._refuse(stranger, error)
            return
        if isinstance(message, Hello):
            self._welcome(stranger, message, frames.frame, guest)
        elif not isinstance(message, Goodbye):  # which may be said more than once
            failure = Failure(None, "stranger", "", [], "say hello first", None, "")
            self._listener.tell(stranger, failure)

    def _stranger(self, identity: bytes, frames: list[Any]) -> Connection | None:
        """Return who has sent this and has not said hello, unless one of us has said goodbye."""
        stranger = self._connections.stranger(identity)
        if not isinstance(frames, OverZmq) or (stranger is not None and stranger.cut):
            return None
        if stranger is None:
            stranger = Connection(identity, "", _MSGPACK, source_descriptor(frames.frame))
            self._listener.meet(stranger, frames.frame)
        return stranger

    def _guest(self, frame: zmq.Frame) -> Guest | None:
        key = self._listener.key
        if key is None:
            return None
        public = admitted_key(frame)
        return None if public == key.public else Guest(key, public)

    def _tell_undecodable(self, connection: Connection, undecodable: Undecodable) -> None:
        request = undecodable.partial
        if isinstance(request, Request) and request.reply != "off":
            failure = failure_of(request.id, undecodable.error)
            self._listener.tell(connection, told(self._server, failure))
        else:
            _log.error("%r: dropped a message: %s", self._server, undecodable)

    def _drop_part(self) -> None:
        # Nobody is told, and nothing ends: it may be an interrupt that has lost a frame, on either
        # side, and not somebody in between.
        _log.warning("%r: dropped a message that was not whole, or not stamped", self._server)

    def _refuse(self, connection: Connection, error: ProtocolError | LimitExceeded) -> None:
        _log.warning("%r: refused a message: %s", self._server, error)
        self._listener.tell(connection, failure_of_error(error.request_id, error))

    def turn_away(self) -> None:
        """Refuse what clients have sent beyond their limits."""
        excess = self._inbox.excess
        while excess:
            identity, frames = excess.popleft()
            connection = self._connections.get(identity)
            is_known = connection is not None
            connection = connection or self._stranger(identity, frames)
            if connection is None:
                continue  # it has said goodbye before, or we have
            if isinstance(frames, OverZmq) and frames.excess:
                self._cut(connection, f"a message of this client {frames.excess}")
                continue
            if not frames:
                self._keep_for_later(connection, frames)
                continue
            try:
                if not is_known:
                    connection.codec = codec_of(frames, self._limits.nesting)
                resolve_it = partial(self._resolve, connection) if is_known else _no_reference
                message = connection.codec.decode(frames, resolve_it)
            except Undecodable as undecodable:
                message = undecodable.partial
            except RPCError:
                message = None  # it will be told in its turn what is wrong about it
            if not isinstance(message, Request):
                self._keep_for_later(connection, frames)
            elif message.reply != "off":
                self._listener.tell(connection, failure_of_error(message.id, self._too_many()))

    def _keep_for_later(self, connection: Connection, frames: list[Any]) -> None:
        with self._lock:
            kept = self._inbox.keep(connection.identity, frames)
        if not kept:
            self._cut(
                connection, f"more than {2 * self._limits.requests} messages of this client waited"
            )

    def _cut(self, connection: Connection, why: str) -> None:
        identity = connection.identity
        known = self._connections.get(identity) or self._connections.stranger(identity)
        if known is connection:  # else it had gone before anybody could know it
            self._listener.cut(connection, why)

    def _drop(self, identity: bytes) -> None:
        with self._lock:
            self._inbox.drop(identity)

    def _too_many(self) -> LimitExceeded:
        return LimitExceeded(
            f"{self._limits.requests} requests of this client wait or run already; none is taken"
            " until those are done (to raise the limit, start the server with"
            " limits=Limits(requests=...))"
        )

    def _is_gone(self, connection: Connection) -> None:
        stream = connection.stream
        if connection.cut:
            self._drop(connection.identity)
            self._forget(connection)
        elif stream is not None and stream.fault:
            self._listener.cut(connection, stream.fault)
        # What it sent before it went comes first.
        elif not self._listener.drain(connection):
            self._forget(connection)

    def _welcome(
        self, stranger: Connection, hello: Hello, frame: zmq.Frame, guest: Guest | None
    ) -> None:
        if hello.version != messages.VERSION:
            error = ProtocolError(
                f"protocol version {hello.version} is not spoken here, but {messages.VERSION}"
            )
            self._refuse(stranger, error)
            return
        if hello.peer == LOCAL:
            error = ProtocolError(f"no client may call itself {LOCAL!r}; choose a random name")
            self._refuse(stranger, error)
            return
        server, limits = self._server, self._limits
        connection = stranger.anew(hello.peer, stranger.codec)
        connection.guest = guest
        if host_of(server.address) and not is_here(host := peer_host(frame)):
            connection.host = host
        info: dict[str, Any] = {
            "name": server.name,
            "limits": {"message": limits.message, "frames": limits.frames},
        }
        if hello.info.get("direct") is True:
            info.update(self._listener.direct_road(connection))
        welcome = messages.Welcome(messages.VERSION, server.server_id, info)
        self._listener.welcome(connection, welcome)
        try:
            server.runtime.watcher.attend(server)
        except RuntimeError as error:
            _log.warning("%r: will not answer urgent requests while it is busy: %s", server, error)

    def _keep_books(self, connection: Connection, message: Message) -> None:
        peer = connection.peer
        table = self._server.table
        if isinstance(message, messages.Release):
            table.release(peer, message.refs)
        elif isinstance(message, (messages.Grant, messages.Claim)):
            try:
                table.check_room(peer, self._limits.leases)
            except LimitExceeded as full:  # there is no answer that could say so
                self._listener.cut(connection, str(full))
                return
            if isinstance(message, messages.Grant):
                table.grant(peer, message.ref, message.token)
            elif not table.claim(peer, message.ref, message.token):
                _log.debug("%r: a client claimed what was not granted to it", self._server)
        elif isinstance(message, messages.Withdraw):
            table.withdraw(peer, message.token)
        elif isinstance(message, Goodbye):
            self._forget(connection)
        elif isinstance(message, messages.Move):
            self._move(connection, message.token)
        elif isinstance(message, messages.Cancel):  # of a guest: others' overtake the rest
            if self._server.tasks is not None:
                self._server.tasks.cancel(connection, message.id)
        else:
            error = ProtocolError(f"a client does not send {type(message).__name__} here")
            self._refuse(connection, error)

    def _move(self, connection: Connection, token: str, is_told: bool = False) -> None:
        if self._connections.get(connection.identity) is not connection:
            return  # it has not waited for that
        try:
            self._listener.move(connection, token)
        except OSError as error:
            if not is_told:
                _log.warning("%r: a client waits for a descriptor: %s", self._server, error)
            self._server.timers.once(RETRY, partial(self._move, connection, token, True))
        except ProtocolError as error:
            # What it sends from now on will not arrive.
            self._listener.tell(connection, Goodbye(str(error)))
            self._forget(connection)

    def _send_away(self, connection: Connection) -> None:
        _log.warning("%r: sent a client away whose key was revoked", self._server)
        self._listener.tell(connection, Goodbye(_REVOKED))
        self._forget(connection)

    def _forget(self, connection: Connection) -> None:
        """A client is gone; with the last one of its process go the leases."""
        peer = connection.peer
        connection.handed.end(partial(self._server.timers.once, CLAIM_GRACE))
        self._listener.hang_up(connection)
        if self._server.tasks is not None:
            self._server.tasks.forget(connection)
        if self._connections.remove(connection):
            self._server.table.drop_peer(peer)
            self._server.timers.once(GRANT_GRACE, lambda: self._expire(peer))

    def _expire(self, peer: str) -> None:
        if not self._connections.has_peer(peer):
            self._server.table.expire_peer(peer)


def _no_reference(reference: Reference) -> object:
    return None  # nothing is looked for, let alone connected to, for somebody unknown


def _may_stay(guest: Guest) -> bool:
    try:
        return guest.may_stay()
    except OSError as error:
        _log.warning("sent a client away: %s", error)
        return False
