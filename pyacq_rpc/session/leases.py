"""Who holds which object: the owner's table of references and their leases.

The rules, from the owner's point of view:

* Each time an object is sent by proxy a new *reference* to it is made, and the
  receiving process holds one *lease* of it.
* A holder that hands the reference on *grants* a token for one more lease,
  which the receiver *claims*. The grant keeps the object alive in between, so
  the giver may release its own lease at once. A claim may overtake its grant,
  since the two come over different connections.
* When the last lease and grant are gone the reference is forgotten, and with
  an object's last reference the table lets go of the object.
* Revoking forgets a reference at once, whoever holds it.
* When a process is gone, so are all its leases; its grants stay for a while,
  in case the receiver is only slow.
"""

from __future__ import annotations

import collections
import threading
from base64 import urlsafe_b64encode
from os import urandom

from ..errors import LimitExceeded, ReferenceReleased

__all__ = ["ObjectTable", "new_token"]

MAX_EARLY = 100_000
"""How many claims may be ahead of their grants before the oldest is forgotten."""


def new_token() -> str:
    """Return 12 random characters (72 bits), for naming things unguessably."""
    return urlsafe_b64encode(urandom(9)).decode("ascii")


class _Entry:
    __slots__ = ("count", "obj")

    def __init__(self, obj: object) -> None:
        self.obj = obj
        self.count = 0


class _Peer:
    """The account of one peer process."""

    __slots__ = ("granted", "leases")

    def __init__(self) -> None:
        self.leases: dict[str, int] = {}
        self.granted: dict[str, str] = {}  # token: ref


