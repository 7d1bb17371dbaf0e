"""What a server knows of its clients: who is connected, and which process it is."""

from __future__ import annotations

import collections

from ..transport.backlog import Backlog
from ..transport.guest import Guest
from ..transport.stamps import Stamps
from ..transport.stream import Stream
from ..wire.codecs import Codec
from .exchange import Handed

__all__ = ["Connection", "Connections"]


class Connection:
    """One client.

    Attributes
    ----------
    identity : bytes
        What the ROUTER socket calls it.
    peer : str
        Its process; leases belong to that.
    codec : Codec
        How it writes.
    descriptor : int or None
        What the monitor calls its connection.
    cancelled : set of int
        Requests that it has withdrawn and that may be waiting still.
    handed : Handed
        What it may still have to claim.
    token : str
        What it has to show where the direct road begins.
    stream : Stream or None
        That road, once it has taken it.
    guest : Guest or None
        Set if it has another key than the server, which may be revoked.
    host : str
        Where it is, as seen from here; empty for this host.
    backlog : Backlog or None
        What waits for it on the other road, where that can be told.
    stamps : Stamps or None
        What stamps messages to it, if it has asked for that.
    cut : bool
        Whether it was cut off, for having gone beyond a limit.
    """

    __slots__ = (
        "backlog",
        "cancelled",
        "codec",
        "cut",
        "descriptor",
        "guest",
        "handed",
        "host",
        "identity",
        "peer",
        "stamps",
        "stream",
        "token",
    )

    def __init__(self, identity: bytes, peer: str, codec: Codec, descriptor: int | None) -> None:
        self.identity = identity
        self.peer = peer
        self.codec = codec
        self.descriptor = descriptor
        self.cancelled: set[int] = set()
        self.handed = Handed()
        self.token = ""
        self.stream: Stream | None = None
        self.guest: Guest | None = None
        self.host = ""
        self.backlog: Backlog | None = None
        self.stamps: Stamps | None = None
        self.cut = False

    def anew(self, peer: str, codec: Codec) -> Connection:
        """Return the same connection before anything else is known of who is there."""
        connection = Connection(self.identity, peer, codec, self.descriptor)
        connection.backlog = self.backlog
        connection.stamps = self.stamps
        connection.cut = self.cut
        return connection

    def withdrawn(self, request_id: int) -> bool:
        """Whether a request that is about to begin has been withdrawn."""
        withdrawn = request_id in self.cancelled
        # Requests come in order: what is older has been run before.
        # The I/O thread may be adding to them: nothing here lets it in between.
        older = [other for other in list(self.cancelled) if other <= request_id]
        self.cancelled.difference_update(older)
        return withdrawn


class Connections:
    """All clients of one server."""

    def __init__(self) -> None:
        self._by_identity: dict[bytes, Connection] = {}
        self._by_descriptor: dict[int, Connection] = {}
        self._strangers: dict[bytes, Connection] = {}
        self._peers: collections.Counter[str] = collections.Counter()

    def __len__(self) -> int:
        return len(self._by_identity)

    def add(self, connection: Connection) -> None:
        """Note a new client."""
        self._by_identity[connection.identity] = connection
        self._strangers.pop(connection.identity, None)
        self._peers[connection.peer] += 1
        if connection.descriptor is not None:
            self._by_descriptor[connection.descriptor] = connection

    def get(self, identity: bytes) -> Connection | None:
        """Return the client of that identity."""
        return self._by_identity.get(identity)

    def at(self, descriptor: int) -> Connection | None:
        """Return the client that the monitor calls so."""
        return self._by_descriptor.get(descriptor)

    def note_stranger(self, connection: Connection) -> None:
        """Note somebody who has not said hello; it is forgotten with its descriptor."""
        self._strangers[connection.identity] = connection

    def stranger(self, identity: bytes) -> Connection | None:
        """Return what is known of somebody who has not said hello."""
        return self._strangers.get(identity)

    def forget_stranger(self, descriptor: int) -> None:
        """The connection of this descriptor has ended."""
        for stranger in list(self._strangers.values()):
            if stranger.descriptor == descriptor:
                del self._strangers[stranger.identity]

    def all(self) -> list[Connection]:
        """Return all clients."""
        return list(self._by_identity.values())

    def strangers(self) -> list[Connection]:
        """Return all who have not said hello, as far as they are known."""
        return list(self._strangers.values())

    def remove(self, connection: Connection) -> bool:
        """Forget a client; whether it was the last one of its process."""
        if self._by_identity.pop(connection.identity, None) is None:
            return False
        descriptor = connection.descriptor
        if descriptor is not None and self._by_descriptor.get(descriptor) is connection:
            del self._by_descriptor[descriptor]
        self._peers[connection.peer] -= 1
        if self._peers[connection.peer]:
            return False
        del self._peers[connection.peer]
        return True

    def count_peers(self) -> int:
        """Return how many processes have clients here."""
        return len(self._peers)

    def has_peer(self, peer: str) -> bool:
        """Whether a client of this process is connected."""
        return peer in self._peers
