from __future__ import annotations

import collections
import sys
import threading
from types import SimpleNamespace

import pytest
from conftest import eventually

from pyacq_rpc import RPCClient
from pyacq_rpc.peers import nesting as nesting_module
from pyacq_rpc.peers.nesting import Nesting
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Claim, Move, Request

pytestmark = pytest.mark.timeout(120)

MANY = 500
"""Requests of which each waits for an answer; within each other they are far too many."""


class Relay:
    """Asks others, and notes what it was asked."""

    def __init__(self):
        self.begun = []
        self.answers = []
        self.elsewhere = None

    def ask(self, function, number):
        self.begun.append(number)
        answer = function(number)
        self.answers.append(answer)
        return answer

    def ask_elsewhere(self, number):
        return self.elsewhere.call(self.doubled, number)

    def ask_for_double(self, number):
        return self.elsewhere(self.doubled, number)

    def ask_simply(self, number):
        return self.elsewhere.doubled(number)

    def doubled(self, number):
        return 2 * number

    def countdown(self, n, other, me):
        return 0 if n == 0 else 1 + other.countdown(n - 1, me, other)


@pytest.fixture
def relay(server):
    server["relay"] = Relay()
    return RPCClient.get_client(server.address)["relay"]


@pytest.fixture
def gate(other_server):
    """Opens what is published as ``"gated"`` elsewhere."""
    gate = threading.Event()
    other_server["gated"] = lambda number: gate.wait(60) and number
    return gate


@pytest.fixture
def gated(gate, other_server):
    return RPCClient.get_client(other_server.address)["gated"]


@pytest.fixture
def full(caplog):
    """Whether it was told that requests have to wait."""
    return lambda: "requests have to wait" in caplog.text


@pytest.fixture
def busy(server, thing):
    """The server is, until this is called."""
    future = thing.wait(_sync="async")
    assert eventually(lambda: server.doing.request is not None)
    return lambda: server["thing"].gate.set() or future.result(10)


def test_of_a_flood_without_answers_nothing_is_lost(server, relay, gate, gated, full, caplog):
    for number in range(MANY):
        relay.ask(gated, number, _sync="off")
    assert eventually(full, 30)
    gate.set()
    there = server["relay"]
    assert eventually(lambda: len(there.answers) == MANY, 60)
    assert there.begun == list(range(MANY))
    assert sorted(there.answers) == there.begun
    assert caplog.text.count("requests have to wait") == 1


def test_of_what_had_to_wait_nothing_is_kept(server, relay, gate, gated, full):
    for _ in range(MANY):
        relay.ask(gated, b"x", _sync="off")
    assert eventually(full, 30)
    gate.set()
    assert eventually(lambda: len(server["relay"].answers) == MANY, 60)
    assert eventually(lambda: not server.nesting.looked)


def test_of_a_flood_each_request_is_answered(relay, gate, gated, full):
    futures = [relay.ask(gated, number, _sync="async") for number in range(MANY)]
    assert eventually(full, 30)
    gate.set()
    assert [future.result(60) for future in futures] == list(range(MANY))


def test_each_may_call_back_whoever_floods(relay, busy):
    futures = [relay.ask(lambda n: -n, number, _sync="async") for number in range(MANY)]
    busy()
    assert [future.result(60) for future in futures] == [-number for number in range(MANY)]


def test_each_may_be_called_back_by_whom_it_asks(server, relay, other_thing, busy):
    server["relay"].elsewhere = other_thing
    futures = [relay.ask_elsewhere(number, _sync="async") for number in range(MANY)]
    busy()
    assert [future.result(60) for future in futures] == [2 * number for number in range(MANY)]


def test_two_may_be_flooded_that_ask_each_other(server, other_server, two):
    """Neither waits for the other to have no more to do."""
    gate = threading.Event()
    for it, other in ((server, two[1]), (other_server, two[0])):
        it["relay"].elsewhere = other
        it["wait"] = lambda: gate.wait(20)
        RPCClient.get_client(it.address)["wait"](_sync="off")
    futures = [one.ask_simply(n, _sync="async") for n in range(MANY) for one in two]
    gate.set()
    assert [it.result(60) for it in futures] == [2 * n for n in range(MANY) for _ in two]


