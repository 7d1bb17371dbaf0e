"""A client's connection: how it begins."""

from __future__ import annotations

import socket

import pytest
from conftest import eventually, settled

from pyacq_rpc import AuthenticationError, RPCClient
from pyacq_rpc.peers import channel, conversation, dealer
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.links import Links
from pyacq_rpc.peers.watcher import Watcher
from pyacq_rpc.transport.sockets import connect

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
"""Of somebody who knows of no keys (ZeroMQ RFC 23)."""


def test_a_handshake_that_fails_at_once_is_told(monkeypatch):
    """Before the thread comes to anything else; libzmq does not try again then."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def connect_and_see_it_fail(*args):
            connect(*args)
            other, _ = listening.accept()
            with other:
                other.sendall(GREETING)
                other.settimeout(10)
                while other.recv(1000):
                    pass

        monkeypatch.setattr(dealer, "connect", connect_and_see_it_fail)
        client = RPCClient(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(AuthenticationError, match="does not speak this protocol with a key"):
            client.ping()


def test_nothing_is_delivered_before_its_receiver_is_ready(server, monkeypatch, caplog):
    """Though the I/O thread reads what there is, as it does when the connection breaks."""

    class Slow(Channel):
        def __init__(self, *args):
            super().__init__(*args)
            eventually(lambda: self.pump() and self.arrivals.bytes, 0.3)

    monkeypatch.setattr(conversation, "Channel", Slow)
    client = RPCClient(server.address)
    assert client.ping() == "pong"
    assert client.server_name == "under-test"
    assert not caplog.records


@pytest.mark.parametrize(
    "where",
    [(channel, "LeaseHolder"), (Channel, "begin"), (Watcher, "add"), (Links, "opened")],
    ids=["made", "begun", "watched", "known"],
)
def test_an_interrupt_while_a_client_is_made_harms_no_other(server, client, monkeypatch, where):
    """Each of them had a socket and its monitor by then."""

    def interrupt(*_):
        raise KeyboardInterrupt

    assert settled(client)
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupt)
        for _ in range(30):
            with pytest.raises(KeyboardInterrupt):
                RPCClient(server.address)
            assert client.ping() == "pong"
    assert eventually(lambda: len(server.listener.connections) == 1)
    assert RPCClient(server.address).ping() == "pong"
