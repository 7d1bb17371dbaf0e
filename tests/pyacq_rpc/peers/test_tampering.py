"""Somebody between a client and a server, who can do anything but read what they send."""

from __future__ import annotations

import copy
import logging

import numpy as np
import pytest
from conftest import eventually
from relay import Relay, corrupt, leave_out, leave_out_two, splice
from things import Thing

from pyacq_rpc import RPCClient, ServerDisconnected
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Hello, Request, Result, Target

FILLING = "x" * 5000
"""With it, something is long enough for a frame of its own."""


def as_data(message):
    """Return an array that is the same bytes as a message."""
    (frame,) = codec_named("msgpack").encode(message, refer=None)
    return np.frombuffer(frame, "u1")


def through(relay):
    """Return a client that goes that way, with a proxy which it has got over there."""
    client = RPCClient(relay.address)
    return client, client["thing"]


@pytest.fixture
def relay(server, monkeypatch):
    monkeypatch.setattr(server.runtime, "direct", False)
    server["thing"] = Thing()
    with Relay(int(server.address.rpartition(":")[2])) as relay:
        server.address = relay.address  # what it gives out is reached there, too
        yield relay


def test_a_server_to_which_only_the_way_was_cut_can_be_used_anew(relay):
    """Though proxies from before, which hold no lease any more, are still around."""
    client, before = through(relay)
    assert before.add(1, 2) == 3
    relay.reset()
    assert eventually(client.disconnected)
    with pytest.raises(ServerDisconnected, match="is gone"):
        before.add(1, 2)
    again, anew = through(relay)
    assert anew.add(1, 2) == 3
    with pytest.raises(ServerDisconnected, match="is gone"):
        before.add(1, 2)
    again.close()


def test_an_answer_that_was_changed_on_its_way_is_told_as_such(relay):
    client, thing = through(relay)
    relay.tamper(corrupt)
    with pytest.raises(ServerDisconnected, match="changed on the way"):
        thing.add(1, 2)
    assert client.disconnected()


def test_data_that_a_server_sends_is_never_taken_for_its_answer(server, relay):
    client, thing = through(relay)
    ids = copy.copy(client.conversation.ids)
    next(ids)
    relay.tamper(leave_out)
    data = thing.echo(as_data(Result(next(ids), FILLING)), _sync="async")
    other = thing.wait(_sync="async")
    try:
        with pytest.raises(ServerDisconnected, match="changed on the way"):
            data.result(10)
        with pytest.raises(ServerDisconnected, match="changed on the way"):
            other.result(10)
    finally:
        server["thing"].gate.set()


def noting(word):
    """Return a request to write something down, long enough for a frame of its own."""
    options = {"obj": Target("@thing", ["note"]), "args": [word + FILLING], "kwargs": {}}
    return Request(99, "call_obj", "off", options)


def test_data_that_a_client_sends_is_never_taken_for_its_request(server, relay, caplog):
    client, thing = through(relay)
    relay.tamper(leave_out, of_client=True)
    with caplog.at_level(logging.ERROR), pytest.raises(ServerDisconnected, match="on the way"):
        thing.echo(as_data(noting("forged")))
    assert client.disconnected()
    assert server["thing"].log == []
    assert eventually(lambda: not server.listener.connections)
    _, again = through(relay)
    assert again.add(1, 2) == 3


def test_data_is_never_taken_for_a_hello(server, relay):
    """It would go on to send requests."""
    relay.tamper(leave_out_two, of_client=True)
    client = RPCClient(relay.address)
    forged = as_data(Hello(1, "somebody", {"filling": FILLING}))
    answer = client.send("transfer", {"obj": forged}, sync="async")
    client.send("transfer", {"obj": as_data(noting("forged"))}, sync="off")
    with pytest.raises(ServerDisconnected):
        answer.result(10)
    assert server["thing"].log == []
    assert eventually(lambda: not server.listener.connections)


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_a_client_whose_hello_is_taken_out_is_a_stranger(server, relay, serializer):
    relay.tamper(leave_out, of_client=True)
    client = RPCClient(relay.address, serializer=serializer)
    with pytest.raises(ServerDisconnected):
        client.ping()
    assert not server.listener.connections


@pytest.mark.parametrize("of_client", [False, True])
def test_data_of_one_array_is_never_taken_for_that_of_another(relay, of_client):
    """The end of one message, and the beginning of the next, are taken out."""
    client, thing = through(relay)
    assert eventually(lambda: client.ping() == "pong")
    relay.tamper(splice, of_client=of_client)
    ones, twos = (thing.echo(np.full(5000, n, "u1"), _sync="async") for n in (1, 2))
    for answer in (ones, twos):
        with pytest.raises(ServerDisconnected, match="changed on the way"):
            answer.result(10)
