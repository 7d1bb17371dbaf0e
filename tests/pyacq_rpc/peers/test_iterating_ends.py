"""How an iteration ends, and what is left of it: nothing."""

from __future__ import annotations

import gc
import os
import signal
import threading

import pytest
from conftest import eventually

from pyacq_rpc import RPCClient, ServerDisconnected
from spawner import ProcessSpawner

from .iterating import Numbers


class TestEarly:
    def test_closing_ends_a_generator_before_it_returns(self, source, there):
        items = iter(there.numbers())
        next(items)
        items.close()
        assert source.ended.is_set()
        assert list(items) == []
        items.close()

    def test_in_the_thread_of_the_server(self, source, there):
        items = iter(there.numbers())
        next(items)
        items.close()
        del items
        assert source.threads != [threading.get_ident()]

    def test_a_with_block_does(self, source, there):
        with there.numbers()._iterate() as items:
            assert next(items) == 0
        assert source.ended.is_set()

    def test_before_the_first_item(self, source, there):
        items = iter(there.numbers())
        items.close()
        assert list(items) == []
        assert source.produced == 0

    def test_leaving_a_loop_does_soon(self, source, there):
        for number in there.numbers():
            if number == 5:
                break
        assert eventually(source.ended.is_set)
        assert source.produced <= 106

    def test_so_does_an_error_in_it(self, source, there):
        def use():
            for _ in there.numbers():
                raise KeyError("x")

        with pytest.raises(KeyError):
            use()
        assert eventually(source.ended.is_set)

    def test_so_does_leaving_one_over_an_object_that_makes_generators(self, server, client):
        server["numbers"] = numbers = Numbers()
        proxy = client["numbers"]
        for number in proxy:
            if number == 5:
                break
        assert eventually(numbers.ended.is_set)
        with iter(proxy) as items:
            assert next(items) == 0

    def test_closing_does_not_close_a_file(self, client, tmp_path):
        (tmp_path / "file").write_text("a\nb\n")
        file = client._import("builtins").open(str(tmp_path / "file"))
        with file._iterate(prefetch=0) as lines:
            assert next(lines) == "a\n"
        assert file.readline() == "b\n"
        file.close()

    def test_what_a_generator_raises_when_it_is_closed(self, there, client):
        names = client.transfer({})
        code = "def numbers():\n try:\n  yield 1\n finally:\n  raise OSError('stuck')"
        client._import("builtins").exec(code, names)
        items = names["numbers"]()._iterate(prefetch=0)
        next(items)
        with pytest.raises(OSError, match="stuck"):
            items.close()

    def test_while_an_item_is_waited_for(self, source, there):
        items = there.two_then_wait()._iterate()
        next(items), next(items)
        with pytest.raises(TimeoutError):
            there.count(_timeout=0.05)
        threading.Timer(0.1, source.gate.set).start()
        items.close()
        assert list(items) == []


class TestNothingIsLeft:
    def test_of_what_was_iterated_over(self, server, source, there):
        before = len(server.table)
        list(there.numbers(500))
        iter(there.numbers()).close()
        next(iter(there.numbers()))
        assert sum(not event.is_set() for event in there.objects(250)) == 250
        next(iter(there.objects(250)))
        assert eventually(lambda: len(server.table) == before)

    def test_without_the_garbage_collector(self, server, source, there):
        before = len(server.table)
        gc.collect()
        gc.disable()
        for _ in there.numbers():
            break
        with pytest.raises(ValueError, match="no light"):
            list(there.fail_after(3))
        assert eventually(lambda: len(server.table) == before)
        assert source.ended.is_set()
        gc.enable()

    def test_of_a_client_that_has_gone(self, server, source):
        with ProcessSpawner() as node:
            code = f"n = iter(RPCClient({server.address!r})['source'].numbers()); next(n)"
            names = node.client.transfer({})
            node._import("builtins").exec(f"from pyacq_rpc import RPCClient\n{code}", names)
            assert not source.ended.is_set()
            os.kill(node.pid, signal.SIGKILL)
            assert source.ended.wait(10)


class TestADeadServer:
    def test_is_told_after_the_items_that_have_arrived(self):
        with ProcessSpawner() as node:
            node._import("pyacq_rpc.peers.chunking").LONGEST = 60.0  # however slow the machine is
            items = node._import("itertools").count()._iterate(prefetch=50)
            assert next(items) == 0
            node.client.ping()  # what was asked for ahead has arrived
            os.kill(node.pid, signal.SIGKILL)
            assert eventually(node.client.disconnected)
            arrived = [next(items) for _ in range(49)]
            assert arrived == list(range(1, 50))
            with pytest.raises(ServerDisconnected):
                list(items)
            for _ in range(2):
                with pytest.raises(ServerDisconnected):
                    next(items)
            items.close()

    def test_while_an_item_is_waited_for(self):
        with ProcessSpawner() as node:
            sleep = node._import("time").sleep
            builtins = node._import("builtins")
            items = iter(builtins.map(sleep, [0, 60]))
            assert next(items) is None
            threading.Timer(0.2, os.kill, (node.pid, signal.SIGKILL)).start()
            with pytest.raises(ServerDisconnected):
                next(items)

    def test_that_closes(self, server, source, there):
        items = iter(there.numbers())
        next(items)
        RPCClient(server.address).close_server(timeout=10)
        with pytest.raises(ServerDisconnected):
            list(items)
