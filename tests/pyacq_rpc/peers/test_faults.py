"""What a second look has found: races, interrupts, and what they must not leave."""

from __future__ import annotations

import array
import concurrent.futures
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import threading
import time
import weakref
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import zmq
from conftest import collected, eventually, open_descriptors, settled, with_key
from things import Thing, open_after_a_moment

from pyacq_rpc import (
    RPCClient,
    RPCServer,
    ServerDisconnected,
    register_type,
    unregister_type,
)
from pyacq_rpc.peers.background import start_background
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Hello, Target
from spawner import ProcessSpawner

ROOT = Path(__file__).parents[3]


def test_a_cancelled_future_is_done_for_those_who_wait(server, thing):
    blocker = thing.wait(_sync="async")
    future = thing.add(1, 2, _sync="async")
    threading.Timer(0.05, future.cancel).start()
    assert concurrent.futures.wait([future], timeout=10).done == {future}
    assert list(concurrent.futures.as_completed([future], timeout=10)) == [future]
    assert future.cancel()
    server["thing"].gate.set()
    blocker.result()


def test_a_callback_may_wait_for_an_answer_that_came_along_with_its_own(server, thing, client):
    got = []
    assert settled(client)
    thing.wait(_sync="off")
    with client.channel._lock:  # nobody reads meanwhile: both answers come at once
        first = thing.add(1, 2, _sync="async")
        second = thing.add(3, 4, _sync="async")
        first.add_done_callback(lambda _: got.append(second.result(10)))
        client.channel.flush()
        server["thing"].gate.set()
        assert eventually(lambda: len(thing_log(client)) == 2)
    assert eventually(lambda: got == [7])


def thing_log(client):
    """The messages that have come and were not seen to."""
    inbox = client.channel.arrivals.inbox
    client.channel.roads.receive(inbox)
    return inbox


def test_a_callback_that_exits_does_not_end_the_io_thread(server, thing, client, caplog):
    thing.wait(_sync="async").add_done_callback(lambda _: sys.exit(1))
    server["thing"].gate.set()
    assert eventually(lambda: "the I/O thread met an error" in caplog.text)
    future = thing.add(1, 2, _sync="async")
    assert eventually(future.done)


def test_who_waits_is_told_that_another_thread_has_cancelled(server, client, thing):
    future = thing.wait(_sync="async")
    no_longer_waits = threading.Event()

    def cancel():
        assert eventually(client._conversation.attention.waits)
        future.cancel()
        in_time.append(no_longer_waits.wait(10))
        server["thing"].gate.set()

    in_time = []
    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    no_longer_waits.set()
    thread.join()
    assert in_time == [True]


def test_cancelling_a_thousand_calls_takes_no_time_each(server, thing):
    blocker = thing.wait(_sync="async")
    futures = [thing.note(n, _sync="async") for n in range(2000)]
    assert all(future.cancel() for future in futures)
    started = time.monotonic()
    open_after_a_moment(server["thing"].gate)
    blocker.result()
    assert thing.notes() == []
    assert time.monotonic() - started < 5


def test_cancelling_withdraws_a_call_with_a_large_array(server, thing):
    blocker = thing.wait(_sync="async")
    assert thing.note(np.zeros(1_000_000), _sync="async").cancel()
    open_after_a_moment(server["thing"].gate)
    blocker.result()
    assert thing.notes() == []


def test_what_a_withdrawn_call_carried_is_let_go(server, thing):
    mine = Thing()
    seen = weakref.ref(mine)
    blocker = thing.wait(_sync="async")
    thing.note(mine, _sync="async").cancel()
    del mine
    open_after_a_moment(server["thing"].gate)
    blocker.result()
    assert collected(seen)


def test_what_was_sent_to_a_killed_node_is_let_go():
    seen = []
    with ProcessSpawner() as node:
        sleep = node._import("time").sleep
        echo = node._import("operator").is_not
        sleep(30, _sync="async")
        for _ in range(5):
            mine = Thing()
            seen.append(weakref.ref(mine))
            with pytest.raises(TimeoutError):
                echo(mine, None, _timeout=0.01)
            del mine
        node.kill()
    assert collected(*seen)


def test_the_messages_about_a_dead_node_name_it():
    node = ProcessSpawner(name="camera")
    clock = node._import("time")
    client = node.client
    future = clock.sleep(60, _sync="async")
    node.kill()
    named = rf"^camera \({node.address}\)"
    with pytest.raises(ServerDisconnected, match=named):
        future.result(5)
    with pytest.raises(ServerDisconnected, match=named):
        client.ping()
    with pytest.raises(ServerDisconnected, match=rf"{named}, which owned this object, is gone"):
        clock.time()


