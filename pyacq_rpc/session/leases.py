"""Who holds which object: the owner's table of references and their leases.

The rules, from the owner's point of view:

* Each time an object is sent by proxy a new *reference* to it is made, and the
  receiving process holds one *lease* of it. Who holds none is told the same as if
  there were no such reference; the owner itself needs none.
* A holder that hands the reference on *grants* a token for one more lease,
  which the receiver *claims*. The grant keeps the object alive in between, so
  the giver may release its own lease at once. A claim may overtake its grant,
  since the two come over different connections; then the token itself has to
  prove that it was given by a holder (see `tokens`).
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
from .tokens import LONGEST, SEAL, is_seal, name_in

__all__ = ["LOCAL", "ObjectTable", "new_token"]

LOCAL = "local"
"""The peer name under which a server's own process holds leases."""

MAX_EARLY = 100_000
"""How many claims of a peer may be ahead of their grants before the oldest is forgotten."""

SPARE = 100
"""How many claims of a reference are remembered for a peer, beyond those that it still holds."""


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

    __slots__ = ("claimed", "early", "granted", "leases")

    def __init__(self) -> None:
        self.leases: dict[str, int] = {}
        self.granted: dict[str, str] = {}  # name of the grant: ref
        self.claimed: dict[str, list[str]] = {}  # ref: names of the grants, the oldest first
        self.early: dict[str, None] = {}  # names of grants that are still to come


