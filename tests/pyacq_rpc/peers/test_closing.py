"""A server, or a client, closes while the other side has not read everything yet."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from conftest import eventually
from plain_client import PlainClient, Relay
from things import Thing

from pyacq_rpc import RPCClient, RPCServer
from pyacq_rpc.peers import closing, listener
from pyacq_rpc.peers.lingering import Lingering
from pyacq_rpc.peers.listener import Listener
from pyacq_rpc.peers.roads import Roads
from pyacq_rpc.peers.runtime import ROADS_VARIABLE, Runtime, current
from pyacq_rpc.transport.backlog import AT_ONCE
from pyacq_rpc.transport.monitor import Monitor
from pyacq_rpc.transport.sockets import LINGER
from pyacq_rpc.wire.messages import Goodbye, Hello, Result, Welcome

COUNT = 200
"""Answers of 100 kB: more than the system takes for somebody who does not read."""


@pytest.fixture
def server():
    """A server that serves in a thread of its own, until it is closed."""
    server = RPCServer()
    server["thing"] = thing = Thing()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    yield server
    thing.gate.set()
    server.close()
    thread.join(10)
    assert not thread.is_alive()


def ask_for_much(server, client):
    for i in range(COUNT):
        client.call(i, ["@thing", "echo"], "x" * 100_000)
    assert eventually(lambda: client.stream is None or client.stream.flush())
    assert eventually(lambda: server.stats().done >= COUNT)


@pytest.mark.parametrize("road", ["zmq", "stamped", "direct"])
def test_who_is_slow_to_read_gets_all_that_was_sent_before_the_server_closed(
    server, road, monkeypatch
):
    monkeypatch.setattr(closing, "LINGER", 20_000)  # as slow as a busy machine
    if road == "direct" and not current().direct:
        pytest.skip("there is one road only")
    client = PlainClient(server.address, road, greedy=False)
    try:
        ask_for_much(server, client)
        server.close()
        assert eventually(lambda: server.listener.closed)
        for i in range(COUNT):
            assert client.receive() == Result(i, "x" * 100_000)
        assert client.receive() == Goodbye("server closed")
    finally:
        client.close()
    assert server.wait_closed(10)


SERVER = """
import sys, threading
from pyacq_rpc import RPCServer
from pyacq_rpc.peers import closing, runtime
closing.LINGER, runtime.SERVER_GRACE = 20_000, 30.0  # as slow as a busy machine
class Thing:
    def echo(self, text):
        return text
server = RPCServer()
server["thing"] = Thing()
threading.Thread(target=server.run_forever, daemon=True).start()
print(server.address, flush=True)
sys.stdin.readline()
"""


def test_who_is_slow_to_read_gets_all_that_was_sent_before_the_server_s_process_ended():
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        address = child.stdout.readline().strip()
        client, other = PlainClient(address, greedy=False), RPCClient(address)
        try:
            for i in range(COUNT):
                client.call(i, ["@thing", "echo"], "x" * 100_000)
            assert eventually(lambda: other.server_stats(10).done >= COUNT)
            print(file=child.stdin, flush=True)
            for i in range(COUNT):
                assert client.receive() == Result(i, "x" * 100_000)
            assert client.receive() == Goodbye("server closed")
            client.close()
            assert child.wait(20) == 0
        finally:
            child.kill()
            client.close()


def interrupt_once(monkeypatch, owner, name):
    """Have Ctrl-C come when this is called for the first time."""
    function, calls = getattr(owner, name), []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return function(*args)

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize(
    ("owner", "name"),
    [(listener, "ServerEnd"), (Listener, "close_socket"), (Monitor, "unbind"), (Monitor, "close")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_interrupt_leaves_no_socket_of_a_server(monkeypatch, owner, name):
    server = RPCServer()
    interrupt_once(monkeypatch, owner, name)
    with pytest.raises(KeyboardInterrupt):
        server.close()
    server.close()
    assert server.wait_closed(10)
    assert server.listener._socket.closed


@pytest.mark.parametrize(
    ("owner", "name"),
    [(Roads, "close"), (Monitor, "close"), (Runtime, "linger"), (Lingering, "add")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_an_interrupt_leaves_no_socket_of_a_client(server, monkeypatch, owner, name):
    monkeypatch.setattr(current(), "direct", False)
    client = RPCClient(server.address)
    assert client["thing"].echo("x" * 10_000)
    interrupt_once(monkeypatch, owner, name)
    with pytest.raises(KeyboardInterrupt):
        client.close()
    client.close()
    assert eventually(lambda: client.channel.roads._dealer.socket.closed)


def test_a_goodbye_that_follows_another_one_means_nothing(server):
    client = PlainClient(server.address)
    try:
        for reason in ("tired", "", " " * AT_ONCE):
            client.send(Goodbye(reason))
        client.send(Hello(1, "again", {}))
        assert isinstance(client.receive(), Welcome)
    finally:
        client.close()


def have_been_told_much(strangers):
    return strangers and strangers[0].backlog.unmarked > AT_ONCE


@pytest.mark.parametrize("hello", [True, False])
def test_who_does_not_read_keeps_no_server_from_closing(server, hello, monkeypatch):
    """When its socket is closed there is no connection left that could break."""
    left = []
    unbind = Monitor.unbind

    def look_and_unbind(monitor):
        left.append(server.listener.inbox._alive - {0})  # libzmq tells of that, too
        unbind(monitor)

    monkeypatch.setattr(Monitor, "unbind", look_and_unbind)
    relay = Relay(server.address)
    client = PlainClient(relay.address, hello=hello)
    try:
        if hello:
            relay.deaf = True
            ask_for_much(server, client)
        else:
            client.send_frames([b"\x93garbage"])
            assert client.receive() is not None
            relay.deaf = True
            for _ in range(COUNT):
                client.send_frames([b"\x93garbage"])
            assert eventually(lambda: have_been_told_much(server.listener.connections.strangers()))
        server.close()
        assert server.wait_closed(10)
        assert left == [set()]
    finally:
        client.close()
        relay.close()


def test_who_goes_without_having_read_all_is_not_waited_for(server, monkeypatch):
    monkeypatch.setattr(closing, "LINGER", 60_000)
    client = PlainClient(server.address, greedy=False)
    try:
        ask_for_much(server, client)
        server.close()
        assert not server.wait_closed(0.1)
    finally:
        client.close()
    assert server.wait_closed(10)


CLIENT = f"""
import sys, time
from pyacq_rpc import RPCClient
client = RPCClient(sys.argv[1])
thing = client["thing"]
waiting = thing.wait(_sync="async")
print("waits", flush=True)
sys.stdin.readline()
for _ in range({COUNT}):
    thing.note("x" * 100_000, _sync="off")
client.close()
print("closed", flush=True)
sys.stdin.readline()
time.sleep({LINGER / 1000})  # in which there is a heartbeat
print("lives", flush=True)
"""


def test_a_client_survives_that_has_closed_when_its_connection_breaks(server):
    """With much to be sent still, and after an answer has come for which it did not wait."""
    relay = Relay(server.address)
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, relay.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, ROADS_VARIABLE: "zmq"},
    ) as child:
        try:
            assert child.stdout.readline() == "waits\n"
            relay.deaf_to_client = True
            print(file=child.stdin, flush=True)
            assert child.stdout.readline() == "closed\n"
            server["thing"].gate.set()
            assert eventually(lambda: server.stats().in_flight == 0)
            relay.close()
            print(file=child.stdin, flush=True)
            assert child.stdout.readline() == "lives\n"
            assert child.wait(20) == 0
        finally:
            child.kill()
            relay.close()