def test_what_is_handed_to_another_thread_is_begun_in_the_end(server, relay, other_server, busy):
    """Nobody can tell that it is waited for."""

    def in_a_thread(function, number):
        found = []
        thread = threading.Thread(target=lambda: found.append(function(number)))
        thread.start()
        thread.join(20)
        return found[0]

    other_server["in a thread"] = in_a_thread
    server["relay"].elsewhere = RPCClient.get_client(other_server.address)["in a thread"]
    futures = [relay.ask_for_double(number, _sync="async") for number in range(45)]
    busy()
    assert [it.result(60) for it in futures] == [2 * number for number in range(45)]


@pytest.fixture
def two(server, other_server):
    """Two objects that may call each other, in two threads."""
    server["relay"], other_server["relay"] = Relay(), Relay()
    return [RPCClient.get_client(it.address)["relay"] for it in (server, other_server)]


def test_two_may_call_each_other_a_hundred_deep(two):
    assert two[0].countdown(100, two[1], two[0], _timeout=60) == 100


def test_two_that_call_each_other_for_ever_are_told(two):
    with pytest.raises(RecursionError, match="too many calls wait for each other"):
        two[0].countdown(10**6, two[1], two[0], _timeout=60)
    assert [it.countdown(2, it, it) for it in two] == [2, 2]


def test_those_that_come_one_by_one_wait_as_well(server, relay, gate, gated, full):
    begun, futures = server["relay"].begun, []
    while len(begun) == len(futures) < MANY:
        futures.append(relay.ask(gated, len(futures), _sync="async"))
        assert eventually(lambda: len(begun) == len(futures) or full(), 30)
    assert 20 < len(begun) < MANY
    gate.set()
    assert [future.result(60) for future in futures] == list(range(len(futures)))


