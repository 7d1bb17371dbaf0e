"""Peers that write their messages by hand, one of which holds an object."""

from __future__ import annotations

import pytest
import zmq
from manual_peer import Peer
from things import Thing

from .iterating import Source


@pytest.fixture
def meet(server):
    """Makes another peer of the server."""
    context = zmq.Context()
    peers = []

    def meet(name=None, *before):
        peers.append(Peer(context, server.address, name, *before))
        return peers[-1]

    yield meet
    for peer in peers:
        peer.socket.close()
    context.term()


@pytest.fixture
def holder(server, meet):
    """A peer that was given an object, whose reference is its `ref`."""
    server["thing"] = Thing()
    holder = meet()
    holder.ref = holder.call("@thing", "make").ref
    assert holder.can_use(holder.ref)
    return holder


@pytest.fixture
def source(server):
    """What the server publishes to be iterated over; notes which requests there are."""
    server["source"] = source = Source()
    source.requests = requests = []
    run = server.dispatcher.run

    def note(action, *args):
        requests.append(action)
        return run(action, *args)

    server.dispatcher.run = note
    yield source
    source.gate.set()


@pytest.fixture
def there(source, client):
    """A proxy of that."""
    return client["source"]
