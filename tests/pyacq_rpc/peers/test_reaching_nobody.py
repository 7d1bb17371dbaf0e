"""Clients that reach nobody: the server has died before, or is still to come."""

from __future__ import annotations

import gc
import threading

import pytest
from conftest import eventually, fixed_address, open_descriptors, settled

from pyacq_rpc import ObjectProxy, RPCClient
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.exchange import resolve
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.leases import new_token
from pyacq_rpc.wire.messages import Reference
from spawner import ProcessSpawner


@pytest.fixture
def vacant():
    """An address where nobody listens."""
    return fixed_address()


def of_somebody_at(address):
    """Return a proxy that was handed on to this thread."""
    reference = Reference(address, new_token(), "0.1", "Thing", [], new_token())
    proxy = resolve(current(), None, None, "", "", reference)
    return proxy, RPCClient.get_client(address)


def test_a_timer_whose_callback_s_owner_was_never_reached_stops(server, thing, caplog):
    """Else it would keep the others waiting for ever, each time until the timeout."""
    with ProcessSpawner() as node:
        known = node._import("time")
    unknown = server.runtime.links.link(node.address, "never met")
    callback = ObjectProxy(known._reference, unknown, None, ("time",))
    timer = server.start_timer(callback, 0.01, _timeout=0.2)
    assert eventually(timer.stopped)
    assert "out of reach" in caplog.text


def test_a_client_that_has_reached_nobody_is_closed_when_its_thread_has_ended(monkeypatch, vacant):
    """Though it has been asked for something, which waits to be sent."""
    monkeypatch.setattr("pyacq_rpc.peers.watcher.LINGER", 100)
    clients = []

    def run():
        clients.append(RPCClient(vacant))
        with pytest.raises(TimeoutError):
            clients[0].ping(timeout=0.05)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert eventually(clients[0].closed)


def test_a_proxy_of_a_node_that_has_died_leaves_nothing_with_its_receiver(server, thing, client):
    assert settled(client)

    def hand_on(node):
        theirs = node._import("operator")
        node.kill()
        thing.keep(theirs)
        thing.drop()

    with ProcessSpawner() as first:
        hand_on(first)  # opens what is opened once
    before = len(open_descriptors())
    for _ in range(3):
        with ProcessSpawner() as node:
            hand_on(node)
    assert eventually(lambda: len(open_descriptors()) <= before, 5.0)


def test_what_a_call_of_somebody_who_was_never_reached_refers_to_is_let_go(
    server, thing, monkeypatch, vacant
):
    """Once nobody waits for its answer any more."""
    monkeypatch.setattr("pyacq_rpc.peers.watcher.LINGER", 100)
    before = server.table.held_by_others()
    proxy, client = of_somebody_at(vacant)
    waits = proxy.add(thing.make(), 1, _sync="async")
    assert not eventually(client.closed, 0.5)
    assert server.table.held_by_others()[1] == before[1] + 1
    waits.cancel()
    del waits
    assert eventually(client.closed)
    gc.collect()
    assert eventually(lambda: server.table.held_by_others() == before)


def test_a_client_that_was_asked_for_stays_where_somebody_else_is_handed_on(monkeypatch, vacant):
    monkeypatch.setattr("pyacq_rpc.peers.watcher.LINGER", 0)
    mine = RPCClient(vacant)
    _, theirs = of_somebody_at(vacant)
    assert theirs is mine
    assert not eventually(mine.closed, 0.3)
    mine.close()


def test_a_future_of_a_client_that_has_reached_nobody_is_waited_for(monkeypatch, vacant):
    """The server may still come."""
    monkeypatch.setattr("pyacq_rpc.peers.watcher.LINGER", 0)
    futures = []
    thread = threading.Thread(target=lambda: futures.append(RPCClient(vacant).ping(sync="async")))
    thread.start()
    thread.join()
    with pytest.raises(TimeoutError):
        futures[0].result(0.3)
    with ProcessSpawner(address=vacant):
        assert futures[0].result(20) == "pong"


def test_a_call_is_awaited_from_before_it_is_sent(client, thing, monkeypatch):
    """Else its client could be given up between the sending and the waiting."""
    send, awaited = Channel.send, []

    def look(channel, *args, **kwds):
        awaited.append(client.conversation.is_awaited())
        return send(channel, *args, **kwds)

    assert not client.conversation.is_awaited()
    monkeypatch.setattr(Channel, "send", look)
    thing.add(1, 2)
    assert awaited == [True]
    assert not client.conversation.is_awaited()
