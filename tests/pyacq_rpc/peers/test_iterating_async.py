"""``async for`` over what a server holds."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from conftest import eventually

from pyacq_rpc import RPCServer, ServerDisconnected
from spawner import ProcessSpawner

from .iterating import Source


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_items_come_in_order(there):
    async def collect(iterable):
        return [item async for item in iterable]

    for count in (0, 1, 100, 1000):
        assert run(collect(there.numbers(count))) == list(range(count))
    for prefetch in (0, 1, 100):
        assert run(collect(there.numbers(250)._iterate(prefetch))) == list(range(250))


def test_no_further_ahead(source, there, unhurried):
    async def use():
        items = there.numbers().__aiter__()
        most = 0
        for taken in range(1, 301):
            await items.__anext__()
            await there.count(_sync="async")
            most = max(most, source.produced - taken)
        await items.aclose()
        return most

    assert run(use()) in (99, 100)
    assert source.ended.is_set()


def test_others_go_on_meanwhile(source, there):
    async def use():
        ticks = 0

        async def tick():
            nonlocal ticks
            while not source.gate.is_set():
                await asyncio.sleep(0.005)
                ticks += 1
                if ticks == 10:
                    source.gate.set()

        ticking = asyncio.create_task(tick())
        found = [item async for item in there.two_then_wait()]
        await ticking
        return found

    assert run(use()) == [1, 2, 3]


def test_errors_come_at_their_place(there):
    async def use():
        items = there.fail_after(150).__aiter__()
        for number in range(150):
            assert await items.__anext__() == number
        with pytest.raises(ValueError, match="no light"):
            await items.__anext__()
        return [item async for item in items]

    assert run(use()) == []


def test_what_is_not_iterable(client):
    async def use():
        async for _ in client.transfer(5):
            pass

    with pytest.raises(TypeError, match="not iterable"):
        run(use())


def test_what_a_generator_returns_ends_it(client):
    names = client.transfer({})
    client._import("builtins").exec("def numbers():\n yield 1\n return 'all'", names)

    async def use():
        return [item async for item in names["numbers"]()]

    assert run(use()) == [1]


def test_what_is_cancelled_loses_nothing(source, there):
    async def use():
        items = there.two_then_wait()._iterate()
        found = [await items.__anext__(), await items.__anext__()]
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(items.__anext__(), 0.05)
        source.gate.set()
        return found + [item async for item in items]

    assert run(use()) == [1, 2, 3]


def test_two_tasks_do_not_wait_at_once(source, there):
    async def use():
        items = there.two_then_wait()._iterate()
        await items.__anext__(), await items.__anext__()
        waiting = asyncio.create_task(items.__anext__())
        await asyncio.sleep(0)
        with pytest.raises(ValueError, match="one at a time"):
            await items.__anext__()
        source.gate.set()
        return await waiting

    assert run(use()) == 3


def test_leaving_a_loop_ends_a_generator(source, there):
    async def use():
        async for _ in there.numbers():
            break

    run(use())
    assert eventually(source.ended.is_set)


def test_closing_does_at_once(source, there):
    async def use():
        async with there.numbers()._iterate() as items:
            assert await items.__anext__() == 0
        assert source.ended.is_set()
        unused = there.numbers().__aiter__()
        await unused.aclose()
        assert [item async for item in unused] == []

    run(use())


def test_it_goes_on_with_what_was_prefetched(there):
    async def use():
        numbers = there.numbers(200)
        async for number in numbers:
            if number == 5:
                break
        assert next(numbers) == 6
        async for number in there.stream:
            if number == 5:
                break
        async for number in there.stream:
            assert number == 6
            break
        assert next(there.stream) == 7
        again = there.stream.__aiter__()
        await again.aclose()
        assert next(iter(there.stream), "end") == "end"
        return [number async for number in numbers]

    assert run(use()) == list(range(7, 200))


def test_a_server_that_dies():
    async def use(node):
        sleep, builtins = node._import("time").sleep, node._import("builtins")
        items = builtins.map(sleep, [0, 60]).__aiter__()
        assert await items.__anext__() is None
        asyncio.get_running_loop().call_later(0.1, os.kill, node.pid, signal.SIGKILL)
        with pytest.raises(ServerDisconnected):
            await items.__anext__()
        await items.aclose()

    with ProcessSpawner() as node:
        run(use(node))


def test_in_the_servers_own_thread():
    server = RPCServer()
    server.run_lazy()

    async def use():
        return [item async for item in server.get_proxy(Source().numbers(5))]

    assert run(use()) == list(range(5))
    server.close()
