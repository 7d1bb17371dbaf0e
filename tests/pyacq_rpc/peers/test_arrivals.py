from __future__ import annotations

import collections
import types

import pytest

from pyacq_rpc.peers.arrivals import Arrivals


class Client:
    """Takes what arrives: of each message, the first byte says what it is about."""

    def __init__(self):
        self.done, self.lost, self.looks, self.later = [], [], 0, []
        self.runtime = types.SimpleNamespace(watcher=types.SimpleNamespace(do=self.later.append))
        self.holder = types.SimpleNamespace(arriving=collections.Counter())
        self.arrivals = Arrivals(
            self.runtime, "tcp://there:1", self, self, self.holder, self.lost.append
        )

    def receive(self, frames):
        self.holder.arriving[frames[0]] += 1
        kind = frames[0][:1]
        if kind == b"!":
            raise ValueError("not to be read")
        if kind == b"-":
            return None
        return lambda: self.act(frames[0])

    def act(self, message):
        if message == b"interrupt" and message not in self.done:
            self.done.append(message)
            raise KeyboardInterrupt
        self.done.append(message)
        if message == b"fail":
            raise ValueError("failed")

    def received(self):
        self.looks += 1

    def add(self, *messages):
        for message in messages:
            self.arrivals.inbox.append([message])


@pytest.fixture
def client():
    return Client()


def test_nothing(client):
    assert not client.arrivals.deliver()
    assert not client.arrivals
    assert not client.looks


def test_it_is_seen_to_in_order(client):
    client.add(b"a", b"b", b"-", b"c")
    assert client.arrivals
    assert client.arrivals.deliver()
    assert client.done == [b"a", b"b", b"c"]
    assert client.looks
    assert not client.arrivals
    assert not client.holder.arriving


def test_how_much_came(client):
    client.add(b"12", b"-3")
    client.arrivals.inbox.append([b"4", b"567"])
    client.arrivals.deliver()
    assert client.arrivals.bytes == 8


def test_what_cannot_be_taken_in_loses_no_other(client, caplog):
    client.add(b"a", b"!", b"b")
    client.arrivals.deliver()
    assert client.done == [b"a", b"b"]
    assert "a message of tcp://there:1 could not be taken in" in caplog.text


def test_the_end_of_the_server_comes_after_what_it_has_sent(client):
    client.add(b"a")
    client.arrivals.inbox.append("has died")
    client.arrivals.deliver()
    assert (client.done, client.lost) == ([b"a"], ["has died"])


def test_what_raises_is_done_once(client):
    client.add(b"a", b"fail", b"b")
    with pytest.raises(ValueError, match="failed"):
        client.arrivals.deliver()
    assert client.arrivals
    assert client.arrivals.deliver()
    assert client.done == [b"a", b"fail", b"b"]
    assert not client.later


def test_what_an_interrupt_has_ended_is_done_once_more(client):
    client.add(b"a", b"interrupt", b"b")
    with pytest.raises(KeyboardInterrupt):
        client.arrivals.deliver()
    for act in client.later:  # the I/O thread, since perhaps nobody waits
        act()
    assert client.done == [b"a", b"interrupt", b"interrupt", b"b"]


def test_what_comes_while_another_thread_decodes_is_left_to_that(client):
    receive, within = client.receive, []

    def receive_slowly(frames):
        if not within:
            client.add(b"b")
            within.append(client.arrivals.deliver())
        return receive(frames)

    client.receive = receive_slowly
    client.add(b"a")
    assert client.arrivals.deliver()
    assert within == [False]
    assert client.done == [b"a", b"b"]
