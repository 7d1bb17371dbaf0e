"""Iterating next to other things: other iterators, calls, threads, servers, other clients."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import eventually, settled
from interrupting import Everywhere

from pyacq_rpc import AccessDenied, RemoteCallException, RPCClient, RPCServer, Service, expose
from pyacq_rpc.peers.runtime import current

from .iterating import Numbers, Source

ROOT = Path(__file__).parents[3]


class TestAnIteratorThatIsIteratedOverAgain:
    """What was prefetched of it is not lost."""

    def test_by_another_loop(self, there):
        numbers = there.numbers(200)
        for number in numbers:
            if number == 5:
                break
        assert list(numbers) == list(range(6, 200))
        assert list(numbers) == []

    def test_by_next(self, there):
        numbers = there.numbers(200)
        assert next(numbers) == 0
        for number in numbers:
            if number == 5:
                break
        assert next(numbers) == 6
        assert [n for n, _ in zip(numbers, range(3))] == [7, 8, 9]
        assert 11 in numbers

    def test_by_a_copy_of_the_proxy(self, there):
        numbers = there.numbers(200)
        next(iter(numbers))
        assert list(copy.copy(numbers)) == list(range(1, 200))

    def test_by_its_attribute(self, there):
        for number in there.stream:
            if number == 5:
                break
        assert next(there.stream) == 6
        assert next(iter(there.stream)) == 7

    def test_another_one_of_that_name_begins_anew(self, source, there):
        assert next(iter(there.stream)) == 0
        source.stream = source.numbers()
        assert next(iter(there.stream)) == 0
        assert next(there.stream) == 1

    def test_a_property_that_makes_one_each_time_begins_anew(self, there):
        for _ in range(3):
            for _ in there.fresh:
                break
        assert list(there.fresh) == list(there.fresh) == list(range(5))

    def test_one_that_was_closed_is_not_gone_on_with(self, there):
        numbers = there.numbers(10)
        with iter(numbers) as items:
            next(items)
        assert list(numbers) == []

    def test_other_proxies_see_it_ahead(self, server, client, source):
        server["numbers"] = source.numbers()
        assert next(iter(client["numbers"])) == 0
        # Mostly 100. A server that is slow sends fewer at once.
        assert 1 <= next(client["numbers"]) <= 101

    def test_but_not_without_prefetch(self, server, client, source):
        server["numbers"] = source.numbers()
        assert next(client["numbers"]._iterate(prefetch=0)) == 0
        assert next(client["numbers"]) == 1

    def test_a_list_begins_anew(self, client):
        things = client.transfer([1, 2, 3])
        assert next(iter(things)) == next(iter(things)) == 1

    def test_it_can_still_be_sent_to(self, there, client):
        names = client.transfer({})
        client._import("builtins").exec("def echo():\n x = 0\n while 1: x = yield x", names)
        echo = names["echo"]()
        assert next(echo) == 0
        assert [echo.send(n) for n in (1, 2)] == [1, 2]


class TestOthers:
    def test_ten_interleaved(self, there):
        iterators = [there.numbers(300) for _ in range(10)]
        for number, row in enumerate(zip(*iterators)):
            assert row == (number,) * 10
        assert number == 299

    def test_calls_come_in_order(self, source, there, unhurried):
        items = iter(there.numbers())
        next(items)
        # The next items were asked for before.
        assert 51 <= there.count() <= 101
        items.close()

    def test_threads_take_turns(self, there):
        items = iter(there.numbers(1000))
        found = []

        def take():
            found.extend(next(items) for _ in range(90))

        for _ in range(10):
            thread = threading.Thread(target=take)
            thread.start()
            thread.join()
        found.extend(items)
        assert found == list(range(1000))

    def test_threads_do_not_wait_at_once(self, source, there):
        items = there.two_then_wait()._iterate()
        next(items), next(items)
        caught = []

        def take():
            try:
                next(items)
            except ValueError as error:
                caught.append(error)
                source.gate.set()

        threading.Timer(0.2, take).start()
        assert next(items) == 3
        assert "one at a time" in str(caught[0])

    def test_several_threads_iterate_over_one_list(self, client):
        things = client.transfer(list(range(1000)))
        found = []
        threads = [threading.Thread(target=lambda: found.append(list(things))) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [list(range(1000))] * 5


@pytest.fixture
def lazy():
    """The server of the test's own thread."""
    server = RPCServer(name="lazy")
    server.run_lazy()
    yield server
    server.close()


