"""Iteration by a client whose event loop reads its answers, and over what a loop serves."""

from __future__ import annotations

import asyncio
import threading

import pytest
from event_loops import came
from things import Thing

from pyacq_rpc import AsyncClient, RPCClient


class Source(Thing):
    def __init__(self):
        super().__init__()
        self.ended = threading.Event()
        self.again = threading.Event()

    def count(self, stop=10**9):
        try:
            for number in range(stop):
                self.value = number
                yield number
        finally:
            self.ended.set()

    def one_then_wait(self):
        yield 1
        self.again.wait(20)
        yield 2

    async def frames(self):
        yield 1


@pytest.fixture
def source(server):
    server["source"] = Source()
    return server["source"]


@pytest.fixture
def use(run, server, source):
    """Run a coroutine with an open client, and the source."""

    def use(act):
        async def main():
            async with AsyncClient(server.address) as client:
                return await act(client, await client["source"])

        return run(main())

    return use


def test_items_are_awaited_in_order(use):
    async def act(client, source):
        numbers = await source.count(250)
        assert [number async for number in numbers] == list(range(250))

    use(act)


def test_no_further_ahead_than_told(use, source, unhurried):
    async def act(client, far):
        async with (await far.count())._iterate(prefetch=10) as numbers:
            assert await anext(numbers) == 0
            assert await came(lambda: source.value >= 9)
            await far.add(1, 2)  # it would have gone on by then
            assert source.value <= 10

    use(act)
    assert source.ended.is_set()


def test_others_go_on_meanwhile(use, source):
    async def act(client, far):
        numbers = aiter(await far.one_then_wait())
        assert await anext(numbers) == 1
        second = asyncio.ensure_future(anext(numbers))
        await asyncio.sleep(0.05)
        assert not second.done()
        source.again.set()
        assert await second == 2

    use(act)


def test_it_waits_for_longer_than_calls_do(use, source):
    async def act(client, far):
        numbers = aiter(await far.one_then_wait())
        client.timeout = 0.05
        assert await anext(numbers) == 1
        threading.Timer(0.3, source.again.set).start()
        assert await anext(numbers) == 2

    use(act)


def test_what_is_cancelled_loses_nothing(use, source):
    async def act(client, far):
        numbers = aiter(await far.one_then_wait())
        assert await anext(numbers) == 1
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(numbers), 0.05)
        source.again.set()
        assert await anext(numbers) == 2

    use(act)


def test_what_would_wait_says_what_does_not(use, source):
    async def act(client, far):
        numbers = (await far.one_then_wait())._iterate(prefetch=0)
        assert await anext(numbers) == 1
        for wait in (lambda: next(numbers), numbers.close):
            with pytest.raises(RuntimeError, match=r"async for item in iterator.*aclose"):
                wait()
        source.again.set()
        assert await anext(numbers) == 2
        await numbers.aclose()

    use(act)


def test_what_is_here_is_given_without_waiting(use):
    async def act(client, far):
        numbers = (await far.count(3))._iterate()
        assert await anext(numbers) == 0
        assert await came(lambda: len(numbers._items) > 1 or numbers._coming.done())
        assert [number async for number in numbers] == [1, 2]

    use(act)


def test_what_is_not_iterable(use):
    async def act(client, far):
        with pytest.raises(TypeError, match="not iterable"):
            async for _ in far:
                pass

    use(act)


class TestOfALoop:
    """The server runs in an event loop."""

    def test_plain_iterators(self, async_server):
        async_server["source"] = Source()
        source = RPCClient(async_server.address)["source"]
        assert list(source.count(250)) == list(range(250))

    def test_a_slow_item_goes_without_the_next(self, async_server):
        async_server["source"] = Source()
        numbers = iter(RPCClient(async_server.address)["source"].one_then_wait())
        assert next(numbers) == 1
        async_server["source"].again.set()
        assert list(numbers) == [2]

    def test_asynchronous_generators_are_refused(self, async_server):
        async_server["source"] = Source()
        source = RPCClient(async_server.address)["source"]
        with pytest.raises(TypeError, match="by 'async for' only"):
            list(source.frames())
