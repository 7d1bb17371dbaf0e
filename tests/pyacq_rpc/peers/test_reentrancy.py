from __future__ import annotations

import itertools
import threading
import time

import pytest
from conftest import eventually
from things import Thing

from pyacq_rpc import RPCClient, RPCServer
from spawner import ProcessSpawner


class Player:
    """Hits the ball back as often as it is told to."""

    def play(self, other, left):
        return [left] if left == 0 else [left, *other.play(self, left - 1)]


@pytest.fixture
def lazy():
    """The server of the test's own thread."""
    server = RPCServer(name="lazy")
    server.run_lazy()
    return server


def test_fifty_deep_between_two_processes(lazy):
    with ProcessSpawner() as node:
        node._import("sys").path.append(__file__.rpartition("/")[0])
        other = node._import(__name__.rpartition(".")[2]).Player()
        assert Player().play(other, 50) == list(range(50, -1, -1))


def test_fifty_deep_between_two_threads(server, client, lazy):
    server["player"] = Player()
    assert Player().play(client["player"], 50) == list(range(50, -1, -1))


def test_a_client_that_is_not_reentrant_serves_nobody(server, lazy):
    server["thing"] = Thing()
    client = RPCClient(server.address, reentrant=False)
    thing = client["thing"]
    calls = []
    RPCClient.get_client(server.address)
    with pytest.raises(TimeoutError):
        thing.call(lambda: calls.append(1), _timeout=0.2)
    assert calls == []
    lazy.close()  # the call that still waits for it ends


class TestCallbacks:
    def test_with_a_lazy_server_they_run_in_its_thread(self, server, client, lazy):
        server["thing"] = Thing()
        assert client["thing"].call(threading.get_ident) == threading.get_ident()

    def test_without_a_server_they_run_in_the_callback_thread(self, server, client):
        server["thing"] = Thing()
        names = []
        client["thing"].call(lambda: names.append(threading.current_thread().name))
        assert names == ["pyacq-rpc callbacks"]

    def test_a_kept_callback_arrives_at_an_idle_thread(self, server, client):
        server["thing"] = Thing()
        got = []
        client["thing"].keep(got.append)
        server["thing"].call(server["thing"].kept, 1)
        assert eventually(lambda: got == [1])

    def test_by_hand(self, server, client, lazy):
        server["thing"] = Thing()
        thing = client["thing"]
        got = []
        future = thing.call(got.append, 1, _sync="async")
        while not future.done():
            lazy._read_and_process_one(0.1)
        assert got == [1]
        # What it keeps books by may still come, until nothing does.
        assert eventually(lambda: lazy._read_and_process_one(0.01) is False)

    def test_what_a_callback_raises_comes_through_twice(self, server, client):
        server["thing"] = Thing()

        def fail():
            raise LookupError("lost")

        with pytest.raises(LookupError, match="lost") as caught:
            client["thing"].call(fail)
        assert "in fail" in caught.value.remote_traceback

    def test_a_bound_method_as_callback(self, server, client):
        server["thing"] = Thing()
        mine = Thing()
        client["thing"].call(mine.note, 5)
        assert mine.log == [5]


class TestTimers:
    def test_it_runs_in_the_servers_thread_until_stopped(self, server, client):
        server["thing"] = Thing()
        threads = []
        timer = server.start_timer(lambda: threads.append(threading.get_ident()), 0.01)
        assert eventually(lambda: len(threads) > 5)
        assert set(threads) == {client["thing"].thread()}
        timer.stop()
        assert timer.stopped()
        client.ping()
        count = len(threads)
        time.sleep(0.05)
        assert len(threads) == count

    def test_start_to_start_without_overlap(self, server, client):
        running, starts = [], []

        def work():
            assert not running
            running.append(1)
            starts.append(time.monotonic())
            time.sleep(0.03)
            running.clear()

        def gaps():
            return [b - a for a, b in itertools.pairwise(starts)]

        timer = server.start_timer(work, 0.05)
        # End to start would be 0.08 each time; a loaded machine may stretch some gaps.
        assert eventually(lambda: len(starts) >= 5 and min(gaps()) < 0.075)
        timer.stop()
        assert min(gaps()) > 0.03

    def test_a_timer_that_waits_for_an_answer_is_not_entered_again(self, server, lazy):
        depth, most = [], []

        def work():
            depth.append(1)
            most.append(len(depth))
            RPCClient.get_client(server.address)._import("time").sleep(0.05)
            depth.pop()

        timer = lazy.start_timer(work, 0.01)
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            lazy._read_and_process_one(0.05)
        timer.stop()
        assert set(most) == {1}

    def test_one_that_fails_is_called_again(self, server, caplog):
        calls = []

        def work():
            calls.append(1)
            raise ValueError("x")

        timer = server.start_timer(work, 0.01)
        assert eventually(lambda: len(calls) > 2)
        timer.stop()
        assert "callback of a timer failed" in caplog.text

    def test_with_a_proxy_and_arguments(self, server, client, lazy):
        server["thing"] = Thing()
        timer = lazy.start_timer(client["thing"].note, 0.01, value=3, _sync="off")
        while len(server["thing"].log) < 4:
            lazy._read_and_process_one(1.0)
        timer.stop()
        assert set(server["thing"].log) == {3}

    def test_started_from_another_process(self):
        mine = Thing()
        with ProcessSpawner() as node:
            server = node._import("pyacq_rpc").RPCServer.get_server()
            timer = server.start_timer(mine.note, 0.01, value=3)
            assert eventually(lambda: len(mine.log) > 3)
            timer.stop()
        assert set(mine.log) == {3}

    def test_it_stops_when_its_callback_is_out_of_reach(self, server, caplog):
        with ProcessSpawner() as node:
            timer = server.start_timer(node._import("os").getpid, 0.01)
            time.sleep(0.05)
            node.kill()
            assert eventually(timer.stopped)

    def test_an_interval_must_be_positive(self, server):
        with pytest.raises(ValueError, match="positive"):
            server.start_timer(print, 0)


def test_waiting_beside_a_lazy_server_with_a_timer_does_not_spin(server, client, lazy):
    server["thing"] = Thing()
    lazy.start_timer(lambda: None, 10.0)
    before = time.thread_time()
    client["thing"].sleep(0.5)
    assert lazy._read_and_process_one(0.5) is False
    assert time.thread_time() - before < 0.3


def test_by_hand_the_timers_of_a_lazy_server_run_too(lazy):
    ran = []
    timer = lazy.start_timer(lambda: ran.append(1), 0.01)
    assert lazy._read_and_process_one(10.0)
    assert ran == [1]
    timer.stop()


def test_an_interrupt_in_a_callback_without_an_answer_reaches_the_program(server, lazy, caplog):
    def interrupt():
        raise KeyboardInterrupt

    with ProcessSpawner() as node:
        call = node._import("builtins").eval("lambda f: f(_sync='off')")
        sleep = node._import("time").sleep

        def program():
            call(interrupt)
            sleep(5)

        with pytest.raises(KeyboardInterrupt):
            program()
    assert "failed" not in caplog.text
