"""Clients that reach nobody: the server has died before, or is still to come."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gc
import os
import signal
import socket
import threading

import pytest
from conftest import eventually, fixed_address, open_descriptors, settled
from relay import Relay

from pyacq_rpc import (
    AuthenticationError,
    CallTimeout,
    ObjectProxy,
    ReferenceReleased,
    RPCClient,
    RPCServer,
    ServerDisconnected,
)
from pyacq_rpc.peers import scouting
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.exchange import resolve
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.peers.watcher import Watcher
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


@pytest.fixture
def handed_on(vacant):
    """Makes a proxy of an object there, for which no client has been made."""

    def hand_on():
        proxy, client = of_somebody_at(vacant)
        client.close()
        return proxy

    return hand_on


@pytest.fixture
def elsewhere():
    """A thread that has no client yet, to call functions in."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        yield lambda function, *args, **kwds: pool.submit(function, *args, **kwds)


def is_made_for_a_server_at(address):
    """Whether a client was made for an object there, and has not been greeted yet."""
    links = current().links
    with current().lock:
        clients = list(links._open)
    waiting = [client for client in clients if client.channel.link and not client.closed()]
    return any(client.address == address for client in waiting)


# -- the server of an object has died -------------------------------------------


@pytest.mark.parametrize("ask", ["proxy", "node"])
def test_a_thread_that_connects_too_late_learns_what_the_others_do(elsewhere, ask, monkeypatch):
    """Its connection alone would tell nothing: it was taken by nobody."""
    monkeypatch.setattr(scouting, "FIRST", 60.0)
    with ProcessSpawner() as node:
        clock = node._import("time")
        os.kill(node.pid, signal.SIGSTOP)
        ping = clock.time if ask == "proxy" else lambda: node.client.ping()
        called = elsewhere(ping)
        assert eventually(lambda: is_made_for_a_server_at(node.address))
        os.kill(node.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected, match=r"has died|has ended"):
            called.result(20)
        with pytest.raises(ServerDisconnected):
            elsewhere(ping).result(20)


def test_what_is_handed_on_too_late_is_known_to_be_gone(handed_on):
    proxy = handed_on()
    with pytest.raises(ServerDisconnected, match="cannot be reached: nobody listens"):
        proxy.add(1, 2, _timeout=20)
    assert not is_made_for_a_server_at(proxy._rpc_addr)
    with pytest.raises(ServerDisconnected, match="which owned this object, is gone"):
        proxy.add(1, 2)


def test_what_is_handed_on_while_it_is_frozen_can_be_used_later(handed_on, vacant, monkeypatch):
    """The system takes connections in the name of a process that does nothing."""
    monkeypatch.setattr(scouting, "SILENCE", 0.2)
    proxy = handed_on()
    with socket.create_server(("127.0.0.1", int(vacant.rpartition(":")[2]))):
        for _ in range(2):
            with pytest.raises(ServerDisconnected, match="gives no sign of life"):
                proxy.add(1, 2, _timeout=20)


def test_who_greets_is_waited_for_though_it_cannot_let_anybody_in():
    """It needs the interpreter for that, which a call may not let go of."""
    with ProcessSpawner() as node, ProcessSpawner() as other:
        sleep = node._import("ctypes").PyDLL(None, _return_type="proxy").usleep
        add = node._import("operator").add
        reduce = other._import("functools").reduce
        reduce(max, [1, 2])  # imports what that takes
        waits = [sleep(900_000, _sync="async") for _ in range(2)]
        assert reduce(add, [1, 2, 3]) == 6
        assert [future.result(20) for future in waits] == [0, 0]


def test_who_is_connected_waits_though_nobody_else_can_connect(server, thing, monkeypatch):
    monkeypatch.setattr(scouting, "FIRST", 0.01)
    blocker = thing.wait(_sync="async")
    with Relay(int(server.address.rpartition(":")[2])) as relay:
        proxy, client = of_somebody_at(relay.address)
        called = proxy.add(1, 2, _sync="async")
        assert eventually(client.channel.connected)
        relay.shut()
        assert not eventually(called.done, 0.5)
        server["thing"].gate.set()
        blocker.result(20)
        with pytest.raises(ReferenceReleased):  # by another server, but it has answered
            called.result(20)


