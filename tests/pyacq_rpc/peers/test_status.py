"""Alive, busy, unresponsive, dead: what a client can find out, and do about it."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from conftest import eventually, fixed_address, serving, settled
from things import Thing

from pyacq_rpc import CallTimeout, RemoteCallException, RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.session.policy import Trusted
from spawner import ProcessSpawner

KINDS = [{}, {"asyncio": True}, pytest.param({"qt": True}, marks=pytest.mark.qt)]
"""Of nodes."""

HOLD_THE_GIL = "import ctypes; ctypes.PyDLL(None).sleep(5)"


@pytest.fixture
def node():
    with ProcessSpawner(name="under-test") as node:
        assert settled(node.client)
        yield node


@pytest.fixture
def sleep(node):
    return node._import("time").sleep


class TestStatus:
    def test_a_server_that_has_nothing_to_do_is_alive(self, client):
        client.ping()
        assert client.status(10) == ("alive", None, None)

    def test_a_busy_one_tells_what_it_is_doing(self, node, sleep):
        future = sleep(60, _sync="async")
        assert eventually(lambda: node.client.status().state == "busy")
        first = node.client.status(10)
        assert first.doing == "time.sleep"
        assert eventually(lambda: node.client.status(10).seconds > first.seconds)
        assert not future.done()
        node.kill()

    def test_one_whose_timer_takes_long_tells_that(self, server, client):
        assert client.ping() == "pong"  # a hello has to wait
        gate = threading.Event()
        server["gate"] = gate
        timer = server.start_timer(gate.wait, 0.01, timeout=20)
        try:
            assert eventually(lambda: server.timers.current is timer)
            status = client.status(10)
            assert (status.state, status.doing) == ("busy", "a timer's gate.wait")
            assert not gate.is_set()
        finally:
            timer.stop()
            gate.set()
        assert eventually(lambda: client.status(10).state == "alive")

    def test_a_busy_one_lists_what_it_publishes(self, node, sleep):
        node["shutter"] = 1
        sleep(60, _sync="off")
        assert eventually(lambda: node.client.status().state == "busy")
        assert node.client.keys() == ["shutter"]
        node.kill()

    def test_what_runs_within_something_else_comes_first(self, server, client):
        """The status is that of the innermost request, and then of the outer one again."""
        thing = server["thing"] = Thing()
        proxy = client["thing"]
        future = proxy.wait(_sync="async")
        assert eventually(lambda: client.status().doing == "thing.wait")
        thing.gate.set()
        future.result()
        assert eventually(lambda: client.status().state == "alive")

    def test_a_lazy_server_is_alive_while_its_thread_does_something_else(self):
        server = RPCServer()
        server.run_lazy()
        asked, seen = threading.Event(), []

        def ask():
            client = RPCClient(server.address)
            client.ping()
            asked.set()
            seen.append(client.status(10).state)

        thread = threading.Thread(target=ask)
        thread.start()
        while not asked.is_set():
            server._read_and_process_one(0.01)
        thread.join(20)
        assert seen == ["alive"]
        server.close()

    def test_one_that_holds_the_interpreter_is_busy(self, node):
        run = node._import("builtins").exec
        run(HOLD_THE_GIL, {}, _sync="off")
        assert eventually(lambda: node.client.status(0.2).state == "busy")
        assert node.client.status(0.2) == ("busy", None, None)
        assert not node.client.disconnected()
        assert node.client.ping(timeout=20) == "pong"

    def test_of_several_at_once(self, node, sleep, client):
        future = sleep(60, _sync="async")
        assert eventually(lambda: node.client.status().state == "busy")
        closed = RPCClient("tcp://127.0.0.1:9")
        closed.close()
        clients = [client, closed, node.client]
        assert [s.state for s in RPCClient.statuses(clients, 10)] == ["alive", "dead", "busy"]
        assert RPCClient.statuses([]) == []
        assert not future.done()
        node.kill()

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be frozen here")
    def test_several_that_are_frozen(self, node):
        with ProcessSpawner() as other:
            assert settled(other.client)
            for frozen in (node, other):
                frozen.proc.send_signal(signal.SIGSTOP)
            try:
                told = RPCClient.statuses([node.client, other.client], 0.2)
                assert [status.state for status in told] == ["unresponsive"] * 2
            finally:
                for frozen in (node, other):
                    frozen.proc.send_signal(signal.SIGCONT)

    @pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="nothing can be frozen here")
    def test_a_frozen_one_is_unresponsive_and_then_dead(self, node):
        client = node.client
        node.proc.send_signal(signal.SIGSTOP)
        try:
            assert client.status(0.2).state == "unresponsive"
            with pytest.raises(ServerDisconnected):
                client.ping(timeout=20)
            assert client.status(10).state == "dead"
            assert client.disconnected()
        finally:
            node.proc.send_signal(signal.SIGCONT)

    def test_one_that_was_killed_is_dead(self, node):
        client = node.client
        node.proc.kill()
        assert eventually(lambda: client.status().state == "dead")
        assert client.disconnected()

    def test_where_nobody_listens_it_is_dead(self):
        assert RPCClient(fixed_address()).status(1).state == "dead"

    def test_over_inproc(self):
        server = RPCServer("inproc://status")
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        client = RPCClient("inproc://status")
        assert client.status(10).state == "alive"
        client.close_server(timeout=10)
        thread.join()


class TestInterrupt:
    def test_it_ends_a_sleep_of_a_node(self, node, sleep):
        future = sleep(60, _sync="async")
        assert eventually(lambda: node.client.status().doing == "time.sleep")
        assert node.client.interrupt(10)
        with pytest.raises(RemoteCallException) as caught:
            future.result(10)
        assert type(caught.value).__name__ == "KeyboardInterrupt"
        assert not isinstance(caught.value, KeyboardInterrupt)
        assert "running.py" not in caught.value.remote_traceback  # where the handler is
        assert node.client.ping() == "pong"

    @pytest.mark.parametrize("kind", KINDS)
    def test_one_that_comes_when_the_request_has_ended_ends_nothing(self, kind):
        with ProcessSpawner(**kind) as node:
            signalling = node._import("signalling")
            is_meant = signalling.delay_one(_return_type="proxy")
            waiting = is_meant.wait(20, _sync="async")
            assert eventually(lambda: node.client.status().doing)
            assert node.client.interrupt(10)
            assert waiting.result(20) is True
            assert [signalling.nap(0.01) for _ in range(10)] == [None] * 10

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("missed", [True, False])
    def test_one_comes_and_no_more_also_where_python_misses_it(self, kind, missed, tmp_path):
        begun = tmp_path / "begun"
        with ProcessSpawner(**kind) as node:
            signalling = node._import("signalling")
            if missed:
                signalling.miss_one()
            told = signalling.sleep_and_clear_up(60, str(begun), _sync="async")
            assert eventually(begun.exists)
            assert node.client.interrupt(10)
            assert told.result(20) == "cleared up"

    def test_anybody_s_call(self, node, sleep):
        ready, go, told = threading.Event(), threading.Event(), []

        def interrupt():
            client = RPCClient(node.address)
            client.ping()
            ready.set()
            go.wait(10)
            told.append(client.interrupt(10))

        thread = threading.Thread(target=interrupt)
        thread.start()
        assert ready.wait(10)
        future = sleep(60, _sync="async")
        assert eventually(lambda: node.client.status().doing == "time.sleep")
        go.set()
        with pytest.raises(RemoteCallException):
            future.result(10)
        thread.join(10)
        assert told == [True]

    def test_only_the_call_that_is_meant(self, node, sleep):
        client = node.client
        first, second = (sleep(60, _sync="async") for _ in range(2))
        assert eventually(lambda: client.status().doing == "time.sleep")
        assert not client.interrupt(10, future=second)
        assert not first.done()
        assert client.interrupt(10, future=first)
        with pytest.raises(RemoteCallException):
            first.result(10)
        assert not client.interrupt(10, future=first)
        assert eventually(lambda: client.interrupt(10, future=second))
        with pytest.raises(RemoteCallException):
            second.result(10)

    def test_not_that_of_another_client_of_the_process(self, node, sleep):
        other = RPCClient(node.address)
        other.ping()
        first = sleep(60, _sync="async")
        assert eventually(lambda: node.client.status().doing == "time.sleep")
        others = [other.send("ping", sync="async") for _ in range(10)]
        assert not any(other.interrupt(10, future=future) for future in others)
        assert other.interrupt(10, future=first)  # anybody of this process may
        with pytest.raises(RemoteCallException):
            first.result(10)
        other.close()

    def test_one_within_which_another_is_carried_out(self, server, client):
        """It is interrupted when that has ended, which is left alone."""
        thing = server["thing"] = Thing()
        there = client["thing"]
        go_on = threading.Event()
        outer = there.call(lambda: go_on.wait(60), _sync="async")
        assert eventually(lambda: client.status(10).doing == "thing.call")
        inner = there.wait(_sync="async")
        assert eventually(lambda: client.status(10).doing == "thing.wait")
        assert client.interrupt(10, future=outer)
        assert not outer.done()
        thing.gate.set()
        assert inner.result(10) is True
        with pytest.raises(RemoteCallException) as caught:
            outer.result(10)
        assert caught.value.type_name == "KeyboardInterrupt"
        assert there.add(1, 2) == 3
        go_on.set()

    def test_a_call_that_waits_for_another_server(self, server, client):
        server["thing"] = Thing()
        thing = client["thing"]
        go_on = threading.Event()
        for _ in range(5):
            future = thing.call(lambda: go_on.wait(60), _sync="async")
            assert eventually(lambda: client.status(10).doing == "thing.call")
            assert client.interrupt(10)
            with pytest.raises(RemoteCallException) as caught:
                future.result(10)
            assert caught.value.type_name == "KeyboardInterrupt"
            assert thing.add(1, 2) == 3
        go_on.set()

    def test_requests_carried_out_meanwhile_are_answered(self, server, client):
        server["thing"] = Thing()
        thing = client["thing"]
        go_on = threading.Event()
        stop = threading.Event()
        answered = []

        def ask():
            theirs = RPCClient(server.address)["thing"]
            while not stop.is_set():
                try:
                    answered.append(theirs.add(1, 2) == 3)
                except RemoteCallException as error:
                    answered.append(error.type_name == "KeyboardInterrupt")

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            future = thing.call(lambda: go_on.wait(60), _sync="async")
            while not future.done():
                client.interrupt(10)
            assert isinstance(future.exception(10), RemoteCallException)
        stop.set()
        go_on.set()
        for thread in threads:
            thread.join(20)
        assert answered
        assert all(answered)
        assert thing.add(1, 2) == 3

    def test_a_policy_that_raises_what_it_likes_ends_nothing(self):
        class Refuses(Trusted):
            def check(self, access, *args):
                if access in ("status", "interrupt"):
                    raise PermissionError("no")

        server = RPCServer(policy=Refuses())
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        client = RPCClient(server.address)
        assert client.ping() == "pong"
        for ask in (client.status, client.interrupt):
            with pytest.raises(PermissionError):
                ask(10)
        assert client.ping() == "pong"
        client.close_server(timeout=10)
        thread.join(10)

    def test_there_is_nothing_to_interrupt(self, client):
        assert client.interrupt() is False
        assert client.ping() == "pong"

    def test_a_server_in_another_thread(self, server, client):
        class Counter:
            count = 0

            def run(self):
                while True:
                    self.count += 1

        counter = server["counter"] = Counter()
        future = client["counter"].run(_sync="async")
        assert eventually(lambda: counter.count > 1000)
        assert client.interrupt(10)
        with pytest.raises(RemoteCallException):
            future.result(10)
        assert client.ping() == "pong"

    def test_a_call_without_an_answer(self, node, sleep):
        sleep(60, _sync="off")
        assert eventually(lambda: node.client.status().doing == "time.sleep")
        assert node.client.interrupt(10)
        assert node.client.ping() == "pong"

    def test_a_thousand_short_calls_under_fire(self, node):
        """Each ends with its result or with the interrupt, and the node goes on."""
        client = node.client
        add = node._import("operator").add
        stop = threading.Event()
        interrupted = []

        def fire():
            other = RPCClient(node.address)
            assert other.ping() == "pong"
            while not stop.is_set():
                other.interrupt(10)

        thread = threading.Thread(target=fire)
        thread.start()
        try:
            for number in range(1000):
                try:
                    assert add(number, 1) == number + 1
                except RemoteCallException as error:
                    interrupted.append(type(error).__name__)
        finally:
            stop.set()
            thread.join(10)
        assert set(interrupted) <= {"KeyboardInterrupt"}
        assert client.ping() == "pong"

    def test_one_that_does_not_let_go_of_the_interpreter_cannot_say(self, node):
        run = node._import("builtins").exec
        run(HOLD_THE_GIL, {}, _sync="off")
        assert eventually(lambda: node.client.status(0.2).state == "busy")
        with pytest.raises(CallTimeout):
            node.client.interrupt(0.1)
        node.kill()


class TestReconnect:
    def test_to_the_next_server_at_the_address(self):
        address = fixed_address()
        with serving(address) as server:
            server["answer"] = Thing()
            client = RPCClient(address)
            old = client["answer"]
        assert eventually(client.disconnected)
        with serving(address) as server:
            server["answer"] = 42
            with pytest.raises(ServerDisconnected):
                client["answer"]
            client.reconnect()
            assert client["answer"] == 42
            with pytest.raises(ServerDisconnected, match="which owned this object, is gone"):
                old.add(1, 2)

    def test_one_that_is_connected_stays_so(self, client):
        channel = client.channel
        client.reconnect()
        assert client.channel is channel
        assert client.ping() == "pong"

    def test_before_anybody_is_there(self):
        address = fixed_address()
        with serving(address):
            client = RPCClient(address)
            client.ping()
        assert eventually(client.disconnected)
        client.reconnect()
        begin = time.monotonic()
        with pytest.raises(TimeoutError):
            client.ping(timeout=0.1)
        assert time.monotonic() - begin < 10
        with serving(address):
            assert client.ping() == "pong"
