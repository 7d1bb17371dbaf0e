from __future__ import annotations

import pytest

from pyacq_rpc.limits import Limits
from pyacq_rpc.peers.connection import Connections
from pyacq_rpc.peers.inbox import Inbox
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Claim, Move, Request


def refuse(obj):
    raise AssertionError(obj)


class TestBringForward:
    @pytest.fixture(params=["msgpack", "json"])
    def inbox(self, request):
        self.codec = codec_named(request.param)
        return Inbox(None, None, Connections(), Limits())

    def come(self, inbox, *messages):
        """Have messages come: each the name of a client, and the depth of its request."""
        for who, what in (message.split() for message in messages):
            words = {"claims": Claim("ref", "token"), "moves": Move("token"), "gone": None}
            depth = 0 if what in words else int(what)
            message = words.get(what, Request(1, "ping", "ack", {}, None, depth))
            frames = None if message is None else self.codec.encode(message, refuse)
            inbox.items.append((who.encode(), frames))

    def order(self, inbox):
        return b" ".join(who for who, _ in inbox.items).decode()

    def test_what_is_deep_comes_first(self, inbox):
        self.come(inbox, "a 0", "b 1", "c 2", "d 3")
        assert inbox.bring_forward(2)
        assert self.order(inbox) == "c a b d"

    def test_but_after_what_the_same_client_has_sent_before(self, inbox):
        self.come(inbox, "a 0", "b 1", "b claims", "a 0", "b 2")
        before = [it for it in inbox.items if it[0] == b"b"]
        for item in before:
            assert inbox.bring_forward(2)
            assert inbox.items.popleft() is item
        assert not inbox.bring_forward(2)
        assert self.order(inbox) == "a a"

    def test_there_may_be_nothing_of_the_kind(self, inbox):
        assert not inbox.bring_forward(1)
        self.come(inbox, "a 0", "b 1", "a 1", "c gone")
        assert not inbox.bring_forward(2)
        assert self.order(inbox) == "a b a c"

    def test_what_keeps_the_books_is_in_nobody_s_way(self, inbox):
        self.come(inbox, "a 0", "b claims", "a claims", "b 0", "b claims")
        assert inbox.bring_forward(2)
        assert self.order(inbox) == "b a a b b"
        inbox.items.popleft()
        assert not inbox.bring_forward(2)
        assert self.order(inbox) == "a a b b"

    def test_as_soon_as_nothing_of_the_same_client_comes_before(self, inbox):
        self.come(inbox, "a 0", "a claims", "a 0")
        assert not inbox.bring_forward(2)
        inbox.items.popleft()
        assert inbox.bring_forward(2)
        inbox.items.popleft()
        assert not inbox.bring_forward(2)

    def test_who_goes_on_over_the_direct_road_is_let_there(self, inbox):
        """What the answer depends on may be there already."""
        self.come(inbox, "a 0", "b 0", "b moves", "b 0")
        moves = inbox.items[2]
        assert inbox.bring_forward(2)
        assert inbox.items.popleft() is moves
        assert not inbox.bring_forward(2)
        assert self.order(inbox) == "a b b"

    def test_what_was_looked_at_for_one_depth_and_another(self, inbox, monkeypatch):
        looked = []
        monkeypatch.setattr("pyacq_rpc.peers.inbox.depth_of", lambda it: looked.append(it) or 0)
        self.come(inbox, *["a 0"] * 100)
        for _ in range(10):
            assert not inbox.bring_forward(3)
            assert not inbox.bring_forward(1)
        assert len(looked) == 200

    def test_who_is_gone_is_forgotten(self, inbox):
        self.come(inbox, "a 0", "a claims", "b 0")
        assert not inbox.bring_forward(2)
        for _ in range(2):
            inbox.items.popleft()
        assert not inbox.bring_forward(2)
        assert not inbox._keep_books

    def test_what_comes_later_is_found(self, inbox):
        self.come(inbox, "a 1", "a 1")
        assert not inbox.bring_forward(2)
        assert not inbox.bring_forward(2)
        self.come(inbox, "b 2")
        assert inbox.bring_forward(2)
        assert self.order(inbox) == "b a a"

    def test_what_was_not_deep_enough_before_may_be_now(self, inbox):
        self.come(inbox, "a 0", "b 2")
        assert not inbox.bring_forward(4)
        assert not inbox.bring_forward(3)
        assert inbox.bring_forward(2)
        assert self.order(inbox) == "b a"

    def test_what_was_looked_at_is_not_looked_at_again(self, inbox, monkeypatch):
        looked = []
        monkeypatch.setattr("pyacq_rpc.peers.inbox.depth_of", lambda it: looked.append(it) or 0)
        self.come(inbox, *["a 0"] * 100)
        for _ in range(10):
            inbox.bring_forward(1)
        self.come(inbox, "a 0")
        inbox.bring_forward(1)
        assert len(looked) == 101

    def test_when_that_is_gone_all_is_looked_at(self, inbox):
        self.come(inbox, "a 0", "b 0")
        assert not inbox.bring_forward(1)
        inbox.items.pop()
        self.come(inbox, "c 1")
        assert inbox.bring_forward(1)
