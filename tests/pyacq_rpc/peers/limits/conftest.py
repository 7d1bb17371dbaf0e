"""What one client may take of a server: beyond it an error for that one, and nothing for others."""

from __future__ import annotations

import threading

import pytest
from conftest import settled
from plain_client import PlainClient
from things import Thing
from tight import TIGHT

from pyacq_rpc import RPCServer
from pyacq_rpc.peers.runtime import current


@pytest.fixture
def server():
    """A server with tight limits."""
    server = RPCServer(name="tight", limits=TIGHT)
    server["thing"] = Thing()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    yield server
    server["thing"].gate.set()
    server.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def thing(client):
    """A proxy of its thing, once client and server have opened all that they open."""
    assert settled(client)
    return client["thing"]


@pytest.fixture(params=["zmq", "stamped", "direct"])
def road(request):
    """Each road that there is."""
    if request.param == "direct" and not current().direct:
        pytest.skip("there is one road only")
    return request.param


@pytest.fixture
def plain(server, road):
    """Makes clients without manners, by either road."""
    made = []

    def make(**kwds):
        made.append(PlainClient(server.address, road, **kwds))
        return made[-1]

    yield make
    for client in made:
        client.close()
