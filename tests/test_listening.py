"""There is no way to listen on a network without a key."""

from __future__ import annotations

import ast
import socket
from pathlib import Path

import psutil
import pytest
import zmq

from pyacq_rpc import RPCServer
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import Key
from spawner import LogServer, ProcessSpawner

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "pyacq_rpc/transport/sockets.py": "the one way, which needs a key",
    "pyacq_rpc/transport/gate.py": "within the process: asked by libzmq itself",
    "pyacq_rpc/transport/direct.py": "a Unix socket in a private directory",
    "pyacq_rpc/transport/addresses.py": "a probe that does not listen",
    "pyacq_rpc/session/checked.py": "no socket: arguments are bound to a signature",
}
"""Where a socket is given an address, and why that is safe."""

LISTENS = {
    "bind", "bind_to_random_port", "bind_unix_socket", "create_server", "start_server",
    "start_unix_server", "TCPServer", "HTTPServer",
}  # fmt: skip

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"CURVE".ljust(20, b"\0") + bytes(32)
"""What a client of ZMTP 3 says first (RFC 23), one that would use CURVE."""


def calls_that_listen(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in LISTENS:
                yield ast.unparse(node)


def test_nothing_gives_a_socket_an_address_by_another_way():
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("pyacq_rpc", "spawner")
        for path in sorted((ROOT / package).rglob("*.py"))
        if list(calls_that_listen(path))
    }
    assert found == ALLOWED.keys()


def test_what_would_is_found(tmp_path):
    (tmp_path / "code.py").write_text(
        "socket.bind('tcp://*:1')\nasyncio.start_server(f)\nx.unbind()"
    )
    assert list(calls_that_listen(tmp_path / "code.py")) == [
        "socket.bind('tcp://*:1')",
        "asyncio.start_server(f)",
    ]


def listening(pid):
    """The ports at which a process listens for TCP."""
    process = psutil.Process(pid)
    connections = getattr(process, "net_connections", None) or process.connections
    return {at.laddr.port for at in connections("tcp") if at.status == psutil.CONN_LISTEN}


def mechanism(port):
    """What whoever listens there would have a client do; nothing if it is not what that says."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(GREETING)
        told = b""
        while len(told) < len(GREETING):
            more = client.recv(len(GREETING) - len(told))
            if not more:
                break
            told += more
    return told[12:32].rstrip(b"\0")


def test_each_port_that_is_opened_wants_a_key():
    """Those of servers, of callbacks, of logs and of nodes."""
    before = listening(None)
    servers = [RPCServer(), RPCServer("tcp://0.0.0.0:*"), RPCServer("tcp://*:*")]
    servers.append(current().exporter(current().thread()))
    with (
        LogServer(address="tcp://0.0.0.0:*") as logs,
        ProcessSpawner(address="tcp://0.0.0.0:*") as node,
    ):
        opened = listening(None) - before
        told = {at.address.rpartition(":")[2] for at in (*servers, logs)}
        assert {str(port) for port in opened} == told
        in_node = listening(node.pid)
        assert {str(port) for port in in_node} == {node.address.rpartition(":")[2]}
        for port in opened | in_node:
            assert mechanism(port) == b"CURVE"
    for server in servers:
        server.close()


def test_one_that_wants_none_is_told_apart():
    with zmq.Context() as context, context.socket(zmq.ROUTER) as plain:
        assert mechanism(plain.bind_to_random_port("tcp://127.0.0.1")) != b"CURVE"


@pytest.mark.parametrize("key", ["", Key(b"", b"", b"")])
def test_nor_with_an_empty_key(key, monkeypatch, tmp_path):
    """It is the user's then, or none at all."""
    monkeypatch.setenv("PYACQ_RPC_KEY", str(tmp_path / "key"))
    try:
        server = RPCServer("tcp://0.0.0.0:*", key=key)
    except (OSError, ValueError, zmq.ZMQError):
        return
    assert mechanism(int(server.address.rpartition(":")[2])) == b"CURVE"
    assert server.listener.key.public
    server.close()
