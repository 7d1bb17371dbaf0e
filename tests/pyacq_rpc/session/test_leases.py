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

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session import leases
from pyacq_rpc.session.leases import LOCAL, ObjectTable, new_token
from pyacq_rpc.session.tokens import SEAL, seal, token_of_claimer, token_of_holder


class Thing:
    pass


@pytest.fixture
def table():
    return ObjectTable()


def opened(table, peer="A"):
    """A reference, and a function that says whether its object is alive."""
    thing = Thing()
    return table.open(thing, peer), weakref.ref(thing)


def sealed(ref, peer="A"):
    """A token for a grant of `peer`, which holds the reference."""
    return token_of_holder(new_token(), ref, peer)


def holds(table, ref, peer):
    """Whether a peer can use a reference."""
    try:
        return table.get(ref, peer) is not None
    except ReferenceReleased:
        return False


class TestLeases:
    def test_the_opener_holds_one(self, table):
        ref, thing = opened(table)
        assert table.get(ref, "A") is thing()
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
            table.get("nothing", "A")

    def test_what_another_peer_holds_is_as_if_it_were_not(self, table):
        ref, _ = opened(table)
        sentences = set()
        for use in (table.get, table.revoke, lambda *args: table.check("B", ref, "")):
            with pytest.raises(ReferenceReleased) as raised:
                use(ref, "B")
            sentences.add(str(raised.value))
        table.release("A", [ref])
        with pytest.raises(ReferenceReleased) as raised:
            table.get(ref, "B")
        assert sentences == {str(raised.value)}

    def test_the_owner_needs_no_lease(self, table):
        ref, thing = opened(table)
        assert table.get(ref, LOCAL) is thing()
        table.release(LOCAL, [ref])
        assert thing() is not None

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
        assert table.claim("B", ref, "t")
        assert table.get(ref, "B") is thing()
        table.release("B", [ref])
        assert thing() is None

    def test_a_claim_may_overtake_its_grant(self, table):
        ref, thing = opened(table)
        token = sealed(ref)
        assert table.claim("B", ref, token)
        assert table.get(ref, "B") is thing()
        table.grant("A", ref, token)
        assert table._early == {}
        table.release("A", [ref])
        assert thing() is not None
        table.release("B", [ref])
        assert thing() is None

    def test_a_claim_may_overtake_the_claim_of_its_granter(self, table):
        """Each hands on at once what it was handed; the last one comes first."""
        ref, thing = opened(table)
        to_b = sealed(ref)
        to_c = token_of_claimer(new_token(), to_b)
        to_d = token_of_claimer(new_token(), to_c)
        assert table.claim("D", ref, to_d)
        table.grant("A", ref, to_b)
        table.release("A", [ref])
        assert table.claim("B", ref, to_b)
        table.grant("B", ref, to_c)
        table.release("B", [ref])
        assert table.claim("C", ref, to_c)
        table.grant("C", ref, to_d)
        table.release("C", [ref])
        assert [holds(table, ref, peer) for peer in "ABCD"] == [False, False, False, True]
        table.release("D", [ref])
        assert thing() is None
        assert (table._grants, table._claimed, table._early, table._peers["D"].claimed) == (
            *({},) * 4,
        )

    @pytest.mark.parametrize("known", ["granted", "claimed"])
    def test_a_claim_is_good_if_a_grant_further_up_is_known(self, table, known):
        ref, _ = opened(table)
        to_b = sealed(ref)
        table.grant("A", ref, to_b)
        table.release("A", [ref])
        if known == "claimed":
            table.claim("B", ref, to_b)
        assert table.claim("C", ref, token_of_claimer(new_token(), to_b))

    def test_a_grant_may_overtake_the_claim_of_its_granter(self, table):
        """The one may go over another connection than the other."""
        ref, thing = opened(table)
        to_b = sealed(ref)
        to_c = token_of_claimer(new_token(), to_b)
        table.grant("B", ref, to_c)
        table.grant("A", ref, to_b)
        table.release("A", [ref])
        table.claim("B", ref, to_b)
        table.release("B", [ref])
        assert table.claim("C", ref, to_c)
        table.release("C", [ref])
        assert thing() is None

    def test_the_same_claim_over_another_connection_is_nothing_new(self, table):
        ref, thing = opened(table)
        token = sealed(ref)
        table.grant("A", ref, token)
        for _ in range(3):
            assert table.claim("B", ref, token)
        table.release("A", [ref])
        table.release("B", [ref])
        assert thing() is None
        assert table._claimed == {}

    def test_so_is_an_early_one(self, table):
        ref, thing = opened(table)
        token = sealed(ref)
        for _ in range(3):
            assert table.claim("B", ref, token)
        table.grant("A", ref, token)
        assert table.claim("B", ref, token)
        table.release("A", [ref])
        table.release("B", [ref])
        assert thing() is None

    def test_claims_that_are_remembered_are_few_beyond_those_held(self, table, monkeypatch):
        monkeypatch.setattr(leases, "SPARE", 5)
        ref, _ = opened(table)
        for _ in range(50):
            token = sealed(ref)
            table.grant("A", ref, token)
            table.claim("B", ref, token)
            if holds(table, ref, "B") and table._peers["B"].leases[ref] > 2:
                table.release("B", [ref])
        assert len(table._claimed) == len(table._peers["B"].claimed[ref]) <= 5 + 3

    @pytest.mark.parametrize(
        "make",
        [
            lambda ref: "",
            lambda ref: "made up",
            lambda ref: f"made up.{SEAL}",
            lambda ref: f"made up.{SEAL}{'A' * 12}",
            lambda ref: sealed(ref, "thief"),
            lambda ref: sealed(ref, "B"),
            lambda ref: sealed(ref, LOCAL),
            lambda ref: sealed("another one", "A"),
            lambda ref: f"made up.{sealed('another one', 'A')}",
            lambda ref: f"another name.{seal('a name', ref, 'A')}",
            lambda ref: "." * 1000,
            lambda ref: f"\ud800.{SEAL}\ud800",
        ],
    )
    def test_a_token_that_was_made_up_claims_nothing(self, table, make):
        ref, thing = opened(table)
        for_local = sealed(ref)
        table.grant("A", ref, for_local)
        table.claim(LOCAL, ref, for_local)
        token = make(ref)
        assert not table.claim("thief", ref, token)
        table.grant("thief", ref, token)
        with pytest.raises(ReferenceReleased):
            table.check("thief", ref, token)
        assert not holds(table, ref, "thief")
        assert "thief" not in table._peers
        table.release("A", [ref])
        table.release(LOCAL, [ref])
        assert thing() is None

    def test_a_token_of_one_reference_proves_nothing_of_another(self, table):
        ref, _ = opened(table)
        granted, claimed = sealed(ref, "A"), sealed(ref, "A")
        table.grant("A", ref, granted)
        table.grant("A", ref, claimed)
        table.claim("thief", ref, claimed)
        other, _ = opened(table)
        for token in (granted, claimed):
            assert not table.claim("thief", other, token_of_claimer(new_token(), token))
            with pytest.raises(ReferenceReleased):
                table.check("thief", other, token)
        assert not table.claim("thief", other, claimed)

    def test_a_token_that_was_spent_claims_nothing_when_its_granter_holds_no_more(self, table):
        ref, thing = opened(table)
        token = sealed(ref)
        table.grant("A", ref, token)
        table.claim("B", ref, token)
        keeper = sealed(ref)
        table.grant("A", ref, keeper)
        table.claim("C", ref, keeper)
        table.release("A", [ref])
        table.release("B", [ref])
        assert not table.claim("B", ref, token)
        assert not table.claim("B", ref, token_of_claimer(new_token(), token))
        table.release("C", [ref])
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
        ref = table.offer(thing, LOCAL, "t")
        table.release(LOCAL, [ref])
        assert not holds(table, ref, "B")
        table.claim("B", ref, "t")
        assert table.get(ref, "B") is thing
        table.release("B", [ref])
        assert len(table) == 0

    def test_the_name_of_a_grant_is_not_used_twice(self, table):
        """Else whoever knows it could have the first one forgotten, and its object kept."""
        ref, thing = opened(table)
        other, _ = opened(table, "B")
        table.grant("A", ref, "t")
        table.grant("B", other, "t")
        table.claim("C", ref, "t")
        table.grant("B", other, "t")
        table.release("A", [ref])
        table.release("C", [ref])
        table.release("B", [other])
        assert (thing(), len(table)) == (None, 0)

    def test_a_reference_that_comes_home_ends_its_grant(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.release("A", [ref])
        table.check("B", ref, "t")
        table.consume("B", "t")
        assert thing() is None

    def test_it_may_come_home_before_the_grant(self, table):
        ref, thing = opened(table)
        token = sealed(ref)
        table.check("B", ref, token)
        table.consume("B", token)
        table.grant("A", ref, token)
        table.release("A", [ref])
        assert thing() is None
        table.drop_peer("A")
        assert table._peers == {}

    def test_claims_ahead_of_their_grants_are_remembered_up_to_a_limit(self, table, monkeypatch):
        monkeypatch.setattr(leases, "MAX_EARLY", 10)
        ref, _ = opened(table)
        mine = sealed(ref)
        table.claim("C", ref, mine)
        for _ in range(100):
            table.claim("B", ref, sealed(ref))
        assert len(table._early) == 11
        table.grant("A", ref, mine)  # another's are not forgotten for them
        assert len(table._early) == 10
        table.drop_peer("B")
        table.expire_peer("B")
        assert table._early == {}


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
        assert table.get(ref, LOCAL) is thing()
        assert table.get(again, "A")

    def test_revoking_ends_it_for_everybody(self, table):
        ref, thing = opened(table)
        table.grant("A", ref, "t")
        table.grant("A", ref, "u")
        table.claim("B", ref, "u")
        table.revoke(ref, "B")
        assert thing() is None
        for late in (
            lambda: table.claim("C", ref, "t"),
            lambda: table.claim("B", ref, "u"),
            lambda: table.claim("C", ref, sealed(ref)),
            lambda: table.release("A", [ref]),
            lambda: table.grant("A", ref, "v"),
            lambda: table.drop_peer("A"),
            lambda: table.expire_peer("A"),
        ):
            late()
        assert len(table) == 0
        with pytest.raises(ReferenceReleased):
            table.revoke(ref, "A")

    def test_another_reference_to_the_object_is_not_revoked(self, table):
        thing = Thing()
        ref, other = table.open(thing, "A"), table.open(thing, "A")
        table.revoke(ref, "A")
        assert table.get(other, "A") is thing

    def test_strangers_leave_no_account(self, table):
        """Or whoever grants what they do not hold would take memory."""
        for peer in "BCD":
            table.grant(peer, "nothing", "t")
            table.claim(peer, "nothing", sealed("nothing"))
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
        lambda table, ref: table.revoke(ref, "A"),
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
            table.consume("B", "t"),
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
