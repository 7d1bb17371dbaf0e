from __future__ import annotations

import os
import socket
import tempfile

import pytest
import zmq
from conftest import fixed_address

from pyacq_rpc.transport.greeting import greets


@pytest.fixture(params=["tcp", "ipc"])
def where(request):
    """An address, and a function that listens there with a plain socket."""
    with tempfile.TemporaryDirectory() as folder:
        if request.param == "tcp":
            address = fixed_address()
            port = int(address.rpartition(":")[2])
            yield address, lambda: socket.create_server(("127.0.0.1", port))
        else:
            path = os.path.join(folder, "socket")

            def listen():
                listening = socket.socket(socket.AF_UNIX)
                listening.bind(path)
                listening.listen()
                return listening

            yield f"ipc://{path}", listen


def test_whoever_has_a_socket_of_zmq_does(where):
    address, _ = where
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        router.bind(address)
        assert greets(address, 10) is True


def test_whoever_is_frozen_does_not(where):
    address, listen = where
    with listen():
        assert greets(address, 0.05) is False


def test_nobody_is_there(where):
    address, _ = where
    assert greets(address, 10) is None


def test_somebody_else_is_there(where):
    address, listen = where
    with listen() as listening:
        listening.settimeout(10)
        with socket.socket(listening.family) as early:
            early.connect(listening.getsockname())
            accepted, _ = listening.accept()
            accepted.close()
        assert greets(address, 0.05) is False


def test_the_network_is_down():
    assert greets("tcp://host.invalid:1", 1) is False
