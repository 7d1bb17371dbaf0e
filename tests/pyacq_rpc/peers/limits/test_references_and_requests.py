"""The limits themselves, and what is counted: references that are held, requests that wait."""

from __future__ import annotations

import concurrent.futures
import threading

import pytest
from conftest import eventually, settled
from plain_client import PlainClient
from things import Thing
from tight import TIGHT

from pyacq_rpc import LimitExceeded, Limits, RPCClient, RPCServer
from pyacq_rpc.limits import LEAST_MESSAGE
from pyacq_rpc.wire.messages import Cancel, Claim, Goodbye, Grant, Release, Result


@pytest.mark.parametrize("field", Limits._fields)
@pytest.mark.parametrize("limit", [0, -1, 1.5, None, True])
def test_a_limit_is_a_positive_integer(field, limit):
    with pytest.raises(ValueError, match=f"the limit {field}="):
        RPCServer(limits=Limits(**{field: limit}))


def test_the_smallest_limits_can_be_worked_with():
    server = RPCServer(limits=Limits(LEAST_MESSAGE, 1, 10, 16, LEAST_MESSAGE, 1))
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    client = RPCClient(server.address)
    client["name"] = [1, 2]
    assert client["name"] == [1, 2]
    server.close()
    thread.join()


# -- references ------------------------------------------------------------------


def test_references_beyond_the_limit_are_refused(server, thing, client):
    held = [client.transfer(i) for i in range(TIGHT.leases - 1)]
    with pytest.raises(LimitExceeded, match=r"holds 5 references .*Limits\(leases"):
        client.transfer(5)
    assert thing.add(1, 2) == 3
    del held[0]
    assert eventually(lambda: len(server.table) < TIGHT.leases)
    assert client.transfer(6)._get_value() == 6


def test_a_result_that_cannot_be_sent_whole_leaves_no_references(server, thing, client):
    server["things"] = [Thing() for _ in range(TIGHT.leases)]
    before = len(server.table)
    with pytest.raises(LimitExceeded):
        client["things"]
    assert len(server.table) == before
    assert thing.add(1, 2) == 3


def test_references_are_counted_for_each_process(server, thing, client, plain):
    held = [client.transfer(i) for i in range(TIGHT.leases - 1)]
    other = plain()
    other.ask(1, "transfer", "proxy", obj=1)
    assert isinstance(other.receive(), Result)
    assert len(held) == TIGHT.leases - 1


@pytest.mark.parametrize("kind", [Grant, Claim])
def test_who_grants_and_claims_for_ever_is_cut_off(server, plain, kind):
    greedy = plain(peer="greedy")
    greedy.ask(1, "get_item", "proxy", name="thing")
    ref = greedy.receive().value.ref
    goodbye = None
    for i in range(100):
        greedy.send(kind(ref, f"token {i}"))
        # For claims a lease of another one each time, since those of one are only counted.
        greedy.ask(i, "transfer", "proxy" if kind is Claim else "value", obj=1)
        goodbye = greedy.receive()
        if isinstance(goodbye, Goodbye):
            break
    assert isinstance(goodbye, Goodbye)
    assert "references" in goodbye.reason
    assert eventually(lambda: not len(server.table) or kind is Grant)
    assert RPCClient(server.address).ping() == "pong"


# -- requests that wait ------------------------------------------------------------


class ByHand:
    """A server that serves only when it is told to, and one client of it."""

    def __init__(self, road):
        self.server = RPCServer(limits=TIGHT)
        self.server.run_lazy()
        self.server["thing"] = Thing()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = pool.submit(PlainClient, self.server.address, road)
            while not made.done():
                self.server.serve_ready()
            self.client = made.result()

    def arrive(self, count):
        """Let so many messages arrive."""
        inbox = self.server.listener.inbox

        def have_come():
            if self.client.stream is not None:
                self.client.stream.flush()
            self.server.listener.fill()
            return len(inbox.items) + len(inbox.excess) >= count

        assert eventually(have_come)

    def serve(self):
        """Do all that there is to do."""
        while self.server.serve_ready():
            pass

    def answers(self, count):
        return [self.client.receive() for _ in range(count)]

    def close(self):
        self.client.close()
        self.server.close()


