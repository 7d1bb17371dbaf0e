"""The leases that a client holds of its server: taken up, handed on, given back.

The server's side of this is in `session.leases`. Leases belong to the process, and
come over the connection of one of its threads, which has one `LeaseHolder`.
"""

from __future__ import annotations

import collections
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..session.holding import Lease
from ..session.leases import new_token
from ..session.tokens import token_of_claimer, token_of_holder
from ..wire import messages

if TYPE_CHECKING:
    from .runtime import Runtime

__all__ = ["Carrier", "LeaseHolder"]


class Carrier(Protocol):
    """What takes messages to the server, in the order in which it is given them: a channel."""

    def note(self, message: messages.Message) -> None:
        """Send a message that has no answer, from any thread."""

    def send_releases(self) -> bool:
        """Send what the holder has in `released`; False if this has closed."""


class LeaseHolder:
    """Holds the leases that came over one connection; see `session.holding.Home`.

    Parameters
    ----------
    runtime : Runtime
    peer : str
        What this process calls itself towards the server.
    carrier : Carrier
    elsewhere : callable
        Takes a message that is for the server, when this connection and its carrier are gone.

    Attributes
    ----------
    peer : str
        The same: the name under which the server keeps the leases.
    heir : callable
        Withdraws a grant when this is gone; see `session.holding.Grantor`.
    arriving : dict
        Those that came with the message that is decoded. To be cleared when
        somebody has received that, and with it the leases.
    released : collections.deque
        The references whose leases are over, of which the server is still to be told.
    """

    def __init__(
        self,
        runtime: Runtime,
        peer: str,
        carrier: Carrier,
        elsewhere: Callable[[messages.Message], object],
    ) -> None:
        self.peer = peer
        # Not a method: it would keep this alive.
        self.heir = lambda token: elsewhere(messages.Withdraw(token))
        self.arriving: dict[str, Lease] = {}
        self.released: collections.deque[str] = collections.deque()
        self._runtime = runtime
        self._carrier = carrier
        self._release_noted = False
        self._leases_opened = 0
        self._leases_released = 0
        self._adopted: weakref.WeakKeyDictionary[Lease, Lease] | None = None  # mostly none

    # -- taking up -----------------------------------------------------------

    def open_lease(self, ref: str) -> Lease:
        """Take up the lease that came with a message of the server.

        It is the same one until that message has arrived: if decoding it was
        interrupted, it is decoded again, and of two leases the first to end
        would give back what the other one needs.
        """
        arriving = self.arriving
        if ref not in arriving:
            # In one step: it is made and kept, or not made.
            arriving |= zip((ref,), map(Lease, (ref,), (self,)))
            self._leases_opened += 1
        return arriving[ref]

    def claim(self, ref: str, token: str) -> Lease:
        """Take up the lease that somebody else has granted."""
        self._carrier.note(messages.Claim(ref, token))
        self._leases_opened += 1
        return Lease(ref, self, token)

    # -- using and handing on --------------------------------------------------

    def is_known(self, lease: Lease) -> bool:
        """Whether the server knows of a lease before it gets what is sent here next."""
        return lease.home is self or not (lease.token or lease.home.peer != self.peer)

    def introduce(self, lease: Lease) -> Lease:
        """See to it that the server does; return the lease that it then knows of.

        The claim may have gone over the channel of another thread, and still
        be on its way. And a server that is known by two addresses, or whose
        own process holds the lease, or the parent of a fork, takes those for
        different peers: then the one hands it on to the other.
        """
        if lease.home.peer == self.peer:
            token = lease.token
            if token:
                self._carrier.note(messages.Claim(lease.ref, token))
            return lease
        if self._adopted is None:
            self._adopted = weakref.WeakKeyDictionary()
        adopted = self._adopted.get(lease)
        if adopted is None:
            token = lease.home.grant(lease)
            adopted = self._adopted[lease] = self.claim(lease.ref, token)
        return adopted

    def grant(self, lease: Lease) -> str:
        """Grant one more lease of what `lease` holds; return the token that claims it."""
        name, claimed_with = new_token(), lease.token
        if claimed_with:
            token = token_of_claimer(name, claimed_with)
        else:
            token = token_of_holder(name, lease.ref, self.peer)
        self._carrier.note(messages.Grant(lease.ref, token))
        return token

    def withdraw(self, token: str) -> None:
        """Forget a grant that nobody will claim."""
        self._carrier.note(messages.Withdraw(token))

    # -- giving back -----------------------------------------------------------

    def release(self, ref: str) -> None:
        """Note that a lease is over; called by ``Lease.__del__``, never blocks."""
        if self._runtime.pid != os.getpid():
            return  # the child of a fork: the lease is the parent's
        self.released.append(ref)
        if not self._release_noted:
            self._release_noted = True
            self._runtime.watcher.note_release(self)

    def flush_releases(self) -> None:
        """Tell the server about the leases that are over."""
        self._release_noted = False
        if not self._carrier.send_releases() and self.released:
            # Another channel by this name will do. If none is open, the server has
            # taken the leases back already.
            self._carrier.note(messages.Release(self.take_released()))

    def take_released(self) -> list[str]:
        """Return what is in `released`, for a message that tells the server."""
        refs = [self.released.popleft() for _ in range(len(self.released))]
        self._leases_released += len(refs)
        return refs

    def live_leases(self) -> int:
        """Number of leases that were opened here and are not over yet."""
        return self._leases_opened - self._leases_released - len(self.released)
