"""Cancelling what is awaited cancels the request, here and over there."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading

import pytest
from conftest import eventually
from event_loops import came

from pyacq_rpc import AsyncClient, RPCClient


@pytest.fixture
def use(run, async_server):
    """Run a coroutine with a thing of a server in an event loop."""

    def use(act):
        async def main():
            async with AsyncClient(async_server.address) as client:
                return await act(client, await client["thing"], async_server.thing)

        return run(main())

    return use


def test_a_cancelled_task_cancels_the_call_over_there(use):
    async def act(client, thing, there):
        task = asyncio.create_task(thing.nap(60))
        assert await came(lambda: there.running == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await came(lambda: there.running == 0)
        assert there.log == ["begun 60", "cancelled 60"]
        assert (await client.status(10)).state == "alive"

    use(act)


def test_wait_for_does_so_when_the_time_is_over(use):
    async def act(client, thing, there):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(thing.nap(60), 1.0)  # long enough for it to begin
        assert await came(lambda: there.log == ["begun 60", "cancelled 60"])
        assert await thing.add(1, 2) == 3

    use(act)


def test_a_call_timeout_does_not(use):
    async def act(client, thing, there):
        with pytest.raises(TimeoutError):
            await thing.nap(0.5, _timeout=0.05)
        assert await came(lambda: there.log and there.running == 0)
        assert there.log == ["begun 0.5"]

    use(act)


def test_many_at_once(use):
    async def act(client, thing, there):
        tasks = [asyncio.create_task(thing.nap(60)) for _ in range(100)]
        assert await came(lambda: there.running == 100)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await came(lambda: there.running == 0)

    use(act)


def test_cancelled_at_once_it_never_begins_or_is_cancelled(use):
    async def act(client, thing, there):
        for _ in range(20):
            task = asyncio.create_task(thing.nap(60))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await thing.add(1, 2) == 3
        assert await came(lambda: there.running == 0)

    use(act)


def test_a_task_that_is_cancelled_before_it_begins_cancels_what_was_sent(use):
    async def act(client, thing, there):
        task = asyncio.create_task(thing.nap(60))
        thing.add(1, 2, _sync="sync")  # the event loop stands still, and the request begins
        assert there.running == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await came(lambda: there.running == 0)

    use(act)


def test_who_takes_no_notice_goes_on_and_its_answer_is_dropped(use):
    async def act(client, thing, there):
        task = asyncio.create_task(thing.stubborn())
        await thing.add(1, 2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        assert await thing.add(1, 2) == 3

    use(act)


def test_what_has_not_begun_is_withdrawn(run, server):
    from things import Thing

    server["thing"] = there = Thing()

    async def main():
        async with AsyncClient(server.address) as client:
            thing = await client["thing"]
            busy = thing.wait()
            while (await client.status(10)).doing != "thing.wait":
                pass
            waiting = asyncio.create_task(thing.note("too late"))
            await asyncio.sleep(0)  # it is sent
            waiting.cancel()
            await asyncio.wait([waiting])
            assert (await client.status(10)).state == "busy"  # it comes behind, and the same way
            there.gate.set()
            assert await busy is True
            assert await thing.notes() == []

    run(main())


def test_a_sync_method_runs_on(run, server):
    from things import Thing

    server["thing"] = there = Thing()

    async def main():
        async with AsyncClient(server.address) as client:
            thing = await client["thing"]
            busy = asyncio.create_task(thing.wait())
            assert await came(lambda: server.doing.request is not None)
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
            there.gate.set()
            assert await thing.add(1, 2) == 3

    run(main())


def test_a_future_of_another_client_cancels_as_well(async_server):
    thing = RPCClient(async_server.address)["thing"]
    future = thing.nap(60, _sync="async")
    assert eventually(lambda: async_server.thing.running == 1)
    assert future.cancel()
    assert eventually(lambda: async_server.thing.log[-1] == "cancelled 60")
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(10)


def test_over_zmq_alone(async_server, monkeypatch):
    from pyacq_rpc.peers.runtime import current

    monkeypatch.setattr(current(), "direct", False)
    thing = RPCClient(async_server.address)["thing"]
    future = thing.nap(60, _sync="async")
    assert eventually(lambda: async_server.thing.running == 1)
    assert future.cancel()
    assert eventually(lambda: async_server.thing.running == 0)


def test_a_failure_while_it_is_cancelled_is_logged(async_server, caplog):
    begun = []

    async def spoil():
        try:
            begun.append(True)
            await asyncio.sleep(60)
        finally:
            raise ValueError("shutter stuck")

    async_server["spoil"] = spoil
    client = RPCClient(async_server.address)
    future = client["spoil"](_sync="async")
    assert eventually(lambda: begun)
    future.cancel()
    assert eventually(lambda: "ValueError: shutter stuck" in caplog.text)
    caplog.clear()


def test_only_one_s_own_requests_are_cancelled(async_server):
    """Requests of different clients may have the same number."""
    one = RPCClient(async_server.address)["thing"]
    found = []

    def use_another():
        thing = RPCClient(async_server.address)["thing"]
        found.append(thing.nap(0.3))

    thread = threading.Thread(target=use_another)
    thread.start()
    future = one.nap(60, _sync="async")
    assert eventually(lambda: async_server.thing.running == 2)
    future.cancel()
    thread.join(10)
    assert found == [0.3]
