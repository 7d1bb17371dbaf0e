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
    multiple,
    precondition,
    rule,
)

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session import leases
from pyacq_rpc.session.leases import ObjectTable, new_token


class Thing:
    pass


@pytest.fixture
def table():
    return ObjectTable()


def opened(table, peer="A"):
    """A reference, and a function that says whether its object is alive."""
    thing = Thing()
    return table.open(thing, peer), weakref.ref(thing)


class TestLeases:
    def test_the_opener_holds_one(self, table):
        ref, thing = opened(table)
        assert table.get(ref) is thing()
        table.release("A", [ref])
        assert thing() is None
        assert len(table) == 0

    def test_only_the_holder_can_release(self, table):
        ref, thing = opened(table)
        table.release("B", [ref])
        assert thing() is not None

    def test_a_lease_is_given_back_once(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.claim("B", ref, "t")
        table.release("A", [ref, ref, ref])
        assert thing() is not None
        table.release("B", [ref])
        assert thing() is None

    def test_each_opening_is_a_reference_of_its_own(self, table):
        thing = Thing()
        refs = {table.open(thing, "A"), table.open(thing, "A")}
        assert len(refs) == len(table) == 2

    def test_a_reference_that_is_not_held_says_why(self, table):
        with pytest.raises(ReferenceReleased, match="released or deleted"):
            table.get("nothing")

    def test_release_later_takes_effect_with_the_next_look(self, table):
        ref, thing = opened(table)
        table.release_later("A", ref)
        assert thing() is not None
        table.collect()
        assert thing() is None

    def test_clear_forgets_everything(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.release_later("A", ref)
        table.clear()
        assert (len(table), thing()) == (0, None)


class TestGrants:
    def test_a_grant_keeps_the_object_until_it_is_claimed(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.release("A", [ref])
        table.claim("B", ref, "t")
        assert table.get(ref) is thing()
        table.release("B", [ref])
        assert thing() is None

    def test_a_claim_may_overtake_its_grant(self, table):
        ref, thing = opened(table)
        table.claim("B", ref, "t")
        table.grant("A", ref, "t")
        assert table._early == {}
        table.release("A", [ref])
        assert thing() is not None
        table.release("B", [ref])
        assert thing() is None

    def test_a_grant_is_claimed_once(self, table):
        """Whoever claims it again holds a lease of their own, as an early claim."""
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.claim("B", ref, "t")
        table.claim("B", ref, "t")
        table.release("B", [ref])
        table.release("A", [ref])
        assert thing() is not None
        table.release("B", [ref])
        assert thing() is None

    def test_only_a_holder_can_grant(self, table):
        ref, thing = opened(table)
        table.grant("B", ref, "t")
        table.release("A", [ref])
        assert thing() is None

    def test_only_the_granter_can_withdraw(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.release("A", [ref])
        table.withdraw("B", "t")
        assert thing() is not None
        table.withdraw("A", "t")
        assert thing() is None

    def test_withdrawing_what_was_claimed_changes_nothing(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.claim("B", ref, "t")
        table.withdraw("A", "t")
        table.release("A", [ref])
        assert thing() is not None

    def test_a_token_claims_its_own_reference_only(self, table):
        ref, thing = opened(table)
        other, other_thing = opened(table)
        table.grant("A", ref, "t")
        table.release("A", [ref])
        table.claim("B", other, "t")
        assert thing() is None
        table.release("A", [other])
        assert other_thing() is None

    def test_an_offer_is_a_grant_without_a_lease(self, table):
        thing = Thing()
        ref = table.offer(thing, "local", "t")
        table.release("local", [ref])
        assert table.get(ref) is thing
        table.claim("B", ref, "t")
        table.release("B", [ref])
        assert len(table) == 0

    def test_a_reference_that_comes_home_ends_its_grant(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.release("A", [ref])
        table.consume("t")
        assert thing() is None

    def test_it_may_come_home_before_the_grant(self, table):
        ref, thing = opened(table)
        table.consume("t")
        table.grant("A", ref, "t")
        table.release("A", [ref])
        assert thing() is None

    def test_claims_without_a_grant_are_remembered_up_to_a_limit(self, table, monkeypatch):
        monkeypatch.setattr(leases, "MAX_EARLY", 10)
        ref, _ = opened(table)
        for i in range(100):
            table.claim("B", ref, str(i))
        assert len(table._early) == 10


class TestEnds:
    def test_a_peer_that_is_gone_gives_all_back(self, table):
        things = [opened(table)[1] for _ in range(3)]
        table.drop_peer("A")
        assert [thing() for thing in things] == [None] * 3

    def test_its_grants_stay_for_a_slow_receiver(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.drop_peer("A")
        assert thing() is not None
        table.claim("B", ref, "t")
        table.expire_peer("A")
        assert thing() is not None
        table.release("B", [ref])
        assert thing() is None

    def test_its_grants_expire(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.drop_peer("A")
        table.expire_peer("A")
        assert thing() is None

    def test_the_grants_of_a_peer_that_came_back_do_not(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.drop_peer("A")
        opened(table)
        again, _ = opened(table)
        table.expire_peer("A")
        assert table.get(ref) is thing()
        assert table.get(again)

    def test_revoking_ends_it_for_everybody(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.grant("A", ref, "u")
        table.claim("B", ref, "u")
        table.revoke(ref)
        assert thing() is None
        for late in (
            lambda: table.claim("C", ref, "t"),
            lambda: table.release("A", [ref]),
            lambda: table.grant("A", ref, "v"),
            lambda: table.drop_peer("A"),
            lambda: table.expire_peer("A"),
        ):
            late()
        assert len(table) == 0
        with pytest.raises(ReferenceReleased):
            table.revoke(ref)

    def test_another_reference_to_the_object_is_not_revoked(self, table):
        thing = Thing()
        ref, other = table.open(thing, "A"), table.open(thing, "A")
        table.revoke(ref)
        assert table.get(other) is thing

    def test_strangers_leave_no_account(self, table):
        """Or whoever grants what they do not hold would take memory."""
        for peer in "BCD":
            table.grant(peer, "nothing", "t")
            table.withdraw(peer, "t")
            table.release(peer, ["nothing"])
        assert table._peers == {}


class Finalized:
    """Uses the table when it is let go of, as a proxy of a proxy does."""

    def __init__(self, table):
        self.table = table

    def __del__(self):
        thread = threading.Thread(target=self.table.open, args=(Thing(), "Z"))
        thread.start()
        thread.join(5)
        self.table.freed_outside = not thread.is_alive()


@pytest.mark.parametrize(
    "let_go",
    [
        lambda table, ref: table.release("A", [ref]),
        lambda table, ref: table.revoke(ref),
        lambda table, ref: table.drop_peer("A"),
        lambda table, ref: table.clear(),
        lambda table, ref: (
            table.grant("A", ref, "t"),
            table.release("A", [ref]),
            table.withdraw("A", "t"),
        ),
        lambda table, ref: (
            table.grant("A", ref, "t"),
            table.release("A", [ref]),
            table.consume("t"),
        ),
        lambda table, ref: (
            table.grant("A", ref, "t"),
            table.release("A", [ref]),
            table.claim("B", "x", "t"),
        ),
        lambda table, ref: (
            table.grant("A", ref, "t"),
            table.drop_peer("A"),
            table.expire_peer("A"),
        ),
    ],
    ids=["release", "revoke", "drop", "clear", "withdraw", "consume", "claim", "expire"],
)
def test_objects_are_let_go_of_outside_the_lock(let_go):
    """Their own ends may take any lock, or use the table from another thread."""

    class Table(ObjectTable):
        freed_outside = False

    table = Table()
    ref = table.open(Finalized(table), "A")
    let_go(table, ref)
    assert table.freed_outside


def test_tokens_are_twelve_characters_and_never_the_same():
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert {len(token) for token in tokens} == {12}


PEERS = st.sampled_from(["A", "B", "C", "local"])


class Books(RuleBasedStateMachine):
    """Everything that may happen, in any order, against books kept the long way.

    For each reference the model lists who holds leases (once for each) and
    which grants are open. Claims may come before their grants; a token that
    has been handed over stays in flight until either side has arrived.
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
        self.early: set[str] = set()
        self.revoked: set[str] = set()

    # -- what the model says ---------------------------------------------------

    def alive(self, ref: str) -> bool:
        granted = any(ref == granted_ref for granted_ref, _ in self.grants.values())
        return ref not in self.revoked and (bool(self.held[ref]) or granted)

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
        ref = self.table.offer(thing, "local", token)
        self.things[ref] = weakref.ref(thing)
        self.held[ref] = []
        self.grants[token] = (ref, "local")
        return (ref, token)

    @rule(target=granted, ref=references, peer=PEERS)
    def grant(self, ref, peer):
        token = new_token()
        self.table.grant(peer, ref, token)
        if peer in self.held[ref] and ref not in self.revoked:
            self.grants[token] = (ref, peer)
        return (ref, token)

    @rule(target=in_flight, ref=references, peer=PEERS)
    def hand_on(self, ref, peer):
        """The receiver of a message may act before the granter's own word arrives."""
        return (ref, peer, new_token()) if peer in self.held[ref] else multiple()

    @rule(target=in_flight, flight=consumes(in_flight), peer=PEERS)
    def claim_early(self, flight, peer):
        ref, _, token = flight
        # The giver keeps its lease until its grant has been sent.
        was_alive = self.alive(ref)
        self.table.claim(peer, ref, token)
        if was_alive:
            self.held[ref].append(peer)
            self.early.add(token)
        return multiple()

    @rule(target=granted, flight=consumes(in_flight))
    def grant_arrives(self, flight):
        ref, peer, token = flight
        self.table.grant(peer, ref, token)
        if peer in self.held[ref] and ref not in self.revoked:
            self.grants[token] = (ref, peer)
        return (ref, token)

    @rule(ref=references, granter=PEERS, claimer=PEERS)
    def claim_overtakes_its_grant(self, ref, granter, claimer):
        if granter not in self.held[ref] or ref in self.revoked:
            return
        token = new_token()
        self.table.claim(claimer, ref, token)
        self.table.grant(granter, ref, token)
        self.held[ref].append(claimer)

    @rule(grant=granted, peer=PEERS)
    def claim(self, grant, peer):
        ref, token = grant
        if token not in self.grants:
            return  # claimed before, or never good
        self.table.claim(peer, ref, token)
        del self.grants[token]
        if ref not in self.revoked:
            self.held[ref].append(peer)

    @rule(grant=granted)
    def comes_home(self, grant):
        _, token = grant
        if token in self.grants:
            self.table.consume(token)
            del self.grants[token]

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

    @rule(ref=references)
    def revoke(self, ref):
        if self.alive(ref):
            self.table.revoke(ref)
        else:
            with pytest.raises(ReferenceReleased):
                self.table.revoke(ref)
        self.revoked.add(ref)
        self.held[ref] = []

    @rule(peer=PEERS)
    def die(self, peer):
        self.table.drop_peer(peer)
        for ref, holders in self.held.items():
            self.held[ref] = [holder for holder in holders if holder != peer]

    @precondition(lambda self: self.grants)
    @rule(peer=PEERS)
    def expire(self, peer):
        self.table.expire_peer(peer)
        if not any(peer in holders for holders in self.held.values()):
            self.grants = {t: g for t, g in self.grants.items() if g[1] != peer}

    @invariant()
    def an_object_lives_as_long_as_somebody_holds_it(self):
        assert len(self.table) == sum(map(self.alive, self.held))
        for ref, thing in self.things.items():
            assert (thing() is not None) == self.alive(ref)

    def teardown(self):
        for peer in ("A", "B", "C", "local"):
            self.table.drop_peer(peer)
        for peer in ("A", "B", "C", "local"):
            self.table.expire_peer(peer)
        assert len(self.table) == 0
        assert self.table._peers == {}
        assert self.table._grants == {}
        assert all(thing() is None for thing in self.things.values())


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


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


def test_a_token_that_is_granted_twice_keeps_nothing_longer(table):
    ref = table.open(Thing(), "A")
    table.grant("A", ref, "token")
    table.grant("A", ref, "token")
    table.withdraw("A", "token")
    table.release("A", [ref])
    assert len(table) == 0
