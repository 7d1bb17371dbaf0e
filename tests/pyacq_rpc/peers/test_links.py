from __future__ import annotations

from conftest import eventually

from pyacq_rpc import RPCClient
from pyacq_rpc.peers.background import start_background
from pyacq_rpc.peers.runtime import current


def test_servers_that_are_gone_are_forgotten():
    peers = current().links._peers
    for _ in range(3):
        server = start_background("short-lived")
        RPCClient(server.address).ping()
        assert len(peers) == 1
        server.close()
        assert eventually(lambda: not peers)
