"""A network over which a message takes longer than a peer may be silent."""

from __future__ import annotations

import time

import numpy as np
from relay import Relay
from things import Thing

from pyacq_rpc import RPCClient
from pyacq_rpc.transport.sockets import HEARTBEAT_INTERVAL, HEARTBEAT_TIMEOUT

TOO_LONG = (HEARTBEAT_INTERVAL + HEARTBEAT_TIMEOUT) / 1000 + 1.0
"""Seconds after which who is silent is gone."""

SIZE = 1_000_000


def test_a_frame_may_take_its_time_in_either_direction(server, monkeypatch):
    monkeypatch.setattr(server.runtime, "direct", False)
    server["thing"] = Thing()
    server["thing"].note("x" * SIZE)  # part of the message proper, where an array has its own frame
    with Relay(int(server.address.rpartition(":")[2])) as relay:
        client = RPCClient(relay.address)
        thing = client["thing"]
        relay.rate = SIZE / TOO_LONG
        begin = time.monotonic()
        down = thing.notes(_sync="async")
        up = thing.keep(np.full(SIZE, 3, "u1"), _sync="async")
        assert down.result(20) == ["x" * SIZE]
        up.result(20)
        assert time.monotonic() - begin > TOO_LONG
        assert (server["thing"].kept == np.full(SIZE, 3, "u1")).all()
        client.close()