class TestServersThatIterate:
    def test_a_generator_may_call_who_iterates(self, lazy, there):
        assert list(there.call_for_each(lambda n: n * 2, 150)) == [n * 2 for n in range(150)]

    def test_and_be_asked_for_more_meanwhile(self, lazy, source, there):
        """What it has is sent while it waits for the rest."""
        gate = threading.Event()
        taken = []

        def half(number):
            if number == 3:
                assert gate.wait(20)
            return number

        def open_soon():
            assert eventually(lambda: len(taken) == 3)
            gate.set()

        thread = threading.Thread(target=open_soon)
        thread.start()
        other = RPCServer(name="other")  # where the function is called
        served = threading.Thread(target=other.run_forever)
        served.start()
        for number in there.call_for_each(other.get_proxy(half), 6):
            taken.append(number)  # one sees them come
        assert taken == list(range(6))
        thread.join()
        other.close()
        served.join()

    def test_one_may_iterate_over_what_another_one_iterates_over(self, other_server, there):
        other_server["builtins"] = __import__("builtins")
        builtins = RPCClient(other_server.address)["builtins"]
        assert list(builtins.enumerate(there.numbers(250))) == list(enumerate(range(250)))

    def test_a_local_generator_is_iterated_over_from_there(self, lazy, client):
        produced = []
        numbers = (produced.append(n) or n for n in range(300))
        assert client._import("builtins").sum(numbers) == sum(range(300))

    def test_in_the_servers_own_thread(self, lazy):
        source = Source()
        proxy = lazy.get_proxy(source)
        items = proxy.numbers(5)
        assert list(items) == list(range(5))
        shared = lazy.get_proxy(source.one_object_for_all(3))
        assert [item["number"] for item in shared] == [0, 1, 2]
        source.produced = 0
        items = iter(lazy.get_proxy(source.numbers()))
        assert [next(items), next(items)] == [0, 1]
        assert source.produced == 2
        items.close()
        assert source.ended.is_set()
        one, _ = lazy.get_proxy([1, 2])._iterate(return_type="proxy")
        assert one + 1 == 2
        with pytest.raises(TypeError, match="not iterable"):
            iter(lazy.get_proxy(source))
        with pytest.raises(ValueError, match="no light"):
            list(lazy.get_proxy(source.fail_after(1)))

    def test_in_the_servers_own_thread_within_the_iterator(self, lazy):
        def numbers():
            with pytest.raises(ValueError, match="one at a time"):
                next(items)
            yield 1

        items = iter(lazy.get_proxy(numbers()))
        assert list(items) == [1]


class Camera:
    @expose
    def frames(self):
        yield from range(150)

    @expose
    def hidden(self):
        return Numbers()

    @expose
    def __iter__(self):
        yield from "ab"


class TestAService:
    @pytest.fixture
    def camera(self):
        server = RPCServer(policy=Service())
        server["camera"] = Camera()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        yield RPCClient(server.address)["camera"]
        server.close()
        thread.join(10)

    def test_is_iterated_over(self, camera):
        assert list(iter(camera.frames())) == list(range(150))
        assert list(iter(camera)) == ["a", "b"]
        with camera.frames()._iterate() as frames:
            next(frames)

    def test_refuses_what_it_does_not_expose(self, camera):
        with pytest.raises(AccessDenied):
            iter(camera.hidden())
        with pytest.raises(AccessDenied):
            reversed(camera)


UNDER_FIRE = """
import random, signal, sys, threading, time
from pyacq_rpc import RPCClient

interrupted = 0
armed = False

def interrupt(signum, frame):
    global armed, interrupted
    if armed:  # else it would meet what catches it
        armed = False
        interrupted += 1
        raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupt)
client = RPCClient(sys.argv[1])
items = iter(client["source"].numbers())
while not client.channel.signals():
    client.ping()  # until it has taken the direct road: what comes before may get lost

def fire():
    for _ in range(400):
        time.sleep(random.uniform(0, 0.003))
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

thread = threading.Thread(target=fire)
thread.start()
wanted = 0
while thread.is_alive():
    try:
        armed = True
        for number in items:
            assert number == wanted, (number, wanted)
            wanted += 1
    except KeyboardInterrupt:
        pass
print(interrupted > 0, wanted > 0, client.ping())
"""


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
class TestCtrlC:
    def test_loses_no_item_and_gives_none_twice(self, server, source):
        if not current().direct:
            pytest.skip("pyzmq loses messages to it")
        run = subprocess.run(
            [sys.executable, "-c", UNDER_FIRE, server.address],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert run.stdout == "True True pong\n", run.stderr
        assert run.stderr == ""

    @pytest.mark.timeout(180)
    def test_wherever_it_comes(self, client, there):
        if not current().direct:
            pytest.skip("pyzmq loses messages to it")
        assert settled(client)
        everywhere = Everywhere()
        items = there.numbers()._iterate(prefetch=2)
        found = []

        def step():
            # As a loop has it: the item is in its place before anything else happens.
            for number in items:
                found.append(number)
                if len(found) % 4 == 0:
                    break

        while everywhere.goes_on():
            count = len(found)
            everywhere.run(step)
            assert found == list(range(len(found))), everywhere.place
            if len(found) == count:
                found.append(next(items))
        assert client.ping() == "pong"


def test_an_interrupt_of_the_server_ends_the_generator_only(server, source, there, client):
    items = there.two_then_wait()._iterate(timeout=20)
    known, wanted = threading.Event(), threading.Event()

    def interrupt():
        other = RPCClient(server.address)
        other.ping()
        known.set()
        wanted.wait(20)
        assert eventually(lambda: other.status().doing == "items of Source.two_then_wait")
        assert other.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    assert known.wait(20)
    assert [next(items), next(items)] == [1, 2]
    wanted.set()
    with pytest.raises(RemoteCallException) as caught:
        next(items)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert list(items) == []
    assert client.ping() == "pong"
    thread.join()