class ObjectTable:
    """References to local objects that other processes hold.

    The methods may be called from any thread. Objects are let go of outside
    the table's lock, in the thread of the call.

    Examples
    --------
    >>> table = ObjectTable()
    >>> thing = object()
    >>> ref = table.open(thing, peer="A")
    >>> table.get(ref, peer="A") is thing
    True
    >>> table.get(ref, peer="B")
    Traceback (most recent call last):
        ...
    pyacq_rpc.errors.ReferenceReleased: reference ... is not held by this client: ...
    >>> table.release("A", [ref])
    >>> len(table)
    0
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._entries: dict[str, _Entry] = {}
        self._peers: dict[str, _Peer] = {}
        # By the names of grants: the reference, and who has granted or claimed it.
        self._grants: dict[str, tuple[str, str]] = {}
        self._claimed: dict[str, tuple[str, str]] = {}
        self._early: dict[str, str] = {}  # who has claimed what is still to be granted
        self.later: collections.deque[tuple[str, str]] = collections.deque()

    def __len__(self) -> int:
        """Number of live references."""
        self.collect()
        return len(self._entries)

    def held_by_others(self) -> tuple[int, int]:
        """Return how many references processes other than the owner's hold, and how many grants.

        One that two processes hold counts twice.
        """
        with self._lock:
            count = sum(len(one.leases) for peer, one in self._peers.items() if peer != LOCAL)
            return count, len(self._grants)

    def open(self, obj: object, peer: str) -> str:
        """Make a reference to `obj`, of which `peer` holds one lease."""
        ref = new_token()
        with self._lock:
            entry = self._entries[ref] = _Entry(obj)
            entry.count = 1
            self._account(peer).leases[ref] = 1
        return ref

    def get(self, ref: str, peer: str) -> object:
        """Return the object of a reference that `peer` holds.

        Raises
        ------
        ReferenceReleased
            If it does not, or not any more.
        """
        account = self._peers.get(peer)
        if peer == LOCAL or (account is not None and ref in account.leases):
            entry = self._entries.get(ref)
            if entry is not None:
                return entry.obj
        raise _not_held(ref)

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
                    self._forget_claims(peer, ref)
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
        name = name_in(token)
        with self._lock:
            claimer = self._early.pop(name, None)
            if claimer is not None:
                early = self._account(claimer)
                early.early.pop(name, None)
                if not (early.leases or early.granted or early.early):
                    del self._peers[claimer]
                return
            entry = self._entries.get(ref)
            if entry is None or name in self._grants or name in self._claimed:
                return  # revoked meanwhile, or no new grant
            account = self._peers.get(peer)
            if account is None or ref not in account.leases:
                # Its own claim may be on its way over another connection.
                if not self._is_proven(ref, token):
                    return
                account = self._account(peer)
            entry.count += 1
            self._grants[name] = (ref, peer)
            account.granted[name] = ref

    def claim(self, peer: str, ref: str, token: str) -> bool:
        """Turn the grant of `token` into a lease that `peer` holds; whether it holds one now.

        A claim that was made before is nothing new: a process makes the same
        one over each connection over which it uses the reference.
        """
        dropped = None
        name = name_in(token)
        with self._lock:
            grant = self._grants.pop(name, None)
            entry = self._entries.get(ref)
            if grant is not None:
                granted_ref, granter = grant
                self._account(granter).granted.pop(name, None)
                if granted_ref != ref:
                    dropped = self._drop(granted_ref)
                    entry = None
            elif self._claimed.get(name) == (ref, peer):
                return True
            elif entry is not None and self._is_proven(ref, token):
                entry.count += 1
                self._note_early(peer, name)
            else:
                entry = None
            if entry is not None:
                self._note_claim(peer, ref, name)
        del dropped
        return entry is not None

    def withdraw(self, peer: str, token: str) -> None:
        """Forget a grant of `peer` whose receiver will not claim it."""
        dropped = None
        name = name_in(token)
        with self._lock:
            grant = self._grants.get(name)
            if grant is not None and grant[1] == peer:
                del self._grants[name]
                self._account(peer).granted.pop(name, None)
                dropped = self._drop(grant[0])
        del dropped

    def check(self, peer: str, ref: str, token: str) -> None:
        """See to it that `peer` may send a reference home to its owner, with this token or none.

        Raises
        ------
        ReferenceReleased
            If it may not.
        """
        if not token:
            self.get(ref, peer)
            return
        with self._lock:
            grant = self._grants.get(name_in(token))
            proven = self._is_proven(ref, token) if grant is None else grant[0] == ref
            if not (proven and ref in self._entries):
                raise _not_held(ref)

    def consume(self, peer: str, token: str) -> None:
        """A granted reference has come home to its owner from `peer`: end the grant."""
        dropped = None
        name = name_in(token)
        with self._lock:
            grant = self._grants.pop(name, None)
            if grant is None:
                self._note_early(peer, name)
            else:
                self._account(grant[1]).granted.pop(name, None)
                dropped = self._drop(grant[0])
        del dropped

    def revoke(self, ref: str, peer: str) -> None:
        """Forget a reference that `peer` holds, whoever else does.

        Raises
        ------
        ReferenceReleased
            If it does not, or not any more.
        """
        with self._lock:
            obj = self.get(ref, peer)
            del self._entries[ref]
            for holder in self._peers:
                self._take_from(holder, ref)
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
                self._forget_claims(peer, ref)
                for _ in range(held):
                    dropped.append(self._drop(ref))
            if not (account.granted or account.early):
                del self._peers[peer]

    def expire_peer(self, peer: str) -> None:
        """Withdraw what a process that is gone had granted."""
        dropped = []
        with self._lock:
            account = self._peers.get(peer)
            if account is None or account.leases:
                return
            for name in account.granted:
                ref, _ = self._grants.pop(name)
                dropped.append(self._drop(ref))
            for name in account.early:
                self._forget_early(peer, name)
            del self._peers[peer]

    def clear(self) -> None:
        """Forget everything; for a server that closes."""
        with self._lock:
            entries = self._entries
            self._entries = {}
            self._peers = {}
            self._grants = {}
            self._claimed = {}
            self._early = {}
            self.later.clear()
        del entries

    def _account(self, peer: str) -> _Peer:
        account = self._peers.get(peer)
        if account is None:
            account = self._peers[peer] = _Peer()
        return account

    def _is_proven(self, ref: str, token: str) -> bool:
        """Whether a token whose grant is not on the books was given by somebody entitled to."""
        name, *proofs = token.split(".", LONGEST)
        for proof in proofs:
            if proof.startswith(SEAL):
                return any(
                    ref in account.leases and is_seal(proof, name, ref, peer)
                    for peer, account in self._peers.items()
                    if peer != LOCAL  # no secret; what it grants is on the books before it is sent
                )
            name = proof
            known = self._grants.get(name) or self._claimed.get(name)
            if known is not None and known[0] == ref:
                return True
        return False

    def _note_claim(self, peer: str, ref: str, name: str) -> None:
        account = self._account(peer)
        held = account.leases[ref] = account.leases.get(ref, 0) + 1
        names = account.claimed.setdefault(ref, [])
        names.append(name)
        self._claimed[name] = (ref, peer)
        if len(names) > held + SPARE:
            self._forget_claim(peer, ref, names.pop(0))

    def _forget_claims(self, peer: str, ref: str) -> None:
        # Whatever else was to follow these claims comes before the release.
        for name in self._peers[peer].claimed.pop(ref, ()):
            self._forget_claim(peer, ref, name)

    def _forget_claim(self, peer: str, ref: str, name: str) -> None:
        if self._claimed.get(name) == (ref, peer):  # and not somebody else by now
            del self._claimed[name]

    def _note_early(self, peer: str, name: str) -> None:
        early = self._account(peer).early
        early[name] = None
        self._early[name] = peer
        if len(early) > MAX_EARLY:  # those whose granter has died meanwhile
            oldest = next(iter(early))
            del early[oldest]
            self._forget_early(peer, oldest)

    def _forget_early(self, peer: str, name: str) -> None:
        if self._early.get(name) == peer:  # and not somebody else by now
            del self._early[name]

    def _take_from(self, peer: str, ref: str) -> None:
        if self._peers[peer].leases.pop(ref, None):
            self._forget_claims(peer, ref)

    def _drop(self, ref: str) -> object:
        """Count one holder less; return what must outlive the lock."""
        entry = self._entries.get(ref)
        if entry is None:
            return None
        entry.count -= 1
        if entry.count <= 0:
            del self._entries[ref]
        return entry.obj


def _not_held(ref: str) -> ReferenceReleased:
    # The same for a reference that others hold: they are nobody else's business.
    return ReferenceReleased(
        f"reference {ref} is not held by this client: it was released or deleted,"
        " was given to somebody else, or belongs to an earlier server at this address"
    )
