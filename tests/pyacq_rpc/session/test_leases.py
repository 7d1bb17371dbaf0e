from __future__ import annotations

import threading

import pytest
from leasing import Thing, opened, sealed

from pyacq_rpc import ReferenceReleased
from pyacq_rpc.session.leases import LOCAL, ObjectTable, new_token


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
