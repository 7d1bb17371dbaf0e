"""Clients that do not read what is sent to them, and all sorts of other nuisances."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import struct
import subprocess
import sys
import time

import psutil
import pytest
from conftest import eventually, open_descriptors, settled
from plain_client import PlainClient, Relay, half_open, last
from tight import MB

from pyacq_rpc import Limits, RPCClient
from pyacq_rpc.peers import inbox
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.stamps import secret_of
from pyacq_rpc.wire.messages import Cancel, Failure, Goodbye, Hello, Result, Welcome
from spawner import ProcessSpawner

NUMBERS = itertools.count(1_000_000)


def memory():
    return psutil.Process().memory_info().rss


# -- clients that do not read ------------------------------------------------------------


def serve_meanwhile(server, do):
    """Call from another client while something is done; return the median time of a call."""
    client = RPCClient(server.address)
    assert settled(client)
    times = []
    thing = client["thing"]
    done = False
    while not done:
        done = do()
        start = time.perf_counter()
        assert thing.add(1, 2) == 3
        times.append(time.perf_counter() - start)
    client.close()
    return sorted(times)[len(times) // 2]


def see_to(server, client, is_cut_off):
    """Wait until a server has seen to all that a client has sent, or is through with that one."""
    number = next(NUMBERS)
    client.call(number, ["@thing", "note"], number)

    def has_seen_to_it():
        if client.stream is not None:
            client.stream.flush()
        return number in server["thing"].log or is_cut_off()

    assert eventually(has_seen_to_it)


def test_who_reads_nothing_is_cut_off(server, plain, road, caplog):
    relay = Relay(server.address)
    deaf = plain(peer="deaf") if road == "direct" else PlainClient(relay.address, peer="deaf")
    try:
        deaf.ask(0, "transfer", "proxy", obj=7)
        assert isinstance(deaf.receive(), Result)
        assert len(server.table) == 1
        relay.deaf = True
        before = memory()
        asked = [0]

        def is_cut_off():
            return not server.listener.connections.has_peer("deaf")

        def ask_for_more():
            for _ in range(3):
                asked[0] += 1
                deaf.call(asked[0], ["@thing", "echo"], "x" * 100_000)
            see_to(server, deaf, is_cut_off)
            return is_cut_off()

        assert serve_meanwhile(server, ask_for_more) < 5
        assert eventually(lambda: len(server.table) == 0)
        assert "cut off a client: more than 2097152 bytes waited" in caplog.text
        # What the kernel holds comes to it: 8 MB and more over tcp.
        assert asked[0] * 100_000 < 200 * MB
        assert memory() - before < 100 * MB
        if road == "direct":
            assert "waited for this client to read them" in last(deaf).reason
    finally:
        deaf.close()
        relay.close()


def test_who_has_not_even_said_hello_is_cut_off_too(server):
    relay = Relay(server.address)
    deaf = PlainClient(relay.address, hello=False)
    try:
        garbage = [b"\x93" + b"garbage" * 10]
        deaf.send_frames(garbage)
        assert isinstance(deaf.receive(), Failure)
        relay.deaf = True
        before = memory()

        def send_more():
            for _ in range(2000):
                deaf.send_frames(garbage)
            return any(one.cut for one in server.listener.connections._strangers.values())

        assert serve_meanwhile(server, send_more) < 5
        assert memory() - before < 200 * MB
    finally:
        deaf.close()
        relay.close()


def test_a_goodbye_and_a_hello_do_not_make_room(server, caplog):
    relay = Relay(server.address)
    deaf = PlainClient(relay.address, "stamped", peer="deaf")
    try:
        relay.deaf = True
        before = memory()

        def is_cut_off():
            return "waited for this client to read them" in caplog.text

        def ask_for_more():
            for i in range(10):
                deaf.call(i, ["@thing", "echo"], "x" * 100_000)
            deaf.send(Goodbye("tired"))
            deaf.send(Hello(1, "deaf", {}))
            see_to(server, deaf, is_cut_off)
            return is_cut_off()

        assert serve_meanwhile(server, ask_for_more) < 5
        assert memory() - before < 100 * MB
    finally:
        deaf.close()
        relay.close()


def test_a_secret_as_long_as_a_message_is_read_once(server, monkeypatch):
    reads = []

    def reading(frame):
        reads.append(1)
        return secret_of(frame)

    monkeypatch.setattr(inbox, "secret_of", reading)
    client = PlainClient(server.address, hello=False, secret="ab" * MB)
    try:
        for _ in range(10):
            client.send_frames([b"garbage"])
        for _ in range(10):
            assert isinstance(client.receive(), Failure)
        assert len(reads) == 1
    finally:
        client.close()


def test_what_is_not_stamped_counts_as_well(server, thing, caplog):
    client = PlainClient(server.address, "stamped")
    try:
        thing.wait(_sync="off")
        assert eventually(lambda: server.doing.request is not None)
        for _ in range(1000):
            client.send_over_socket([b"garbage"], as_agreed=False)
        assert eventually(lambda: len(server.listener.inbox.excess) >= 900)
        server["thing"].gate.set()
        goodbye = last(client)
        assert isinstance(goodbye, Goodbye)
        assert "messages of this client waited" in goodbye.reason
        assert len(caplog.records) < 100
    finally:
        client.close()


def test_nor_may_it_be_larger(server):
    client = PlainClient(server.address, "stamped")
    try:
        client.send_over_socket([bytes(3 * MB)] * 4, as_agreed=False)
        goodbye = last(client)
        assert isinstance(goodbye, Goodbye)
        assert f"{6 * MB} bytes" in goodbye.reason
    finally:
        client.close()


def test_who_comes_after_somebody_who_is_cut_off_stays(tmp_path):
    """Though it has the descriptor that the other one had."""
    os.mkfifo(tmp_path / "gate")
    with ProcessSpawner() as node:
        assert settled(node.client)
        process = psutil.Process(node.pid)
        before = len(process.net_connections())
        opened = node._import("builtins").open(str(tmp_path / "gate"), _sync="async")
        assert eventually(lambda: node.client.status().doing)
        nuisance = PlainClient(node.address, hello=False)
        nuisance.send_frames([b"\x91\x09"] + [b"x"] * Limits().frames)  # for which it is cut off
        nuisance.send_frames([b"garbage"])  # so that one sees that the first one has come
        assert eventually(lambda: node.client.server_stats(10).queue == 1)
        nuisance.close()
        assert eventually(lambda: len(process.net_connections()) == before)
        after = PlainClient(node.address, hello=False)
        try:
            after.send(Hello(1, "after", {}))
            assert eventually(lambda: node.client.server_stats(10).queue == 2)
            (tmp_path / "gate").write_text("")
            opened.result(10)
            assert isinstance(after.receive(), Welcome)
            after.ask(1, "ping")
            assert isinstance(after.receive(), Result)
        finally:
            after.close()


def test_a_client_that_was_stopped_learns_why_it_was_cut_off(server, tmp_path):
    """It was stopped by a signal, with answers on their way; then it goes on."""
    code = (
        "import sys; from pyacq_rpc import RPCClient\n"
        "client = RPCClient(sys.argv[1]); thing = client['thing']\n"
        "client.ping(); client.ping(); print('ready', flush=True); sys.stdin.readline()\n"
        "try: client.ping(timeout=20); print('still there')\n"
        "except ConnectionError as error: print(error)\n"
        "print(RPCClient(sys.argv[1])['thing'].add(1, 2))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, server.address],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGSTOP)
        (connection,) = server.listener.connections.all()
        frames = connection.codec.encode(Result(10**9, "x" * 100_000), None)
        while server.listener.send(connection, frames):
            pass
        os.kill(child.pid, signal.SIGCONT)
        child.stdin.write("go on\n")
        child.stdin.flush()
        if current().direct:
            assert "waited for this client to read them" in child.stdout.readline()
        else:
            assert "tcp://" in child.stdout.readline()
        assert child.stdout.readline() == "3\n"
        child.stdin.close()


# -- all sorts of nuisances ------------------------------------------------------------


def nuisances():
    def hellos(client):
        for i in range(3000):
            client.send(Hello(1, f"peer {i}", {"direct": True}))

    def cancels(client):
        for i in range(3000):
            client.send(Cancel(10**6 + i))
            client.send_over_socket(client.encode(Cancel(2**60 + i)))

    def cut_messages(client):
        client.send_raw(b"\x01") if client.stream else client.send_frames([b""])

    def goodbye_and_more(client):
        client.send_frames([*client.encode(Goodbye("tired"))])
        client.send(Hello(1, "again", {}))
        client.ask(1, "ping")

    def both_at_once(client):
        goodbye, hello = client.encode(Goodbye("x")), client.encode(Hello(1, "again", {}))
        if client.stream:
            head = struct.Struct("<I")
            client.send_raw(b"".join(head.pack(len(m[0])) + m[0] for m in (goodbye, hello)))

    return [hellos, cancels, cut_messages, goodbye_and_more, both_at_once]


@pytest.mark.parametrize("nuisance", nuisances(), ids=lambda nuisance: nuisance.__name__)
def test_a_nuisance_leaves_nothing(server, road, nuisance):
    other = RPCClient(server.address)
    assert settled(other)
    before = len(open_descriptors())
    client = PlainClient(server.address, road, peer="nuisance")
    nuisance(client)
    assert other["thing"].add(1, 2) == 3
    client.close()
    assert eventually(lambda: len(server.listener.connections.all()) == 1)
    assert other["thing"].add(1, 2) == 3
    assert eventually(lambda: len(open_descriptors()) <= before)
    assert eventually(lambda: not server.listener.inbox.waiting)
    assert eventually(lambda: not server.listener.connections._strangers)


def test_connections_that_say_nothing_harm_nobody(server):
    client = RPCClient(server.address)
    assert settled(client)
    silent = [half_open(server.address) for _ in range(200)]
    assert client["thing"].add(1, 2) == 3
    late = RPCClient(server.address)
    assert late.ping() == "pong"
    for sock in silent:
        sock.close()


def test_connections_without_a_token_harm_nobody(server):
    if not current().direct:
        pytest.skip("there is one road only")
    path = server.listener._direct.path
    silent = []
    for i in range(500):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        if i % 2:
            sock.send(b"not a token" * 3)
        silent.append(sock)
    client = RPCClient(server.address)
    assert settled(client)
    assert client["thing"].add(1, 2) == 3
    assert len(server.listener._direct._silent) <= 64
    for sock in silent:
        sock.close()


def test_descriptors_that_belong_to_no_message_are_not_gathered(server, caplog):
    if not current().direct:
        pytest.skip("there is one road only")
    client = PlainClient(server.address, "direct", peer="generous")
    before = len(open_descriptors())
    try:
        client.send_raw(struct.pack("<I", 60_000))
        for _ in range(1000):
            try:
                socket.send_fds(client.stream._socket, [b"x"], [0] * 16)
            except BrokenPipeError:
                break
            assert len(open_descriptors()) < before + 100
            time.sleep(0.001)
        else:
            pytest.fail("it took them all")
    finally:
        client.close()
    assert "descriptors came that belong to no message" in caplog.text
