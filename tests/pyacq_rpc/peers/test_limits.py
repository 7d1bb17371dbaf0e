"""What one client may take of a server: beyond it an error for that one, and nothing for others."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from conftest import eventually, open_descriptors, settled
from plain_client import PlainClient, Relay, half_open
from things import Thing

from pyacq_rpc import LimitExceeded, Limits, RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.limits import LEAST_MESSAGE
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire.messages import (
    Cancel,
    Claim,
    Failure,
    Goodbye,
    Grant,
    Hello,
    Release,
    Result,
)

MB = 1 << 20
TIGHT = Limits(message=4 * MB, frames=10, nesting=20, requests=16, unsent=2 * MB, leases=5)


@pytest.fixture
def server():
    server = RPCServer(name="tight", limits=TIGHT)
    server["thing"] = Thing()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    yield server
    server["thing"].gate.set()
    server.close()
    thread.join(10)
    assert not thread.is_alive()


@pytest.fixture
def thing(client):
    assert settled(client)
    return client["thing"]


@pytest.fixture(params=["zmq", "direct"])
def road(request):
    if request.param == "direct" and not current().direct:
        pytest.skip("there is one road only")
    return request.param


@pytest.fixture
def plain(server, road):
    """Makes clients without manners, by either road."""
    made = []

    def make(**kwds):
        made.append(PlainClient(server.address, road, **kwds))
        return made[-1]

    yield make
    for client in made:
        client.close()


def last(client):
    """The last message that a client gets."""
    found = None
    while (message := client.receive(2.0)) is not None:
        found = message
        if isinstance(found, Goodbye):
            break
    return found


def memory():
    return psutil.Process().memory_info().rss


@pytest.mark.parametrize("field", Limits._fields)
@pytest.mark.parametrize("limit", [0, -1, 1.5, None, True])
def test_a_limit_is_a_positive_integer(field, limit):
    with pytest.raises(ValueError, match=f"the limit {field}="):
        RPCServer(limits=Limits(**{field: limit}))


def test_the_smallest_limits_can_be_worked_with():
    server = RPCServer(limits=Limits(LEAST_MESSAGE, 1, 10, 16, LEAST_MESSAGE, 1))
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    client = RPCClient(server.address)
    client["name"] = [1, 2]
    assert client["name"] == [1, 2]
    server.close()
    thread.join()


# -- references ------------------------------------------------------------------


def test_references_beyond_the_limit_are_refused(server, thing, client):
    held = [client.transfer(i) for i in range(TIGHT.leases - 1)]
    with pytest.raises(LimitExceeded, match=r"holds 5 references .*Limits\(leases"):
        client.transfer(5)
    assert thing.add(1, 2) == 3
    del held[0]
    assert eventually(lambda: len(server.table) < TIGHT.leases)
    assert client.transfer(6)._get_value() == 6


def test_a_result_that_cannot_be_sent_whole_leaves_no_references(server, thing, client):
    server["things"] = [Thing() for _ in range(TIGHT.leases)]
    before = len(server.table)
    with pytest.raises(LimitExceeded):
        client["things"]
    assert len(server.table) == before
    assert thing.add(1, 2) == 3


def test_references_are_counted_for_each_process(server, thing, client, plain):
    held = [client.transfer(i) for i in range(TIGHT.leases - 1)]
    other = plain()
    other.ask(1, "transfer", "proxy", obj=1)
    assert isinstance(other.receive(), Result)
    assert len(held) == TIGHT.leases - 1


@pytest.mark.parametrize("kind", [Grant, Claim])
def test_who_grants_and_claims_for_ever_is_cut_off(server, plain, kind):
    greedy = plain(peer="greedy")
    greedy.ask(1, "get_item", "proxy", name="thing")
    ref = greedy.receive().value.ref
    goodbye = None
    for i in range(100):
        greedy.send(kind(ref, f"token {i}"))
        # For claims a lease of another one each time, since those of one are only counted.
        greedy.ask(i, "transfer", "proxy" if kind is Claim else "value", obj=1)
        goodbye = greedy.receive()
        if isinstance(goodbye, Goodbye):
            break
    assert isinstance(goodbye, Goodbye)
    assert "references" in goodbye.reason
    assert eventually(lambda: not len(server.table) or kind is Grant)
    assert RPCClient(server.address).ping() == "pong"


# -- requests that wait ------------------------------------------------------------


class ByHand:
    """A server that serves only when it is told to, and one client of it."""

    def __init__(self, road):
        self.server = RPCServer(limits=TIGHT)
        self.server.run_lazy()
        self.server["thing"] = Thing()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            made = pool.submit(PlainClient, self.server.address, road)
            while not made.done():
                self.server.serve_ready()
            self.client = made.result()

    def arrive(self, count):
        """Let so many messages arrive."""
        inbox = self.server.listener.inbox

        def have_come():
            if self.client.stream is not None:
                self.client.stream.flush()
            self.server.listener.fill()
            return len(inbox.items) + len(inbox.excess) >= count

        assert eventually(have_come)

    def serve(self):
        """Do all that there is to do."""
        while self.server.serve_ready():
            pass

    def answers(self, count):
        return [self.client.receive() for _ in range(count)]

    def close(self):
        self.client.close()
        self.server.close()


@pytest.fixture
def by_hand(road):
    by_hand = ByHand(road)
    yield by_hand
    by_hand.close()


def test_requests_beyond_the_limit_are_refused_at_once(by_hand):
    for i in range(50):
        by_hand.client.call(i, ["@thing", "note"], i)
    by_hand.arrive(50)
    by_hand.serve()
    answers = {answer.id: answer for answer in by_hand.answers(50)}
    most = TIGHT.requests
    assert [answers[i] for i in range(most)] == [Result(i, None) for i in range(most)]
    assert all(answers[i].code == "limit" for i in range(most, 50))
    assert by_hand.server["thing"].notes() == list(range(most))
    by_hand.client.ask(50, "ping")
    by_hand.arrive(1)
    by_hand.serve()
    assert by_hand.answers(1) == [Result(50, "pong")]
    assert not by_hand.server.listener.inbox.waiting


def test_requests_without_an_answer_are_refused_with_a_line_in_the_log(by_hand, caplog):
    for i in range(50):
        by_hand.client.call(i, ["@thing", "note"], i, reply="off")
    by_hand.client.ask(100, "ping")  # after one that was refused nothing is done
    by_hand.arrive(51)
    by_hand.serve()
    assert by_hand.answers(1)[0].code == "limit"
    assert by_hand.server["thing"].notes() == list(range(TIGHT.requests))
    assert len([line for line in caplog.messages if "are refused" in line]) == 1


def test_the_books_are_kept_whatever_is_refused(by_hand):
    """Releases are no requests, and come in order with them."""
    by_hand.client.ask(1, "transfer", "proxy", obj=7)
    by_hand.arrive(1)
    by_hand.serve()
    ref = by_hand.answers(1)[0].value.ref
    for i in range(50):
        by_hand.client.ask(10 + i, "ping")
    by_hand.client.send(Release([ref]))
    by_hand.arrive(51)
    assert len(by_hand.server.table) == 1
    by_hand.serve()
    assert len(by_hand.server.table) == 0


def test_who_sends_ever_more_of_other_kinds_is_cut_off(by_hand):
    for _ in range(1000):
        by_hand.client.send(Release(["no such"]))
    by_hand.arrive(1000)
    by_hand.serve()
    assert isinstance(by_hand.answers(1)[0], Goodbye)


def test_withdrawals_of_what_never_came_are_not_gathered(by_hand):
    for i in range(200):
        by_hand.client.send_over_socket(by_hand.client.encode(Cancel(2**60 + i)))
    listener, most = by_hand.server.listener, 2 * TIGHT.requests
    (connection,) = listener.connections.all()
    assert eventually(lambda: listener.fill() or len(connection.cancelled) >= most)
    for _ in range(100):
        listener.fill()
    assert len(connection.cancelled) == most


def test_a_client_gets_an_error_for_what_was_refused(server, thing, client):
    for _ in range(50):  # how much arrives at a time is not ours to say
        server["thing"].gate.clear()
        futures = [thing.wait(_sync="async"), *(client.ping("async") for _ in range(50))]
        client.channel.flush()
        server["thing"].gate.set()
        errors = [error for future in futures if (error := future.exception(timeout=10))]
        if errors:
            break
    assert isinstance(errors[0], LimitExceeded)
    assert "Limits(requests" in str(errors[0])
    assert thing.add(1, 2) == 3


def test_others_are_served_while_one_is_refused(server, plain):
    other = RPCClient(server.address)
    assert settled(other)
    flood = plain()
    for i in range(5000):
        flood.call(i, ["@thing", "add"], i, 1)
    assert other["thing"].add(1, 2) == 3
    answers = [flood.receive() for _ in range(5000)]
    assert sorted(answer.id for answer in answers) == list(range(5000))
    for answer in answers:
        assert answer == Result(answer.id, answer.id + 1) or answer.code == "limit"
    assert eventually(lambda: not server.listener.inbox.waiting)


# -- messages that are too large ------------------------------------------------------


def test_a_message_that_is_too_large_is_not_even_sent(thing):
    with pytest.raises(LimitExceeded, match=r"has \d+ bytes.* 4194304 at most .*Limits\(message"):
        thing.echo(np.zeros(5 * MB, "u1"))
    with pytest.raises(LimitExceeded, match="bytes"):
        thing.note("x" * 5 * MB, _sync="off")
    with pytest.raises(LimitExceeded, match=r"11 frames.* 10 at most"):
        thing.echo([np.zeros(5000, "u1")] * 10)
    assert thing.add(1, 2) == 3
    assert thing.echo(np.zeros(3 * MB, "u1")).nbytes == 3 * MB


def test_a_result_that_is_too_large_is_an_error(thing, client):
    with pytest.raises(LimitExceeded, match=r"the result has \d+ bytes"):
        client._import("builtins").bytes(5 * MB)
    with pytest.raises(LimitExceeded, match="the result has 12 frames"):
        client._import("numpy").split(np.zeros(110_000, "u1"), 11)
    assert thing.add(1, 2) == 3


def test_a_first_message_that_is_too_large_ends_with_a_reason(server):
    client = RPCClient(server.address)
    with pytest.raises(ServerDisconnected, match=r"not take as large a message .* of \d+ bytes"):
        client.transfer(bytes(5 * MB))
    assert RPCClient(server.address).ping() == "pong"


def test_one_that_comes_nevertheless_ends_the_connection(server, plain, road):
    client = plain()
    if road == "direct":
        client.send_raw(struct.pack("<I", 5 * MB))
        assert "5242880 bytes was announced" in last(client).reason
    else:
        client.socket.send(bytes(5 * MB))
        assert eventually(lambda: not server.listener.connections.all())
    assert RPCClient(server.address).ping() == "pong"


def test_one_of_too_many_frames_ends_the_connection_with_a_reason(server, plain):
    client = plain()
    client.send_frames([b"\x91\x09"] + [b"x"] * 10)
    goodbye = last(client)
    assert isinstance(goodbye, Goodbye)
    assert "11 frames" in goodbye.reason


def test_one_of_frames_that_are_too_large_together_ends_the_connection(server, plain):
    client = plain()
    client.send_frames([b"\x91\x09"] + [bytes(MB)] * 5)
    goodbye = last(client)
    assert isinstance(goodbye, Goodbye)
    assert f"{5 * MB + 2} bytes" in goodbye.reason


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_a_message_that_nests_too_deep_is_refused(server, serializer):
    client = RPCClient(server.address, serializer=serializer)
    thing = client["thing"]

    def nested(levels, kind):
        value = 0
        for _ in range(levels):
            value = kind(value)
        return value

    kinds = [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: (v,)}]
    for kind in kinds:
        levels = 17 if kind is not kinds[-1] else 8
        assert thing.echo(nested(levels, kind)) == nested(levels, kind)
        with pytest.raises(LimitExceeded, match=r"deeper than the 20 levels .*Limits\(nesting"):
            thing.echo(nested(levels + 2, kind))
    assert thing.add(1, 2) == 3


def test_objects_of_the_server_itself_may_nest_as_they_like(server, thing, client):
    """What comes home is not looked into: it has not been sent."""
    endless = []
    endless.append(endless)
    server["endless"] = endless
    proxy = client.send("get_item", {"name": "endless"}, return_type="proxy")
    assert thing.echo([proxy, "x" * 100], _return_type="proxy") is not None


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

        def ask_for_more():
            for _ in range(3):
                asked[0] += 1
                deaf.call(asked[0], ["@thing", "echo"], "x" * 100_000)
            return not server.listener.connections.has_peer("deaf")

        assert serve_meanwhile(server, ask_for_more) < 0.5
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
            return not server.listener.connections._strangers

        assert serve_meanwhile(server, send_more) < 0.5
        assert memory() - before < 200 * MB
    finally:
        deaf.close()
        relay.close()


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
    assert not server.listener.inbox.waiting
    assert not server.listener.connections._strangers


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
