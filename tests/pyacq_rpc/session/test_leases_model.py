"""The books of leases, in any order of events: against books kept the long way, and by threads."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)
from leasing import Thing, holds

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session.leases import LOCAL, ObjectTable, new_token
from pyacq_rpc.session.tokens import token_of_claimer, token_of_holder

PEERS = st.sampled_from(["A", "B", "C", LOCAL])


class Books(RuleBasedStateMachine):
    """Everything that may happen, in any order, against books kept the long way.

    For each reference the model lists who holds leases (once for each) and
    which grants are open. Claims may come before their grants, and before the
    claims of their granters. Everybody also tries what they are not entitled to.
    """

    references = Bundle("references")
    in_flight = Bundle("in_flight")  # granted by a message that is still to come
    granted = Bundle("granted")

    @initialize()
    def begin(self) -> None:
        self.table = ObjectTable()
        self.things: dict[str, weakref.ref[Thing]] = {}
        self.held: dict[str, list[str]] = {}
        self.grants: dict[str, tuple[str, str]] = {}  # token: (ref, granter)
        self.claimed: dict[str, tuple[str, str]] = {}  # token: (ref, claimer)
        self.early: dict[str, str] = {}  # token: claimer
        self.given: dict[str, tuple[str, str, str | None]] = {}  # token: (ref, giver, its own)
        self.revoked: set[str] = set()

    # -- what the model says ---------------------------------------------------

    def alive(self, ref: str) -> bool:
        granted = any(ref == granted_ref for granted_ref, _ in self.grants.values())
        return ref not in self.revoked and (bool(self.held[ref]) or granted)

    def entitled(self, ref: str, token: str) -> bool:
        """Whether a token whose grant has not come can be traced to somebody entitled."""
        given_ref, giver, came_with = self.given[token]
        if given_ref != ref or not self.alive(ref):
            return False
        if came_with is None:
            return giver != LOCAL and giver in self.held[ref]
        known = came_with in self.grants or came_with in self.claimed
        return known or self.entitled(ref, came_with)

    def give(self, ref: str, peer: str, came_with: str | None = None) -> str:
        name = new_token()
        if came_with is None:
            token = token_of_holder(name, ref, peer)
        else:
            token = token_of_claimer(name, came_with)
        self.given[token] = (ref, peer, came_with)
        return token

    def book_grant(self, peer: str, ref: str, token: str) -> None:
        if token in self.early:
            del self.early[token]
            return
        new = ref not in self.revoked and token not in self.grants and token not in self.claimed
        if new and (peer in self.held[ref] or self.entitled(ref, token)):
            self.grants[token] = (ref, peer)

    def lose(self, ref: str, peer: str) -> None:
        """Without a lease, what it was claimed with proves nothing any more."""
        if peer not in self.held[ref]:
            self.claimed = {t: c for t, c in self.claimed.items() if c != (ref, peer)}

    # -- what is right -----------------------------------------------------------

    @rule(target=references, peer=PEERS)
    def open(self, peer):
        thing = Thing()
        ref = self.table.open(thing, peer)
        self.things[ref] = weakref.ref(thing)
        self.held[ref] = [peer]
        return ref

    @rule(target=granted)
    def offer(self):
        thing, token = Thing(), new_token()
        ref = self.table.offer(thing, LOCAL, token)
        self.things[ref] = weakref.ref(thing)
        self.held[ref] = []
        self.grants[token] = (ref, LOCAL)
        self.given[token] = (ref, LOCAL, None)
        return (ref, token)

    @rule(target=granted, ref=references, peer=PEERS)
    def grant(self, ref, peer):
        token = self.give(ref, peer)
        self.table.grant(peer, ref, token)
        self.book_grant(peer, ref, token)
        return (ref, token)

    @rule(target=in_flight, ref=references, peer=PEERS)
    def hand_on(self, ref, peer):
        """The receiver of a message may act before the granter's own word arrives."""
        return (ref, peer, self.give(ref, peer))

    @rule(target=in_flight, flight=in_flight, peer=PEERS)
    def hand_on_what_came_just_now(self, flight, peer):
        """So may the receiver's receiver."""
        ref, _, token = flight
        return (ref, peer, self.give(ref, peer, token))

    @rule(target=in_flight, grant=granted, peer=PEERS)
    def hand_on_what_was_granted(self, grant, peer):
        ref, token = grant
        return (ref, peer, self.give(ref, peer, token))

    @rule(flight=in_flight, peer=PEERS)
    def claim_early(self, flight, peer):
        self.claim(flight[::2], peer)

    @rule(target=granted, flight=consumes(in_flight))
    def grant_arrives(self, flight):
        ref, peer, token = flight
        self.table.grant(peer, ref, token)
        self.book_grant(peer, ref, token)
        return (ref, token)

    @rule(grant=granted, peer=PEERS)
    def claim(self, grant, peer):
        ref, token = grant
        good = self.alive(ref)
        if token in self.grants:
            del self.grants[token]
        elif self.claimed.get(token) == (ref, peer):
            assert self.table.claim(peer, ref, token)
            return
        elif good and self.entitled(ref, token):
            self.early[token] = peer
        else:
            good = False
        assert self.table.claim(peer, ref, token) == good
        if good:
            self.held[ref].append(peer)
            self.claimed[token] = (ref, peer)

    @rule(grant=st.one_of(granted, in_flight), peer=PEERS)
    def comes_home(self, grant, peer):
        ref, token = grant[0], grant[-1]
        good = self.alive(ref) and (token in self.grants or self.entitled(ref, token))
        if not good:
            with pytest.raises(ReferenceReleased):
                self.table.check(peer, ref, token)
            return
        self.table.check(peer, ref, token)
        self.table.consume(peer, token)
        if self.grants.pop(token, None) is None:
            self.early[token] = peer

    @rule(grant=granted, peer=PEERS)
    def withdraw(self, grant, peer):
        _, token = grant
        self.table.withdraw(peer, token)
        if self.grants.get(token, ("", ""))[1] == peer:
            del self.grants[token]

    @rule(ref=references, peer=PEERS, later=st.booleans())
    def release(self, ref, peer, later):
        if later:
            self.table.release_later(peer, ref)
            self.table.collect()
        else:
            self.table.release(peer, [ref])
        if peer in self.held[ref]:
            self.held[ref].remove(peer)
        self.lose(ref, peer)

    @rule(ref=references, peer=PEERS)
    def revoke(self, ref, peer):
        if not self.alive(ref) or (peer != LOCAL and peer not in self.held[ref]):
            with pytest.raises(ReferenceReleased):
                self.table.revoke(ref, peer)
            return
        self.table.revoke(ref, peer)
        self.revoked.add(ref)
        holders, self.held[ref] = self.held[ref], []
        for holder in holders:
            self.lose(ref, holder)

    @rule(peer=PEERS)
    def die(self, peer):
        self.table.drop_peer(peer)
        for ref, holders in self.held.items():
            self.held[ref] = [holder for holder in holders if holder != peer]
            self.lose(ref, peer)

    @rule(peer=PEERS)
    def expire(self, peer):
        self.table.expire_peer(peer)
        if not any(peer in holders for holders in self.held.values()):
            self.grants = {t: g for t, g in self.grants.items() if g[1] != peer}
            self.early = {t: claimer for t, claimer in self.early.items() if claimer != peer}

    # -- what is not ---------------------------------------------------------------

    @rule(ref=references, peer=PEERS, other=references)
    def make_up_a_token(self, ref, peer, other):
        for token in (
            new_token(),
            token_of_holder(new_token(), ref, "thief"),
            token_of_holder(new_token(), ref, LOCAL),
            token_of_claimer(new_token(), token_of_holder(new_token(), ref, "thief")),
        ):
            assert not self.table.claim(peer, ref, token)
            with pytest.raises(ReferenceReleased):
                self.table.check(peer, ref, token)
            self.table.withdraw(peer, token)
            self.table.grant("thief", ref, token)
        self.table.release("thief", [ref, other])

    @invariant()
    def who_holds_it_and_nobody_else_can_use_it(self):
        for ref, holders in self.held.items():
            for peer in ("A", "B", "C", "thief"):
                assert holds(self.table, ref, peer) == (peer in holders)

    @invariant()
    def an_object_lives_as_long_as_somebody_holds_it(self):
        assert len(self.table) == sum(map(self.alive, self.held))
        for ref, thing in self.things.items():
            assert (thing() is not None) == self.alive(ref)

    def teardown(self):
        for peer in ("A", "B", "C", LOCAL):
            self.table.drop_peer(peer)
        for peer in ("A", "B", "C", LOCAL):
            self.table.expire_peer(peer)
        assert len(self.table) == 0
        assert self.table._peers == {}
        assert self.table._grants == self.table._claimed == self.table._early == {}
        assert all(thing() is None for thing in self.things.values())


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=200, stateful_step_count=40)


def test_many_threads_keep_the_books(table):
    """Leases taken and given back by threads at once leave nothing."""

    def work(peer):
        for _ in range(300):
            ref = table.open(Thing(), peer)
            token = new_token()
            table.grant(peer, ref, token)
            table.release_later(peer, ref)
            table.claim("other", ref, token)
            table.collect()
            table.release("other", [ref])

    threads = [threading.Thread(target=work, args=(peer,)) for peer in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert len(table) == 0
