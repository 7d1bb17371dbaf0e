"""Messages that are too large, that have too many frames, or that nest too deep."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from conftest import eventually
from plain_client import last
from tight import MB

from pyacq_rpc import LimitExceeded, RPCClient, ServerDisconnected
from pyacq_rpc.wire.messages import Goodbye


def test_a_message_that_is_too_large_is_not_even_sent(thing):
    with pytest.raises(LimitExceeded, match=r"has \d+ bytes.* 4194304 at most .*Limits\(message"):
        thing.echo(np.zeros(5 * MB, "u1"))
    with pytest.raises(LimitExceeded, match="bytes"):
        thing.note("x" * 5 * MB, _sync="off")
    with pytest.raises(LimitExceeded, match=r"11 frames.* 10 at most"):
        thing.echo([np.zeros(5000, "u1")] * 10)
    assert thing.add(1, 2) == 3
    assert thing.echo(np.zeros(3 * MB, "u1")).nbytes == 3 * MB


def test_a_result_that_is_too_large_is_an_error(thing, client):
    with pytest.raises(LimitExceeded, match=r"the result has \d+ bytes"):
        client._import("builtins").bytes(5 * MB)
    with pytest.raises(LimitExceeded, match="the result has 12 frames"):
        client._import("numpy").split(np.zeros(110_000, "u1"), 11)
    assert thing.add(1, 2) == 3


def test_a_first_message_that_is_too_large_ends_with_a_reason(server):
    client = RPCClient(server.address)
    with pytest.raises(ServerDisconnected, match=r"has \d+ bytes, .* takes and sends 4194304"):
        client.transfer(bytes(5 * MB))
    assert RPCClient(server.address).ping() == "pong"


def test_one_that_comes_nevertheless_ends_the_connection(server, plain, road):
    client = plain()
    if road == "direct":
        client.send_raw(struct.pack("<I", 5 * MB))
        assert "5242880 bytes was announced" in last(client).reason
    else:
        client.socket.send(bytes(5 * MB))
        assert eventually(lambda: not server.listener.connections.all())
    assert RPCClient(server.address).ping() == "pong"


def test_one_of_too_many_frames_ends_the_connection_with_a_reason(server, plain):
    client = plain()
    client.send_frames([b"\x91\x09"] + [b"x"] * 10)
    goodbye = last(client)
    assert isinstance(goodbye, Goodbye)
    assert "11 frames" in goodbye.reason


def test_one_of_frames_that_are_too_large_together_ends_the_connection(server, plain):
    client = plain()
    client.send_frames([b"\x91\x09"] + [bytes(MB)] * 5)
    goodbye = last(client)
    assert isinstance(goodbye, Goodbye)
    assert f"{5 * MB + 2} bytes" in goodbye.reason


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_a_message_that_nests_too_deep_is_refused(server, serializer):
    client = RPCClient(server.address, serializer=serializer)
    thing = client["thing"]

    def nested(levels, kind):
        value = 0
        for _ in range(levels):
            value = kind(value)
        return value

    kinds = [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: (v,)}]
    for kind in kinds:
        levels = 17 if kind is not kinds[-1] else 8
        assert thing.echo(nested(levels, kind)) == nested(levels, kind)
        with pytest.raises(LimitExceeded, match=r"deeper than the 20 levels .*Limits\(nesting"):
            thing.echo(nested(levels + 2, kind))
    assert thing.add(1, 2) == 3


def test_objects_of_the_server_itself_may_nest_as_they_like(server, thing, client):
    """What comes home is not looked into: it has not been sent."""
    endless = []
    endless.append(endless)
    server["endless"] = endless
    proxy = client.send("get_item", {"name": "endless"}, return_type="proxy")
    assert thing.echo([proxy, "x" * 100], _return_type="proxy") is not None
