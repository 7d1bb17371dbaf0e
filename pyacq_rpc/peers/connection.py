"""What a server knows of its clients: who is connected, and which process it is."""

from __future__ import annotations

from ..wire.codecs import Codec

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
    """

    __slots__ = ("codec", "descriptor", "identity", "peer")

    def __init__(self, identity: bytes, peer: str, codec: Codec, descriptor: int | None) -> None:
        self.identity = identity
        self.peer = peer
        self.codec = codec
        self.descriptor = descriptor


class Connections:
    """All clients of one server."""

    def __init__(self) -> None:
        self._by_identity: dict[bytes, Connection] = {}
        self._by_descriptor: dict[int, Connection] = {}

    def __len__(self) -> int:
        return len(self._by_identity)

    def add(self, connection: Connection) -> None:
        """Note a new client."""
        self._by_identity[connection.identity] = connection
        if connection.descriptor is not None:
            self._by_descriptor[connection.descriptor] = connection

    def get(self, identity: bytes) -> Connection | None:
        """Return the client of that identity."""
        return self._by_identity.get(identity)

    def at(self, descriptor: int) -> Connection | None:
        """Return the client that the monitor calls so."""
        return self._by_descriptor.get(descriptor)

    def all(self) -> list[Connection]:
        """Return all clients."""
        return list(self._by_identity.values())

    def remove(self, connection: Connection) -> bool:
        """Forget a client; whether it was the last one of its process."""
        if self._by_identity.pop(connection.identity, None) is None:
            return False
        descriptor = connection.descriptor
        if descriptor is not None and self._by_descriptor.get(descriptor) is connection:
            del self._by_descriptor[descriptor]
        return all(other.peer != connection.peer for other in self._by_identity.values())
