"""How objects and proxies cross: what is sent in their place, and what is held.

One `Outgoing` accompanies each message that is encoded, since what it refers
to must be kept, handed on, or taken back if the message cannot be sent.
"""

from __future__ import annotations

import collections
import sys
import weakref
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import TYPE_CHECKING

from ..errors import ProtocolError, SerializationError
from ..session.holding import Grantor, Lease
from ..session.leases import new_token
from ..session.proxy import ObjectProxy
from ..session.special import Forwarding
from ..transport.addresses import is_beyond_loopback, seen_from_here
from ..wire.messages import Reference
from .affinity import check_thread

if TYPE_CHECKING:
    from .channel import Channel
    from .exporter import Exporter
    from .runtime import Runtime
    from .server import ServerCore
    from .thread_state import ThreadState

__all__ = ["CLAIM_GRACE", "Handed", "Outgoing", "reference_to", "refuse", "resolve"]

CLAIM_GRACE = 5.0
"""Seconds for which somebody who has gone may still claim what it was handed.

It may be a thread that has ended, and its claim be on its way to the owner."""

MOST_HANDED = 1000
"""How many grants are remembered for each connection."""


def reference_to(server: Exporter, obj: object, ref: str, token: str) -> Reference:
    """Describe a local object for a peer."""
    cls = obj if isinstance(obj, type) else type(obj)
    identity = f"{id(obj):x}"
    name = (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )
    if cls is obj:
        name = f"class {name}"
    elif name in ("module", "function", "builtin_function_or_method", "method"):
        name = f"{name.split('_')[0]} {getattr(obj, '__name__', '?')}"
        # Python makes a method anew each time that it is asked for.
        owner = getattr(obj, "__self__", None)
        if owner is not None and not isinstance(owner, ModuleType):
            function = getattr(obj, "__func__", None)  # of C, it has only its name
            of_it = getattr(obj, "__name__", "") if function is None else f"{id(function):x}"
            identity = f"{id(owner):x}.{of_it}"
    # The incarnation, then what tells objects apart while they are alive.
    object_id = f"{server.server_id}.{identity}"
    return Reference(server.address, ref, object_id, name, [], token)


def refuse(obj: object) -> Reference:
    """Stand in for `Outgoing.refer` where only values may travel."""
    raise SerializationError(f"{type(obj).__module__}.{type(obj).__qualname__} has no value form")


class Outgoing:
    """The objects that one message refers to.

    Parameters
    ----------
    state : ThreadState
        Whose server exports local objects.
    runtime : Runtime
    server_id : str or None
        The server that the message goes to, if known.
    peer : str or None
        The peer that the message goes to from our server; it is given its
        lease directly, where anybody else has to claim it.
    channel : Channel or None
        What the message goes over, if it goes to a server.
    """

    __slots__ = (
        "_channel",
        "_peer",
        "_runtime",
        "_server_id",
        "_state",
        "grants",
        "leases",
        "opened",
    )

    def __init__(
        self,
        runtime: Runtime,
        state: ThreadState,
        server_id: str | None,
        peer: str | None,
        channel: Channel | None,
    ) -> None:
        self._runtime = runtime
        self._state = state
        self._server_id = server_id
        self._peer = peer
        self._channel = channel
        # Most messages refer to nothing.
        self.leases: list[Lease] | None = None
        self.opened: list[str] | None = None
        self.grants: list[tuple[Grantor, str]] | None = None

    def refer(self, obj: object) -> Reference:
        """Return the reference to send in an object's place."""
        if isinstance(obj, ObjectProxy):
            return self._hand_on(obj)
        if isinstance(obj, Forwarding):
            raise SerializationError(
                "a promise is an argument within its own batch only, before that is sent; give"
                " its .result() later"
            )
        server = self._runtime.exporter(self._state)
        check_thread(server, obj)
        if self._peer is not None and server is self._state.server:
            server.table.check_room(self._peer, server.limits.leases)
            ref = server.table.open(obj, self._peer)
            self.opened = self.opened or []
            self.opened.append(ref)
            return reference_to(server, obj, ref, "")
        token = new_token()
        ref = server.offer(obj, token)
        self._note_grant(server, token)
        return reference_to(server, obj, ref, token)

    def _hand_on(self, proxy: ObjectProxy) -> Reference:
        reference = proxy._reference
        lease = proxy._lease
        if lease is None:
            raise SerializationError(f"{proxy!r} holds no lease that could be handed on")
        token = ""
        home = reference.object_id.partition(".")[0] == self._server_id
        if home and self._channel is not None and self._channel.holder.is_known(lease):
            # Going home: our own lease keeps it alive until it has arrived.
            self.leases = self.leases or []
            self.leases.append(lease)
        else:
            token = lease.home.grant(lease)
            self._note_grant(lease.home, token)
        # Where it is reached from here is where others reach it, unless that is on this host.
        known = proxy._rpc_addr
        address = known if is_beyond_loopback(known) else reference.address
        return reference._replace(address=address, attributes=list(proxy._attributes), token=token)

    def _note_grant(self, grantor: Grantor, token: str) -> None:
        self.grants = self.grants or []
        self.grants.append((grantor, token))

    def mark(self) -> tuple[int, int]:
        """Return what `undo` takes to leave what was given out so far."""
        return len(self.grants or ()), len(self.opened or ())

    def absorb(self, other: Outgoing) -> None:
        """Refer to what another message refers to as well, which this one has in it."""
        if other.leases is not None:
            self.leases = self.leases or []
            self.leases += other.leases
        if other.opened is not None:
            self.opened = self.opened or []
            self.opened += other.opened
        if other.grants is not None:
            self.grants = self.grants or []
            self.grants += other.grants

    def undo(self, since: tuple[int, int] = (0, 0)) -> None:
        """Take back what was given out, for a message, or part of it, that is not sent."""
        grants, opened = since
        if self.grants:
            for grantor, token in self.grants[grants:]:
                grantor.withdraw(token)
            del self.grants[grants:]
        if self.opened and self._state.server is not None and self._peer is not None:
            self._state.server.table.release(self._peer, self.opened[opened:])
            del self.opened[opened:]


