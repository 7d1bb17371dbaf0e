"""Who comes early, and who listens where."""

from __future__ import annotations

import threading

import pytest
from conftest import eventually
from plain_client import PlainClient

from pyacq_rpc import RPCClient, RPCServer
from pyacq_rpc.peers import listener
from pyacq_rpc.peers import server as serving
from pyacq_rpc.transport.sockets import endpoint, listen
from pyacq_rpc.wire.messages import Request


def test_a_client_that_comes_as_soon_as_it_listens_is_served(monkeypatch):
    """Before the thread comes to anything else."""
    clients = []

    def listen_and_see_it_connect(socket, address):
        listen(socket, address)
        clients.append(RPCClient(endpoint(socket)))
        assert eventually(lambda: clients[0].channel.connected())

    monkeypatch.setattr(listener, "listen", listen_and_see_it_connect)
    server = RPCServer()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    assert clients[0].ping() == "pong"
    assert clients[0].ping() == "pong"
    server.close()
    thread.join()


def test_a_client_that_is_gone_is_forgotten_however_slow_the_machine_is(server, monkeypatch):
    """There is a look at what has come after each message then, not only now and then."""
    monkeypatch.setattr(serving, "TURN", 0.0)
    monkeypatch.setattr(listener, "LOOK_INTERVAL", 0.0)
    for _ in range(5):
        PlainClient(server.address, "direct" if server.runtime.direct else "zmq").close()
    assert eventually(lambda: not server.listener.connections)


def test_a_client_is_forgotten_that_says_something_after_its_stream_has_ended(server, thing):
    if not server.runtime.direct:
        pytest.skip("there is one road only")
    listener, inbox = server.listener, server.listener.inbox
    client = PlainClient(server.address, "direct")
    try:
        thing.wait(_sync="off")
        assert eventually(lambda: server.doing.request is not None)
        (connection,) = (one for one in listener.connections.all() if one.peer == "plain")
        client.stream.close()
        with listener.lock:  # as a look would note it that came just now
            while (connection.identity, None) not in inbox.items:
                inbox.fill_from(connection)
        client.send_over_socket(client.encode(Request(3, "ping", "off", {})))
        assert eventually(lambda: len(inbox.items) == 2)
        server["thing"].gate.set()
        assert eventually(lambda: len(listener.connections) == 1)
    finally:
        server["thing"].gate.set()
        client.close()