def test_so_it_is_where_another_server_listens_by_now(handed_on, vacant, monkeypatch):
    monkeypatch.setattr(scouting, "FIRST", 60.0)  # it comes before that is clear
    proxy = handed_on()
    called = proxy.add(1, 2, _sync="async")
    with ProcessSpawner(address=vacant) as node:
        with pytest.raises(ReferenceReleased):
            called.result(20)
        with pytest.raises(ServerDisconnected, match="which owned this object, is gone"):
            proxy.add(1, 2)
        assert node.client.ping() == "pong"


def test_it_may_go_before_its_client_can_hear_of_it(handed_on, monkeypatch):
    proxy = handed_on()
    client_at = current().client_at

    def go_meanwhile(address):
        client = client_at(address)
        current().links.server_ended(proxy._link)
        return client

    monkeypatch.setattr(current(), "client_at", go_meanwhile)
    with pytest.raises(ServerDisconnected, match="which owned this object, is gone"):
        proxy.add(1, 2)


def test_its_welcome_may_be_read_before_it_is_known_what_a_client_is_for(
    client, thing, elsewhere, monkeypatch
):
    client_at = current().client_at

    def be_greeted_meanwhile(address):
        client = client_at(address)
        assert eventually(client.welcomed)
        return client

    monkeypatch.setattr(current(), "client_at", be_greeted_meanwhile)
    assert elsewhere(thing.add, 1, 2).result(20) == 3
    assert not is_made_for_a_server_at(client.address)


def test_who_is_not_let_in_any_more_does_not_take_a_server_for_dead(
    server, thing, elsewhere, monkeypatch
):
    monkeypatch.setattr(scouting, "FIRST", 0.01)
    monkeypatch.setattr(scouting, "AGAIN", 0.01)
    port = int(server.address.rpartition(":")[2])
    with Relay(port) as relay:
        theirs = RPCClient(relay.address)["thing"]
        assert settled(RPCClient.get_client(relay.address))
        relay.shut()
        with pytest.raises(CallTimeout):
            elsewhere(theirs.add, 1, 2, _timeout=1).result(20)
        assert theirs.add(1, 2) == 3


def test_a_connection_that_was_not_greeted_tells_nothing_of_a_server_that_another_one_reaches(
    client, thing
):
    assert settled(client)
    current().links.not_met(thing._link)
    assert thing.add(1, 2) == 3


def test_who_refuses_is_there(tmp_path):
    with contextlib.closing(RPCServer(key=tmp_path / "key")) as theirs:
        port = theirs.address.rpartition(":")[2]
        proxy, client = of_somebody_at(f"tcp://localhost:{port}")  # whose key is not known by that
        client.close()
        for _ in range(2):
            with pytest.raises(AuthenticationError, match="has another key than you"):
                proxy.add(1, 2, _timeout=20)


def test_a_client_that_was_asked_for_by_its_address_waits_though_an_old_object_is_used(
    handed_on, vacant
):
    proxy = handed_on()
    client = RPCClient(vacant)
    ping = client.ping("async")
    with pytest.raises(CallTimeout):
        proxy.add(1, 2, _timeout=0.5)
    with ProcessSpawner(address=vacant) as node:
        assert ping.result(20) == "pong"
        assert node.client.ping() == "pong"


# -- a client whose server is still to come --------------------------------------


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


def test_a_client_that_cannot_be_closed_yet_keeps_no_other_from_it(server, monkeypatch, caplog):
    may_close, refused, clients = Watcher._may_close, [], []

    def refuse_once(watcher, client, ended):
        if not refused:
            refused.append(client)
            raise OSError("too many open files")
        return may_close(watcher, client, ended)

    monkeypatch.setattr(Watcher, "_may_close", refuse_once)
    threads = [
        threading.Thread(target=lambda: clients.append(RPCClient(server.address))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert eventually(lambda: all(client.closed() for client in clients))
    assert refused
    assert "could not be closed yet" in caplog.text


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


def test_what_a_call_of_somebody_who_was_never_reached_refers_to_is_let_go(server, thing, vacant):
    before = server.table.held_by_others()
    proxy, _ = of_somebody_at(vacant)
    waits = proxy.add(thing.make(), 1, _sync="async")
    assert eventually(lambda: server.table.held_by_others()[1] == before[1] + 1)
    assert isinstance(waits.exception(20), ServerDisconnected)
    del waits
    gc.collect()
    assert eventually(lambda: server.table.held_by_others() == before)


def test_a_client_that_was_asked_for_stays_where_somebody_else_is_handed_on(monkeypatch, vacant):
    monkeypatch.setattr(scouting, "FIRST", 0.0)
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
