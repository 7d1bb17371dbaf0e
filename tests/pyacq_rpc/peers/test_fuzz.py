"""A few seconds of ``tests/fuzz/fuzz_server.py``, by either road."""

from __future__ import annotations

import pytest
from fuzz.conversations import Player, kind_of, recordings, serializer_of
from fuzz.fuzz_server import Arena
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plain_client import PlainClient
from things import Thing

from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire.messages import Failure, Result, Welcome


@pytest.fixture(params=["zmq", "direct"])
def arena(request):
    if request.param == "direct" and not current().direct:
        pytest.skip("there is one road only")
    arena = Arena(0, request.param)
    yield arena
    arena.close()


def test_a_hostile_client_harms_nobody_and_leaves_nothing(arena):
    @settings(
        max_examples=10,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def attack(seed):
        arena.player.seed(seed)
        arena.attack(arena.player.conversation())

    attack()
    arena.check()
    assert arena.outcomes


def test_what_was_recorded_is_understood(server, caplog):
    """Else the mutations would begin from garbage."""
    player = Player(0, server.address, server.server_id)
    server["thing"] = Thing()
    for messages in recordings().values():
        client = PlainClient(server.address, serializer=serializer_of(messages), hello=False)
        try:
            # Without the road that the client has taken, which has its own token.
            for frames in messages:
                if kind_of(frames) != 11:
                    client.send_frames(player.message(frames, mutate=False))
            assert isinstance(client.receive(), Welcome)
            while isinstance(answer := client.receive(0.1), (Result, Failure)):
                assert getattr(answer, "code", "") not in ("protocol", "stranger")
        finally:
            client.close()
    assert "refused" not in caplog.text
