"""A batch that is interrupted, and what can be known of one that takes long."""

from __future__ import annotations

import gc
import threading
import time

import pytest
from conftest import eventually, settled
from interrupting import Everywhere
from things import Thing

from pyacq_rpc import RemoteCallException
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner


def is_interrupted(promise):
    error = promise.exception(10)
    return isinstance(error, RemoteCallException) and error.type_name == "KeyboardInterrupt"


class TestAtTheServer:
    def test_the_rest_is_not_carried_out(self, server, client, thing):
        with ProcessSpawner(name="sleeper") as node:
            client = node.client
            time_there = node._import("time")
            with client.batch():
                before = client.send("ping")
                sleep = time_there.sleep(60)
                published = client.send("set_item", {"name": "x", "value": 1})
                after = time_there.time()
            assert eventually(lambda: client.status().doing == "time.sleep (2 of 4 in a batch)")
            assert client.interrupt(10)
            assert before.result(10) == "pong"
            assert all(map(is_interrupted, (sleep, published, after)))
            with pytest.raises(KeyError):
                client["x"]

    def test_by_the_promise_of_what_is_carried_out(self):
        with ProcessSpawner(name="sleeper") as node:
            client = node.client
            time_there = node._import("time")
            with client.batch():
                before = client.send("ping")
                sleep = time_there.sleep(60)
            assert eventually(lambda: client.status().state == "busy")
            assert not client.interrupt(10, future=before)
            assert client.interrupt(10, future=sleep)
            assert before.result(10) == "pong"
            assert is_interrupted(sleep)

    def test_whenever_it_comes(self, client, thing):
        """Many small calls: an interrupt comes within one, or between two."""
        for delay in range(8):
            with client.batch():
                numbers = [thing.add(number, 0) for number in range(500)]
            time.sleep(delay / 1000)  # anywhere will do
            client.interrupt(10)
            interrupted = [is_interrupted(promise) for promise in numbers]
            begun = interrupted.index(True) if True in interrupted else len(numbers)
            assert [promise.result() for promise in numbers[:begun]] == list(range(begun))
            assert all(interrupted[begun:])
            assert thing.add(1, 2) == 3

    def test_what_came_with_what_is_not_carried_out_is_given_back(
        self, client, thing, other_server, other_thing
    ):
        made = other_thing.make()
        with ProcessSpawner(name="sleeper") as node:
            client = node.client
            builtins = node._import("builtins")
            time_there = node._import("time")
            with client.batch():
                sleep = time_there.sleep(60)
                rest = [builtins.id(made) for _ in range(3)]
            assert eventually(lambda: client.status().state == "busy")
            assert client.interrupt(10)
            assert all(map(is_interrupted, (sleep, *rest)))
            del made
            assert eventually(lambda: gc.collect() >= 0 and len(other_server.table) == 1)

    def test_others_find_out_how_it_is_meanwhile(self, server, client, thing):
        with client.batch():
            busy = thing.make().wait()
        assert eventually(lambda: client.status().doing == "Thing.wait (2 of 2 in a batch)")
        assert client.interrupt(10)
        server["thing"].gate.set()
        for obj in gc.get_objects():
            if type(obj) is Thing:
                obj.gate.set()
        assert is_interrupted(busy)


class TestAtTheClient:
    @pytest.mark.timeout(90)
    def test_ctrl_c_anywhere_in_a_block_spoils_nothing(
        self, server, client, thing, other_server, other_thing
    ):
        """No batch stays open, no reference stays behind."""
        if not current().direct:
            pytest.skip("over ZeroMQ an interrupt may lose an answer, and references with it")
        assert settled(client)
        before = len(server.table)
        everywhere = Everywhere()
        promised = []

        def block():
            with client.batch():
                made = thing.make()
                total = made.add(1, 2)
                promised.append(total)
                thing.echo([other_thing])
                assert bool(made.add(0, 1))
                thing.value = made.value
            assert total.result(10) == 3

        rounds = 0
        stop = time.monotonic() + 8
        while everywhere.goes_on() and time.monotonic() < stop:
            everywhere.run(block)
            everywhere._last.clear()  # has frames, and so promises
            rounds += 1
            assert thing.add(1, 2) == 3, everywhere.place
            with client.batch():
                again = thing.add(3, 4)
            assert again.result(10) == 7, everywhere.place
            assert all(promise.done() for promise in promised), everywhere.place
            promised.clear()
        del again
        assert rounds > 100
        assert eventually(lambda: gc.collect() >= 0 and len(server.table) == before)
        assert eventually(lambda: len(other_server.table) == 1)


def test_many_threads_at_once(server, thing):
    """Each has its own client, and its own batch."""
    wrong = []

    def work(number):
        from pyacq_rpc import RPCClient

        client = RPCClient.get_client(server.address)
        mine = client["thing"]
        for turn in range(10):
            with client.batch():
                totals = [mine.make().add(number, turn) for _ in range(20)]
            wrong.extend(total for total in totals if total.result(20) != number + turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []
