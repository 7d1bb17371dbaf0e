"""Ctrl-C ends a wait at once, wherever it meets it, and spoils nothing that follows."""

from __future__ import annotations

import gc
import itertools
import os
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from conftest import eventually, settled
from interrupting import Everywhere
from things import Thing

from pyacq_rpc import CallTimeout, RPCClient, ServerDisconnected
from pyacq_rpc.peers import roads as roads_module
from pyacq_rpc.peers.attention import Attention
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.peers.unanswered import unanswered_by
from pyacq_rpc.wire.messages import Withdraw

ROOT = Path(__file__).parents[3]

UNDER_FIRE = """
import random, signal, sys, threading, time
from pyacq_rpc import RPCClient

interrupted = number = 0
armed = False

def interrupt(signum, frame):
    global armed, interrupted
    if armed:  # else it would meet what catches it
        armed = False
        interrupted += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)
client = RPCClient(sys.argv[1])
thing = client["thing"]
while sys.argv[2] == "all" and not client.channel.signals():
    client.ping()  # until it has taken the direct road: what comes before may get lost

def fire():
    for _ in range(400):
        time.sleep(random.uniform(0, 0.003))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

thread = threading.Thread(target=fire)
thread.start()
while thread.is_alive():
    number += 1
    try:
        armed = True
        assert thing.add(number, 1) == number + 1
        future = thing.add(number, 2, _sync="async")
        thing.add(0, 0, _sync="off")
        assert future.result() == number + 2
        armed = False
    except KeyboardInterrupt:
        pass
print(interrupted > 0, client.ping(), client.has_pending())
"""

WAIT = """
import signal, sys
from pyacq_rpc import RPCClient

signal.signal(signal.SIGINT, signal.default_int_handler)
thing = RPCClient(sys.argv[1])["thing"]
print("waiting", flush=True)
try:
    thing.wait(_timeout=None)
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
print(thing.add(1, 2), flush=True)
"""


def under_fire(address, roads):
    return subprocess.run(
        [sys.executable, "-c", UNDER_FIRE, address, roads],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYACQ_RPC_ROADS": roads},
    )


needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")


@needs_signals
class TestCtrlC:
    def test_each_call_gets_its_own_answer(self, server):
        if not current().direct:
            pytest.skip("see below")
        server["thing"] = Thing()
        run = under_fire(server.address, "all")
        assert run.stdout == "True pong False\n", run.stderr
        assert run.stderr == ""

    def test_over_zmq_too(self, server):
        """But pyzmq runs signal handlers after it has taken a message, which is lost then."""
        server["thing"] = Thing()
        run = under_fire(server.address, "zmq")
        assert run.stdout.startswith("True pong"), run.stderr

    def test_it_ends_the_wait_and_not_the_call(self, server):
        thing = server["thing"] = Thing()
        with subprocess.Popen(
            [sys.executable, "-c", WAIT, server.address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as process:
            assert process.stdout.readline() == "waiting\n"
            assert eventually(lambda: server.status()["doing"] == "thing.wait")
            process.send_signal(2)
            assert process.stdout.readline() == "interrupted\n"
            thing.gate.set()
            out, _ = process.communicate("\n", timeout=20)
            assert out == "3\n"


@needs_signals
def test_a_signal_that_ends_no_system_call_ends_the_wait(client, thing, server):
    ended = threading.Event()
    found = []

    def interrupt():
        assert eventually(lambda: client._conversation.attention.waits())
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # Python's handler runs elsewhere
        found.append(ended.wait(10))
        server["thing"].gate.set()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        thing.wait(_timeout=None)
    ended.set()
    thread.join()
    assert found == [True]


@pytest.fixture
def everywhere(client):
    """Interrupts what a client does on the direct road."""
    if not current().direct:
        pytest.skip("see above")
    assert settled(client)
    gc.disable()  # it may call what cannot be interrupted
    yield Everywhere()
    gc.enable()


@pytest.fixture
def gate(server, client, thing):
    """Opened as soon as the client waits for an answer; keeps the server busy till then."""
    real, ended, opened = server["thing"].gate, threading.Event(), threading.Event()

    class Gate:
        def __enter__(self):
            real.clear()
            opened.clear()
            ended.clear()
            self.future = thing.wait(_sync="async")
            self.thread = threading.Thread(target=self.open)
            self.thread.start()
            return self.future

        def open(self):
            eventually(lambda: client._conversation.attention.waits() or ended.is_set())
            real.set()

        def __exit__(self, *args):
            ended.set()
            self.thread.join()

    yield Gate()
    real.set()


def is_good(client):
    """Whether nothing is left of what was interrupted, and the client goes on."""
    assert not client._conversation.attention.waits()
    assert not current().waiting
    assert client.ping() == "pong"
    assert eventually(lambda: not client.has_pending())
    return True


def comes_at_once(future):
    """Whether who waits for an answer that is here gets it before anything else happens."""
    begin = time.monotonic()
    future.result(40)
    return time.monotonic() - begin < 20


def is_disconnected(future):
    """Whether whoever waits for an answer is told that none will come."""
    return eventually(future.done) and isinstance(future.exception(0), ServerDisconnected)


@pytest.mark.timeout(180)  # some hundred times, each of which has to wait for other threads
class TestEverywhere:
    """Wherever it meets what the client does, other calls get their answers."""

    @pytest.mark.parametrize(
        "call",
        [
            lambda thing: thing.add(1, 2),
            lambda thing: thing.add(1, 2, _sync="async").result(),
            lambda thing: thing.add(1, 2, _sync="async"),
            lambda thing: thing.add(1, 2, _sync="off"),
        ],
        ids=["sync", "result", "async", "off"],
    )
    def test_a_call_while_another_one_is_answered(self, everywhere, gate, client, thing, call):
        while everywhere.goes_on():
            with gate as earlier:
                everywhere.run(lambda: call(thing))
            assert eventually(earlier.done), everywhere.place
            assert is_good(client), everywhere.place

    def test_a_call_before_another_one_is_answered(self, everywhere, server, client, thing):
        """Nobody waits for that: it has to come by itself."""

        def give_up():
            with suppress(CallTimeout):
                thing.add(1, 2, _timeout=0.01)

        gate = server["thing"].gate
        while everywhere.goes_on():
            gate.clear()
            earlier = thing.wait(_sync="async")
            everywhere.run(give_up)
            gate.set()
            assert eventually(earlier.done), everywhere.place
            assert is_good(client), everywhere.place

    def test_the_last_answer(self, everywhere, gate, client, thing):
        """What was begun with it is finished, though no other one is to come."""
        while everywhere.goes_on():
            with gate as last:
                everywhere.run(last.result)
            assert eventually(last.done), everywhere.place
            assert is_good(client), everywhere.place

    def test_the_end_of_the_server(self, everywhere, server, thing, monkeypatch, caplog):
        """All its clients learn of it, and nobody waits for it for ever."""
        monkeypatch.setattr(roads_module, "LAST_WORD", 0)  # it has none
        gate = server["thing"].gate
        while everywhere.goes_on():
            gate.clear()
            clients = [RPCClient(server.address) for _ in range(2)]
            assert all(map(settled, clients))
            asked = [clients[0]["thing"].wait(_sync="async")]
            assert eventually(lambda: server.status()["doing"] == "thing.wait")
            asked += [each.ping(sync="async") for each in clients]
            clients[0].channel.arrivals.inbox.append("has died")  # as has been found out
            everywhere.run(clients[0].channel.arrivals.deliver)
            assert all(map(is_disconnected, asked)), everywhere.place
            assert all(eventually(each.closed) for each in clients), everywhere.place
            assert not caplog.records, everywhere.place  # of what is used though it is closed
            gate.set()

    def test_who_has_seen_that_the_server_is_gone(self, everywhere, server, thing, monkeypatch):
        """Others learn of it all the same."""
        monkeypatch.setattr(current(), "direct", False)
        gate, seen = server["thing"].gate, []

        def look():
            seen.append(True)
            return ""

        while everywhere.goes_on():
            gate.clear()
            asking = RPCClient(server.address)
            asked = asking["thing"].wait(_sync="async")
            assert eventually(lambda: server.status()["doing"] == "thing.wait")
            monkeypatch.setattr(asking.channel.roads.reach, "look", look)
            everywhere.run(asking.disconnected)
            if not seen:
                asking.disconnected()
            assert is_disconnected(asked), everywhere.place
            seen.clear()
            gate.set()

    @pytest.mark.parametrize("direct", [True, False])
    def test_the_end_of_a_client(self, everywhere, server, thing, monkeypatch, direct):
        """Once begun it is gone through with."""
        monkeypatch.setattr(current(), "direct", direct)
        gate = server["thing"].gate
        while everywhere.goes_on():
            gate.clear()
            closing = RPCClient(server.address)
            assert closing.ping() == "pong" if not direct else settled(closing)
            answered = thing.wait(_sync="async")
            assert eventually(lambda: server.status()["doing"] == "thing.wait")
            asked = closing.ping(sync="async")
            everywhere.run(closing.close)
            if not closing.closed():
                closing.close()
            assert is_disconnected(asked), everywhere.place
            assert closing.closed(), everywhere.place
            assert eventually(closing.channel.roads.closed), everywhere.place
            gate.set()
            assert answered.result() is True

    def test_what_another_thread_waits_for(self, everywhere, server, monkeypatch):
        """It gets that, though the one that was interrupted has taken it from the wire."""
        about_to_wait, wait = threading.Event(), threading.Event()
        wait_alone = Attention._wait_alone

        def be_slow(attention, timeout):
            if attention is waiting._conversation.attention:
                about_to_wait.set()
                assert wait.wait(10)
            wait_alone(attention, timeout)

        def has_come():  # or was taken by the I/O thread, which was asked to look the time before
            fds = waiting.channel.roads.fds
            return select.select(fds, [], [], 0)[0] or not waiting.has_pending()

        with ThreadPoolExecutor(1) as thread:
            waiting = thread.submit(RPCClient, server.address).result()
            assert thread.submit(settled, waiting).result()
            waiting.channel.in_process = False  # else it would look now and then
            monkeypatch.setattr(Attention, "_wait_alone", be_slow)
            while everywhere.goes_on():
                about_to_wait.clear()
                wait.clear()
                answer = thread.submit(waiting.ping, timeout=25)
                assert about_to_wait.wait(10)
                assert eventually(has_come)
                everywhere.run(lambda: waiting.channel.note(Withdraw("nothing")))
                wait.set()
                assert answer.result(10) == "pong", everywhere.place

    def test_a_message_that_waits_for_others(self, everywhere, server, thing, monkeypatch):
        """Those before it and after it are sent, though nobody waits for an answer."""
        monkeypatch.setattr(roads_module, "GATHERING", 1000.0)
        log = server["thing"].log
        while everywhere.goes_on():
            log.clear()
            thing.note("before", _sync="off")
            assert eventually(lambda: "before" in log)
            everywhere.run(lambda: thing.note("interrupted", _sync="off"))
            thing.note("after", _sync="off")
            assert eventually(lambda: "after" in log), everywhere.place

    def test_whether_the_request_is_on_its_way_is_known(self, everywhere, server, client, thing):
        log, counts = server["thing"].log, client._conversation._pending
        found = []

        def note(number):
            answered = counts.answered
            try:
                thing.note(number)
            except KeyboardInterrupt as interrupt:
                was_sent = bool(unanswered_by(interrupt) or counts.answered > answered)
                found.append((number, was_sent))
                raise

        for number in itertools.count():
            if not everywhere.goes_on():
                break
            everywhere.run(partial(note, number))
            assert is_good(client), everywhere.place
            while found:
                assert found.pop() == (number, number in log), everywhere.place

    def test_an_object_that_arrives(self, everywhere, gate, client, thing):
        """It is not given back when its message is decoded a second time."""
        while everywhere.goes_on():
            with gate:
                earlier = thing.make(_sync="async")
                everywhere.run(lambda: thing.add(1, 2))
            assert comes_at_once(earlier), everywhere.place
            client.channel.holder.flush_releases()
            assert earlier.result().add(1, 2) == 3, everywhere.place
            assert is_good(client), everywhere.place

    def test_the_first_call_of_a_connection(self, everywhere, server, thing):
        """The next one finishes what was begun with the server."""
        while everywhere.goes_on():
            client = RPCClient(server.address)
            everywhere.run(lambda: client["thing"].add(1, 2))  # noqa: B023  # which is at once
            assert client["thing"].add(1, 2) == 3, everywhere.place
            assert settled(client), everywhere.place
            client.close()
            assert thing.add(1, 2) == 3, everywhere.place