class ObjectTable:
    """References to local objects that other processes hold.

    The methods may be called from any thread. Objects are let go of outside
    the table's lock, in the thread of the call.

    Examples
    --------
    >>> table = ObjectTable()
    >>> thing = object()
    >>> ref = table.open(thing, peer="A")
    >>> table.get(ref) is thing
    True
    >>> table.release("A", [ref])
    >>> len(table)
    0
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._peers: dict[str, _Peer] = {}
        self._grants: dict[str, tuple[str, str]] = {}  # token: (ref, granting peer)
        self._early: dict[str, None] = {}  # tokens claimed before they were granted
        self.later: collections.deque[tuple[str, str]] = collections.deque()

    def __len__(self) -> int:
        """Number of live references."""
        self.collect()
        return len(self._entries)

    def open(self, obj: object, peer: str) -> str:
        """Make a reference to `obj`, of which `peer` holds one lease."""
        ref = new_token()
        with self._lock:
            entry = self._entries[ref] = _Entry(obj)
            entry.count = 1
            self._account(peer).leases[ref] = 1
        return ref

    def get(self, ref: str) -> object:
        """Return the object of a reference.

        Raises
        ------
        ReferenceReleased
            If the reference is not held any more.
        """
        entry = self._entries.get(ref)
        if entry is None:
            raise ReferenceReleased(
                f"reference {ref} is not held here any more: it was released or deleted,"
                " or belongs to an earlier server at this address"
            )
        return entry.obj

    def check_room(self, peer: str, limit: int) -> None:
        """Make sure that a peer may have one more lease, or grant of one.

        Raises
        ------
        LimitExceeded
            If it has as many as `limit`.
        """
        account = self._peers.get(peer)
        held = 0 if account is None else len(account.leases) + len(account.granted)
        if held >= limit:
            raise LimitExceeded(
                f"this process holds {held} references of the server already, and may hold no more:"
                " drop proxies that are not needed any more, or start the server with"
                " limits=Limits(leases=...)"
            )

    def release(self, peer: str, refs: list[str]) -> None:
        """Give back one lease of each of `refs` that `peer` holds."""
        dropped = []
        with self._lock:
            account = self._peers.get(peer)
            if account is None:
                return
            for ref in refs:
                held = account.leases.get(ref, 0)
                if held > 1:
                    account.leases[ref] = held - 1
                elif held:
                    del account.leases[ref]
                else:
                    continue
                dropped.append(self._drop(ref))

    def release_later(self, peer: str, ref: str) -> None:
        """Like `release` of one, but never blocks: made for ``__del__``."""
        self.later.append((peer, ref))

    def collect(self) -> None:
        """Do the releases that `release_later` has noted."""
        while self.later:
            try:
                peer, ref = self.later.popleft()
            except IndexError:  # another thread took the last one
                return
            self.release(peer, [ref])

    def offer(self, obj: object, peer: str, token: str) -> str:
        """Make a reference to `obj` that `peer` grants at once, for `token`."""
        with self._lock:
            ref = self.open(obj, peer)
            self.grant(peer, ref, token)
            self.release(peer, [ref])
        return ref

    def grant(self, peer: str, ref: str, token: str) -> None:
        """Keep `ref` alive until `token` is claimed or withdrawn."""
        with self._lock:
            if token in self._early:
                del self._early[token]
                return
            entry = self._entries.get(ref)
            account = self._peers.get(peer)
            if entry is None or account is None or ref not in account.leases:
                return  # revoked meanwhile, or never held
            if token in self._grants:
                return  # nobody grants twice by the same token: the first one is good
            entry.count += 1
            self._grants[token] = (ref, peer)
            account.granted[token] = ref

    def claim(self, peer: str, ref: str, token: str) -> None:
        """Turn the grant of `token` into a lease that `peer` holds."""
        dropped = None
        with self._lock:
            grant = self._grants.pop(token, None)
            entry = self._entries.get(ref)
            if grant is not None:
                granted_ref, granter = grant
                self._account(granter).granted.pop(token, None)
                if granted_ref != ref:
                    dropped = self._drop(granted_ref)
                    entry = None
            elif entry is not None:
                entry.count += 1
                self._note_early(token)
            if entry is not None:
                leases = self._account(peer).leases
                leases[ref] = leases.get(ref, 0) + 1
        del dropped

    def withdraw(self, peer: str, token: str) -> None:
        """Forget a grant of `peer` whose receiver will not claim it."""
        dropped = None
        with self._lock:
            grant = self._grants.get(token)
            if grant is not None and grant[1] == peer:
                del self._grants[token]
                self._account(peer).granted.pop(token, None)
                dropped = self._drop(grant[0])
        del dropped

    def consume(self, token: str) -> None:
        """A granted reference has come home to its owner: end the grant."""
        dropped = None
        with self._lock:
            grant = self._grants.pop(token, None)
            if grant is None:
                self._note_early(token)
            else:
                self._account(grant[1]).granted.pop(token, None)
                dropped = self._drop(grant[0])
        del dropped

    def revoke(self, ref: str) -> None:
        """Forget a reference, whoever holds it.

        Raises
        ------
        ReferenceReleased
            If it is not held any more.
        """
        with self._lock:
            obj = self.get(ref)
            del self._entries[ref]
            for account in self._peers.values():
                account.leases.pop(ref, None)
        del obj

    def drop_peer(self, peer: str) -> None:
        """Release all leases of a process that is gone; its grants stay."""
        dropped = []
        with self._lock:
            account = self._peers.get(peer)
            if account is None:
                return
            leases, account.leases = account.leases, {}
            for ref, held in leases.items():
                for _ in range(held):
                    dropped.append(self._drop(ref))
            if not account.granted:
                del self._peers[peer]

    def expire_peer(self, peer: str) -> None:
        """Withdraw what a process that is gone had granted."""
        dropped = []
        with self._lock:
            account = self._peers.get(peer)
            if account is None or account.leases:
                return
            for token in account.granted:
                ref, _ = self._grants.pop(token)
                dropped.append(self._drop(ref))
            del self._peers[peer]

    def clear(self) -> None:
        """Forget everything; for a server that closes."""
        with self._lock:
            entries = self._entries
            self._entries = {}
            self._peers = {}
            self._grants = {}
            self._early = {}
            self.later.clear()
        del entries

    def _account(self, peer: str) -> _Peer:
        account = self._peers.get(peer)
        if account is None:
            account = self._peers[peer] = _Peer()
        return account

    def _note_early(self, token: str) -> None:
        self._early[token] = None
        if len(self._early) > MAX_EARLY:  # those whose granter has died meanwhile
            del self._early[next(iter(self._early))]

    def _drop(self, ref: str) -> object:
        """Count one holder less; return what must outlive the lock."""
        entry = self._entries.get(ref)
        if entry is None:
            return None
        entry.count -= 1
        if entry.count <= 0:
            del self._entries[ref]
        return entry.obj