def test_an_answer_that_is_being_decoded_when_its_node_dies_is_an_answer():
    with ProcessSpawner() as proc:
        client = proc.client
        numerator = proc._import("operator").attrgetter("numerator")
        fraction = proc._import("fractions").Fraction
        proc._import("pyacq_rpc").register_type(fraction, "test.slow", numerator, numerator)

        def decode(payload):
            os.kill(proc.pid, signal.SIGKILL)
            # It must not be given up meanwhile.
            assert not eventually(client.closed, 0.5)
            return Fraction(payload)

        register_type(Fraction, "test.slow", lambda value: value.numerator, decode)
        try:
            assert fraction(7, _return_type="value") == 7
        finally:
            unregister_type(Fraction)
        assert eventually(client.disconnected)


def test_an_answer_that_came_before_its_node_died_is_an_answer():
    """It is in the socket, and is more than is read at once."""
    with ProcessSpawner() as proc:
        channel = proc.client.channel
        if not channel._runtime.direct:
            pytest.skip("what a process has handed to zmq dies with it")
        assert settled(proc.client)
        with channel._lock:  # nobody reads meanwhile
            text = proc._import("operator").mul("x" * 1000, 150, _sync="async")
            channel.flush()
            assert eventually(lambda: _arrived(channel.roads.fds[0]) >= 150_000)
            proc.proc.kill()
            proc.proc.wait()
        assert text.result(10) == "x" * 150_000