def test_the_stack_is_measured():
    shares = [nesting_module._HALF, nesting_module._SPENT]

    def at(depth):
        return [nesting_module._exceeds(share) for share in shares] if depth == 0 else at(depth - 1)

    found = [at(sys.getrecursionlimit() * part // 100) for part in (1, 60, 90)]
    assert found == [[False, False], [True, False], [True, True]]


def test_where_there_is_room_anything_may_be_begun():
    assert Nesting(SimpleNamespace(inbox=SimpleNamespace(items=())), None).admits()


class Level:
    """Tells the depth of the calls that it makes."""

    def here(self):
        return current().thread().depth_of_calls()

    def there(self, other):
        return [self.here(), *other.there_and_back(self)]

    def there_and_back(self, other):
        return [self.here(), other.here()]


class TestDepth:
    @pytest.fixture
    def levels(self, server, other_server):
        server["level"], other_server["level"] = Level(), Level()
        return [RPCClient.get_client(it.address)["level"] for it in (server, other_server)]

    def test_of_what_nobody_has_asked_for(self):
        assert Level().here() == 0

    def test_of_what_is_asked_for_within_requests(self, levels):
        assert levels[0].there(levels[1]) == [1, 2, 3]
        assert levels[0].here() == 1

    def test_of_a_call_that_was_sent_ahead(self, levels):
        assert levels[0].there(levels[1], _sync="async").result(10) == [1, 2, 3]

    def test_of_what_wants_no_answer(self, server, levels):
        found = []
        server["tell"] = lambda: found.append(levels[1].here())
        RPCClient.get_client(server.address)["tell"](_sync="off")
        assert eventually(lambda: found == [2])

    def test_of_the_calls_of_a_batch(self, client, levels):
        with client.batch():
            first, second = levels[0].here(), levels[0].there(levels[1])
        assert (first.result(10), second.result(10)) == (1, [1, 2, 3])

    def test_it_is_told_up_to_some_number(self, two, monkeypatch):
        monkeypatch.setattr(nesting_module, "_exceeds", lambda share: False)
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(4 * limit)
        try:
            assert two[0].countdown(200, two[1], two[0], _timeout=60) == 200
        finally:
            sys.setrecursionlimit(limit)


def refuse(obj):
    raise AssertionError(obj)


class TestBringForward:
    """Here an inbox is no more than its messages."""

    @pytest.fixture(params=["msgpack", "json"])
    def inbox(self, request):
        self.codec = codec_named(request.param)
        return SimpleNamespace(items=collections.deque())

    @pytest.fixture
    def nesting(self, inbox):
        return Nesting(SimpleNamespace(inbox=inbox), None)

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

    def test_what_is_deep_comes_first(self, inbox, nesting):
        self.come(inbox, "a 0", "b 1", "c 2", "d 3")
        assert nesting.bring_forward(2)
        assert self.order(inbox) == "c a b d"

    def test_but_after_what_the_same_client_has_sent_before(self, inbox, nesting):
        self.come(inbox, "a 0", "b 1", "b claims", "a 0", "b 2")
        before = [it for it in inbox.items if it[0] == b"b"]
        for item in before:
            assert nesting.bring_forward(2)
            assert inbox.items.popleft() is item
        assert not nesting.bring_forward(2)
        assert self.order(inbox) == "a a"

    def test_there_may_be_nothing_of_the_kind(self, inbox, nesting):
        assert not nesting.bring_forward(1)
        self.come(inbox, "a 0", "b 1", "a 1", "c gone")
        assert not nesting.bring_forward(2)
        assert self.order(inbox) == "a b a c"

    def test_what_keeps_the_books_is_in_nobody_s_way(self, inbox, nesting):
        self.come(inbox, "a 0", "b claims", "a claims", "b 0", "b claims")
        assert nesting.bring_forward(2)
        assert self.order(inbox) == "b a a b b"
        inbox.items.popleft()
        assert not nesting.bring_forward(2)
        assert self.order(inbox) == "a a b b"

    def test_as_soon_as_nothing_of_the_same_client_comes_before(self, inbox, nesting):
        self.come(inbox, "a 0", "a claims", "a 0")
        assert not nesting.bring_forward(2)
        inbox.items.popleft()
        assert nesting.bring_forward(2)
        inbox.items.popleft()
        assert not nesting.bring_forward(2)

    def test_who_goes_on_over_the_direct_road_is_let_there(self, inbox, nesting):
        """What the answer depends on may be there already."""
        self.come(inbox, "a 0", "b 0", "b moves", "b 0")
        moves = inbox.items[2]
        assert nesting.bring_forward(2)
        assert inbox.items.popleft() is moves
        assert not nesting.bring_forward(2)
        assert self.order(inbox) == "a b b"

    def test_who_is_gone_is_forgotten(self, inbox, nesting):
        self.come(inbox, "a 0", "a claims", "b 0")
        assert not nesting.bring_forward(2)
        for _ in range(2):
            inbox.items.popleft()
        assert not nesting.bring_forward(2)
        assert not nesting._keep_books

    def test_what_comes_later_is_found(self, inbox, nesting):
        self.come(inbox, "a 1", "a 1")
        assert not nesting.bring_forward(2)
        assert not nesting.bring_forward(2)
        self.come(inbox, "b 2")
        assert nesting.bring_forward(2)
        assert self.order(inbox) == "b a a"

    def test_what_was_not_deep_enough_before_may_be_now(self, inbox, nesting):
        self.come(inbox, "a 0", "b 2")
        assert not nesting.bring_forward(4)
        assert not nesting.bring_forward(3)
        assert nesting.bring_forward(2)
        assert self.order(inbox) == "b a"

    def test_what_was_looked_at_is_not_looked_at_again(self, inbox, nesting, monkeypatch):
        looked = []
        monkeypatch.setattr(nesting_module, "depth_of", lambda it: looked.append(it) or 0)
        self.come(inbox, *["a 0"] * 100)
        for _ in range(10):
            assert not nesting.bring_forward(3)
            assert not nesting.bring_forward(1)
        self.come(inbox, "a 0")
        assert not nesting.bring_forward(1)
        assert len(looked) == 201

    def test_when_that_is_gone_all_is_looked_at(self, inbox, nesting):
        self.come(inbox, "a 0", "b 0")
        assert not nesting.bring_forward(1)
        inbox.items.pop()
        self.come(inbox, "c 1")
        assert nesting.bring_forward(1)
