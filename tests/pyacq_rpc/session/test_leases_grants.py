"""Grants and claims: how a lease is handed on, whichever of the two comes first."""

from __future__ import annotations

import pytest
from leasing import Thing, holds, opened, sealed

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session import leases
from pyacq_rpc.session.leases import LOCAL, new_token
from pyacq_rpc.session.tokens import SEAL, seal, token_of_claimer


def claimed_by_b_and_c(table):
    """Open a reference for A, and claim it twice by one token; return both."""
    ref, _ = opened(table)
    token = sealed(ref)
    assert all(table.claim(peer, ref, token) for peer in "BC")
    return ref, token


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

    def test_of_two_who_have_claimed_by_one_token_one_may_end_first(self, table):
        ref, token = claimed_by_b_and_c(table)
        table.drop_peer("B")
        table.release("A", [ref])
        assert table.claim("C", ref, token), "over another connection"

    def test_a_grant_that_both_have_claimed_is_not_made_anew_when_one_ends(self, table):
        ref, token = claimed_by_b_and_c(table)
        table.drop_peer("B")
        table.expire_peer("B")
        table.release("C", [ref])
        table.grant("A", ref, token)
        assert table._grants == {}

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


def test_a_token_that_is_granted_twice_keeps_nothing_longer(table):
    ref = table.open(Thing(), "A")
    table.grant("A", ref, "token")
    table.grant("A", ref, "token")
    table.withdraw("A", "token")
    table.release("A", [ref])
    assert len(table) == 0
