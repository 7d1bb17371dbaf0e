"""Somebody between a client and a server, who can do anything but read what they send."""

from __future__ import annotations

import contextlib
import logging
import socket

import numpy as np
import pytest
from conftest import eventually
from interrupting import Everywhere
from plain_client import PlainClient
from relay import Relay, corrupt, leaving_out
from things import Thing

from pyacq_rpc import RPCClient, ServerDisconnected
from pyacq_rpc.transport.stamps import unstamp
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Goodbye, Hello, Request, Result, Target, Welcome

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
    last = next(client.conversation.ids)
    relay.tamper(leaving_out(0))
    data = thing.echo(as_data(Result(last + 2, FILLING)), _sync="async")  # of the one after this
    server["thing"].gate.clear()
    try:
        with pytest.raises(TimeoutError):
            thing.wait(_timeout=1.0)
    finally:
        server["thing"].gate.set()
    assert not data.done()
    assert thing.add(1, 2) == 3


def noting(word):
    """Return a request to write something down, long enough for a frame of its own."""
    options = {"obj": Target("@thing", ["note"]), "args": [word + FILLING], "kwargs": {}}
    return Request(99, "call_obj", "off", options)


def test_data_that_a_client_sends_is_never_taken_for_its_request(server, relay, caplog):
    _, thing = through(relay)
    relay.tamper(leaving_out(0), of_client=True)
    with caplog.at_level(logging.ERROR), pytest.raises(TimeoutError):
        thing.echo(as_data(noting("forged")), _timeout=1.0)
    assert thing.add(1, 2) == 3
    assert server["thing"].log == []


def test_data_is_never_taken_for_a_hello(server, relay):
    """It would go on to send requests."""
    relay.tamper(leaving_out(0, 1), of_client=True)
    client = RPCClient(relay.address)
    forged = as_data(Hello(1, "somebody", {"filling": FILLING}))
    client.send("transfer", {"obj": forged}, sync="off")
    client.send("transfer", {"obj": as_data(noting("forged"))}, sync="off")
    with pytest.raises(ServerDisconnected):  # for it is not known
        client.ping()
    assert server["thing"].log == []
    assert not server.listener.connections


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_a_client_whose_hello_is_taken_out_is_a_stranger(server, relay, serializer):
    relay.tamper(leaving_out(0), of_client=True)
    client = RPCClient(relay.address, serializer=serializer)
    with pytest.raises(ServerDisconnected):
        client.ping()
    assert not server.listener.connections


@pytest.mark.parametrize("of_client", [False, True])
def test_data_of_one_array_is_never_taken_for_that_of_another(relay, of_client):
    """The end of one message, and the beginning of the next, are taken out."""
    client, thing = through(relay)
    relay.tamper(leaving_out(1, 2, 3), of_client=of_client)
    answers = [thing.echo(np.full(5000, n, "u1"), _sync="async") for n in (1, 2)]
    assert client.ping() == "pong"
    assert not any(answer.done() for answer in answers)


@pytest.mark.parametrize("of_client", [False, True])
def test_the_message_after_one_whose_end_is_missing_arrives(relay, of_client):
    client, thing = through(relay)
    relay.tamper(leaving_out(2), of_client=of_client)
    answer = thing.echo(np.ones(5000, "u1"), _sync="async")
    assert client.ping() == "pong"
    assert not answer.done()


def test_a_connection_that_breaks_before_it_is_made_is_made_anew(server, monkeypatch):
    """Though the server has taken the client in, and is not told."""
    monkeypatch.setattr(server.runtime, "direct", False)
    with HalfOpen(int(server.address.rpartition(":")[2])) as relay:
        client = RPCClient(relay.address)
        assert client.ping() == "pong"
        assert relay.has_broken


class HalfOpen(Relay):
    """Ends the first connection as soon as the server is ready, but for the server's side."""

    has_broken = False

    def _pass(self, source, target):
        if self.has_broken:
            super()._pass(source, target)
        elif source.getpeername()[1] != self._port:
            with contextlib.suppress(OSError):
                while data := source.recv(4096):
                    target.sendall(data)
        else:
            for frame in self._frames(source):
                if b"\x05READY" in frame[:12]:
                    break
                target.sendall(frame)
            self.has_broken = True
            target.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):
                while source.recv(4096):
                    pass


@pytest.mark.parametrize("which", range(3))
def test_an_interrupt_that_loses_a_frame_loses_nothing_else(relay, which):
    """As when pyzmq notices it, with the frame in its hand."""
    client, thing = through(relay)
    frames = client.channel.roads._dealer.frames
    receive, came = frames._receive, []

    def lose(flags, copy):
        frame = receive(flags, copy)
        came.append(frame)
        if len(came) == which + 1:
            raise KeyboardInterrupt
        return frame

    frames._receive = lose
    with pytest.raises(KeyboardInterrupt):
        thing.echo(np.ones(5000, "u1"))
    assert thing.add(1, 2) == 3


def test_an_interrupt_wherever_it_comes_loses_no_other_call(relay):
    client, thing = through(relay)
    data = np.ones(5000, "u1")
    thing.keep(data)  # imports what that takes, where an interrupt would leave files open
    everywhere = Everywhere()
    while everywhere.goes_on():
        everywhere.run(lambda: thing.keep(data, _sync="off"))
        assert client.ping() == "pong", everywhere.place


def test_parts_of_two_messages_are_none(server):
    """Though the client has said goodbye, and hello again, over the same connection."""
    server["thing"] = Thing()
    client = PlainClient(server.address, "stamped", hello=False)
    sent = []
    for number in (1, 2):
        client.send(Hello(1, "somebody" * 2, {}))
        assert isinstance(client.receive(), Welcome)
        client.call(number, ["@thing", "echo"], np.full(5000, number, "u1"))
        assert client.socket.poll(5000)
        sent.append([memoryview(frame) for frame in client.socket.recv_multipart()])
        client.send(Goodbye("for now"))
    secret = client._stamps.secret
    client.close()
    one, two = sent
    assert not unstamp(secret, [one[0], *two[1:]])
    assert unstamp(secret, one)