def _arrived(fd):
    """How many bytes can be read from a socket."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def test_what_a_client_sends_before_it_dies_arrives(server):
    """All of it, which is more than the server reads at once."""
    if not server.runtime.direct:
        pytest.skip("what a process has handed to zmq dies with it")
    server["thing"] = Thing()
    code = (
        "import os, sys; from pyacq_rpc import RPCClient; client = RPCClient(sys.argv[1]);"
        "thing = client['thing'];"
        "[client.ping() for _ in range(5)];"
        "thing.wait(_sync='off');"
        "[thing.note('x' * 5000, _sync='off') for _ in range(20)];"
        "client.channel.flush(); print(client.channel.signals(), flush=True); os._exit(0)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, server.address], capture_output=True, text=True, cwd=ROOT
    )
    assert run.stdout == "True\n", run.stderr
    server["thing"].gate.set()
    assert eventually(lambda: len(server["thing"].log) == 20)
    assert eventually(lambda: not server.listener.connections)


@pytest.mark.parametrize("closes", ["client", "server"])
def test_what_was_sent_before_closing_arrives(closes):
    """Though it was more than the other side was ready to take just then."""
    words = "x" * 3_000_000
    server = start_background("under-test")
    server["thing"] = thing = Thing()
    client = RPCClient(server.address)
    proxy = client["thing"]
    assert settled(client)
    if closes == "client":
        proxy.wait(_sync="off")
        proxy.note(words, _sync="off")
        client.close()
        thing.gate.set()
        assert eventually(lambda: thing.log == [words])
    else:
        proxy.note(words)
        with client.channel._lock:  # nobody reads meanwhile
            future = proxy.notes(_sync="async")
            client.channel.flush()
            assert eventually(lambda: select.select(client.channel.roads.fds, [], [], 0)[0])
            server.close()
            assert eventually(lambda: server.listener.closed)
        assert future.result(10) == [words]
        assert server.wait_closed(10)


def test_a_fork_within_a_request_is_answered_once_and_leaves_no_second_server():
    with ProcessSpawner() as proc:
        there = proc._import("os")
        for _ in range(5):
            pid = there.fork()
            assert pid > 0
            assert there.getpid() == proc.pid
            assert there.waitpid(pid, 0)[0] == pid


def test_grants_to_a_client_that_dies_before_it_claims_are_withdrawn(server, thing):
    other = RPCServer(name="other")
    thread = threading.Thread(target=other.run_forever)
    thread.start()
    other["far"] = thing  # a proxy of `server`'s
    far_before = len(server.table._grants)
    with zmq.Context() as context, with_key(context.socket(zmq.DEALER)) as raw:
        raw.linger = 0
        raw.connect(other.address)
        codec = codec_named("json")
        raw.send_multipart(codec.encode(Hello(1, "raw", {}), None))
        raw.recv()
        for n in range(10):
            raw.send(b'[2,%d,"get_item","auto",{"name":"far"}]' % n)
            assert b"proxy" in raw.recv()
    assert eventually(lambda: len(server.table._grants) == far_before)
    other.close()
    thread.join(10)


def test_a_client_that_comes_and_goes_while_the_server_is_busy_is_forgotten(server, thing):
    blocker = thing.wait(_sync="async")
    for _ in range(3):
        with zmq.Context() as context, with_key(context.socket(zmq.DEALER)) as raw:
            raw.linger = 500
            raw.connect(server.address)
            raw.send_multipart(codec_named("msgpack").encode(Hello(1, "x", {}), None))
    server["thing"].gate.set()
    blocker.result()
    assert eventually(lambda: len(server.listener.connections) == 1)


def test_the_second_client_of_a_thread_is_closed_with_it(server, thing, client):
    assert settled(client)
    before = len(open_descriptors())
    for _ in range(5):
        thread = threading.Thread(
            target=lambda: [RPCClient(server.address).ping() for _ in range(3)]
        )
        thread.start()
        thread.join()
    assert eventually(lambda: len(open_descriptors()) <= before)


def test_what_a_thread_has_sent_before_it_ends_arrives(server):
    """Though its client had not even connected then."""
    server["thing"] = Thing()

    def run(n):
        options = {"obj": Target("@thing", ["note"]), "args": [n], "kwargs": {}}
        RPCClient(server.address).send("call_obj", options, sync="off")

    for n in range(5):
        thread = threading.Thread(target=run, args=(n,))
        thread.start()
        thread.join()
    assert eventually(lambda: sorted(server["thing"].log) == [0, 1, 2, 3, 4])


def test_a_future_of_an_ended_thread_is_awaited_in_another_with_its_number(server, thing, client):
    assert settled(client)
    before = len(open_descriptors())
    for _ in range(8):
        futures = []
        for target in (
            lambda f=futures: f.append(RPCClient(server.address).ping(sync="async")),
            lambda f=futures: f.append(f[0].result(10)),
        ):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert futures[1] == "pong"
    assert eventually(lambda: len(open_descriptors()) <= before)


def test_closing_right_after_starting_never_hangs():
    for _ in range(200):
        server = RPCServer()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        server.close()
        thread.join(10)
        assert not thread.is_alive()


def test_over_inproc_too_a_closed_server_is_disconnected():
    server = RPCServer("inproc://closing")
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    client = RPCClient("inproc://closing")
    client.ping()
    server.close()
    thread.join(10)
    with pytest.raises(ConnectionError):
        client.ping()


@pytest.mark.parametrize(
    "code",
    [
        (
            "from spawner import *; s = LogServer(); import logging\n"
            "from spawner.logs import LogSender\n"
            "logging.getLogger().addHandler(LogSender(s.address, 'x'))"
        ),
        "from pyacq_rpc import *; s = RPCServer(); s.run_lazy()",
        "from spawner import *; n = ProcessSpawner()",
        "from spawner import *; n = ProcessSpawner(); n._import('time').sleep(30, _sync='async')",
        "from pyacq_rpc import *; RPCClient('tcp://127.0.0.1:9').ping(sync='off')",
        (
            "from pyacq_rpc import *; import threading; s = RPCServer()\n"
            "threading.Thread(target=s.run_forever, daemon=True).start()\n"
            "RPCClient(s.address).ping()"
        ),
        (
            "from pyacq_rpc.peers.runtime import current\n"
            "with current().opening() as context: context.socket(1)"
        ),
    ],
    ids=["log sender", "lazy", "node", "busy node", "nobody there", "daemon", "left open"],
)
def test_an_interpreter_ends_whatever_is_open(code):
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=25
    )
    assert (run.returncode, run.stderr) == (0, "")


GOING_ON = """
import sys, threading
from pyacq_rpc import RPCClient, RPCError

def work():
    while True:
        try:
            RPCClient(sys.argv[1]).ping(sync="async")
        except RPCError:
            pass

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
RPCClient(sys.argv[1]).ping()
"""


def test_an_interpreter_ends_though_daemon_threads_go_on_connecting(server):
    """Nothing that they use is closed under their hands, which may end the process by a signal."""
    for _ in range(3):
        run = subprocess.run(
            [sys.executable, "-c", GOING_ON, server.address],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=25,
        )
        assert (run.returncode, run.stderr) == (0, "")
