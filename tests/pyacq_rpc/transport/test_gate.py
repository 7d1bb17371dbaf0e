from __future__ import annotations

import contextlib

import pytest
import zmq

from pyacq_rpc.transport.gate import Gate
from pyacq_rpc.transport.keys import Key, be_client, be_server


def new_key():
    public, secret = zmq.curve_keypair()
    return Key(public, secret, public)


@pytest.fixture
def context():
    with zmq.Context() as context:
        context.linger = 0
        yield context


@pytest.fixture
def server(context):
    key = new_key()
    asked = []

    def admits(server, client):
        asked.append((server, client))
        return asked[0][1] == client

    gate = Gate(context, admits)
    with context.socket(zmq.ROUTER) as socket:
        be_server(socket, key)
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        yield socket, key, f"tcp://127.0.0.1:{port}", asked
        gate.close()


def connect(context, key, server_key, address):
    socket = context.socket(zmq.DEALER)
    socket.linger = 0
    be_client(socket, key)
    socket.curve_serverkey = server_key.public
    socket.connect(address)
    with contextlib.suppress(zmq.Again):  # it was refused as soon as that
        socket.send(b"hello", zmq.DONTWAIT)
    return socket


def test_it_says_who_may_connect(context, server):
    socket, key, address, asked = server
    first, second = new_key(), new_key()
    with connect(context, first, key, address):
        assert socket.poll(10_000)
        assert socket.recv_multipart()[1] == b"hello"
        with connect(context, second, key, address):
            assert not socket.poll(300)
    assert asked[:2] == [(key.public, first.public), (key.public, second.public)]


def test_when_the_judge_fails_nobody_is_let_in(context, caplog):
    def fail(server, client):
        raise OSError("no such directory")

    key = new_key()
    gate = Gate(context, fail)
    with context.socket(zmq.ROUTER) as socket:
        be_server(socket, key)
        address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
        for _ in range(2):
            with connect(context, new_key(), key, address):
                assert not socket.poll(300)
        gate.close()
    assert "a client could not be judged" in caplog.text
    assert "no such directory" in caplog.text


def test_it_is_refused_without_a_gate(context):
    key = new_key()
    with context.socket(zmq.ROUTER) as socket:
        be_server(socket, key)
        address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
        with connect(context, key, key, address):
            assert not socket.poll(300)