class Handed:
    """The last grants that went over a connection; if the other side dies they may be unclaimed."""

    __slots__ = ("_grants", "_later")

    def __init__(self) -> None:
        self._later: Callable[[Callable[[], object]], object] | None = None
        self._grants: collections.deque[
            tuple[weakref.ref[Grantor], Callable[[str], object] | None, str]
        ] = collections.deque(maxlen=MOST_HANDED)

    def add(self, grants: Iterable[tuple[Grantor, str]]) -> None:
        """Remember what has arrived there."""
        self._grants.extend(
            (weakref.ref(grantor), grantor.heir, token) for grantor, token in grants
        )
        if self._later is not None:  # another thread was faster
            self._later(self.withdraw)

    def end(self, later: Callable[[Callable[[], object]], object]) -> None:
        """The other side is gone: take back in a while what it has not claimed by then.

        Parameters
        ----------
        later : callable
            Has a function called, from any thread, after `CLAIM_GRACE`.
        """
        self._later = later  # before it looks
        if self._grants:
            later(self.withdraw)

    def withdraw(self) -> None:
        """Take back those that were not claimed."""
        while self._grants:
            reference, heir, token = self._grants.popleft()
            grantor = reference()
            if grantor is not None:
                grantor.withdraw(token)
            elif heir is not None:
                heir(token)


def resolve(
    runtime: Runtime,
    owner: ServerCore | None,
    came_over: Channel | None,
    peer: str,
    host: str,
    reference: Reference,
) -> object:
    """Return what to hold for a reference that arrived.

    Parameters
    ----------
    runtime : Runtime
    owner : ServerCore or None
        The receiving thread's server: its own objects become themselves again.
    came_over : Channel or None
        The channel whose server has sent it, which then holds the lease.
    peer : str
        What the sender is called here; or, of a server, what we are called there.
    host : str
        Where its sender is, as seen from here; empty for this host.
    reference : Reference

    Raises
    ------
    RPCError
        If there is nothing that it could stand for, it cannot be reached from
        here, or it is refused.
    """
    if reference.ref.startswith(("@", "#")):
        # It would be used here in the name of this process, wherever it leads.
        raise ProtocolError(
            "a reference names what its sender holds, not what is published or is still to come"
        )
    server_id = reference.object_id.partition(".")[0]
    if owner is not None and server_id == owner.server_id:
        obj = owner.take_back(reference, peer)
        if came_over is not None and not reference.token:
            came_over.holder.open_lease(reference.ref)  # which gives it back at once
        return obj
    if not reference.token and came_over is not None:
        # The server's own: reached as the server is, whatever that calls itself.
        address = came_over.address
        lease = came_over.holder.open_lease(reference.ref)
    elif reference.token:
        try:
            address = seen_from_here(reference.address, host)
        except ValueError as error:
            raise SerializationError(str(error)) from None
        client = runtime.thread().clients.get(address)
        if client is None or client.closed():
            client = runtime.links.link(address, server_id).new_client(runtime)
        lease = client.channel.holder.claim(reference.ref, reference.token)
    else:
        raise SerializationError("a proxy arrived that nobody has granted a lease for")
    link = runtime.links.link(address, server_id)
    attributes = tuple(reference.attributes)
    # There may be very many proxies: what they have in common is kept once.
    bare = Reference(
        sys.intern(reference.address),
        reference.ref,
        reference.object_id,
        sys.intern(reference.type_name),
        _NO_ATTRIBUTES,
        "",
    )
    return ObjectProxy(bare, link, lease, attributes)


_NO_ATTRIBUTES: list[str] = []