@pytest.fixture
def by_hand(road):
    by_hand = ByHand(road)
    yield by_hand
    by_hand.close()


def test_requests_beyond_the_limit_are_refused_at_once(by_hand):
    for i in range(50):
        by_hand.client.call(i, ["@thing", "note"], i)
    by_hand.arrive(50)
    by_hand.serve()
    answers = {answer.id: answer for answer in by_hand.answers(50)}
    most = TIGHT.requests
    assert [answers[i] for i in range(most)] == [Result(i, None) for i in range(most)]
    assert all(answers[i].code == "limit" for i in range(most, 50))
    assert by_hand.server["thing"].notes() == list(range(most))
    by_hand.client.ask(50, "ping")
    by_hand.arrive(1)
    by_hand.serve()
    assert by_hand.answers(1) == [Result(50, "pong")]
    assert not by_hand.server.listener.inbox.waiting


def test_requests_without_an_answer_are_refused_with_a_line_in_the_log(by_hand, caplog):
    for i in range(50):
        by_hand.client.call(i, ["@thing", "note"], i, reply="off")
    by_hand.client.ask(100, "ping")  # after one that was refused nothing is done
    by_hand.arrive(51)
    by_hand.serve()
    assert by_hand.answers(1)[0].code == "limit"
    assert by_hand.server["thing"].notes() == list(range(TIGHT.requests))
    assert len([line for line in caplog.messages if "are refused" in line]) == 1


def test_the_books_are_kept_whatever_is_refused(by_hand):
    """Releases are no requests, and come in order with them."""
    by_hand.client.ask(1, "transfer", "proxy", obj=7)
    by_hand.arrive(1)
    by_hand.serve()
    ref = by_hand.answers(1)[0].value.ref
    for i in range(50):
        by_hand.client.ask(10 + i, "ping")
    by_hand.client.send(Release([ref]))
    by_hand.arrive(51)
    assert len(by_hand.server.table) == 1
    by_hand.serve()
    assert len(by_hand.server.table) == 0


def test_who_sends_ever_more_of_other_kinds_is_cut_off(by_hand):
    for _ in range(1000):
        by_hand.client.send(Release(["no such"]))
    by_hand.arrive(1000)
    by_hand.serve()
    assert isinstance(by_hand.answers(1)[0], Goodbye)


def test_withdrawals_of_what_never_came_are_not_gathered(by_hand):
    for i in range(200):
        by_hand.client.send_over_socket(by_hand.client.encode(Cancel(2**60 + i)))
    listener, most = by_hand.server.listener, 2 * TIGHT.requests
    (connection,) = listener.connections.all()
    assert eventually(lambda: listener.fill() or len(connection.cancelled) >= most)
    for _ in range(100):
        listener.fill()
    assert len(connection.cancelled) == most


def test_a_client_gets_an_error_for_what_was_refused(server, thing, client):
    for _ in range(50):  # how much arrives at a time is not ours to say
        server["thing"].gate.clear()
        futures = [thing.wait(_sync="async"), *(client.ping("async") for _ in range(50))]
        client.channel.flush()
        server["thing"].gate.set()
        errors = [error for future in futures if (error := future.exception(timeout=10))]
        if errors:
            break
    assert isinstance(errors[0], LimitExceeded)
    assert "Limits(requests" in str(errors[0])
    assert thing.add(1, 2) == 3


def test_others_are_served_while_one_is_refused(server, plain):
    other = RPCClient(server.address)
    assert settled(other)
    flood = plain()
    for i in range(5000):
        flood.call(i, ["@thing", "add"], i, 1)
    assert other["thing"].add(1, 2) == 3
    answers = [flood.receive() for _ in range(5000)]
    assert sorted(answer.id for answer in answers) == list(range(5000))
    for answer in answers:
        assert answer == Result(answer.id, answer.id + 1) or answer.code == "limit"
    assert eventually(lambda: not server.listener.inbox.waiting)
