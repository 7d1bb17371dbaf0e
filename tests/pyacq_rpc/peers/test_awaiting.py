"""Futures of ordinary clients in event loops: of asyncio, uvloop, anyio and trio."""

from __future__ import annotations

import asyncio
import threading

import anyio
import pytest
import trio
from conftest import eventually
from event_loops import LOOPS, run_in

from pyacq_rpc import AsyncClient, ServerDisconnected


@pytest.fixture(params=[*LOOPS, "anyio", "trio", "anyio on trio"])
def run(request):
    """Run a coroutine function in one of these."""
    if request.param == "trio":
        return trio.run
    if request.param.startswith("anyio"):
        backend = "trio" if "trio" in request.param else "asyncio"
        return lambda main: anyio.run(main, backend=backend)
    return lambda main: run_in(request.param, main())


def test_it_is_awaited(run, thing):
    async def main():
        future = thing.sleep(0.05, _sync="async")
        assert await future == 0.05
        assert await future == 0.05  # it is done
        with pytest.raises(ValueError, match="too dark"):
            await thing.fail("too dark", _sync="async")

    run(main)


def test_a_lost_server_is_told(run, server, thing):
    there = server["thing"]

    async def main():
        future = thing.wait(_sync="async")
        assert eventually(lambda: server.doing.request is not None)
        server.close()
        other = thing.wait(_sync="async")
        there.gate.set()
        assert await future is True
        with pytest.raises(ServerDisconnected):
            await other

    run(main)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_scope_cancels_the_request(backend, server, thing):
    there = server["thing"]

    async def main():
        busy = thing.wait(_sync="async")
        with anyio.move_on_after(0.2) as scope:
            await thing.note("too late", _sync="async")
        assert scope.cancelled_caught
        await anyio.sleep(0.2)
        there.gate.set()
        assert await busy is True

    anyio.run(main, backend=backend)
    assert thing.notes() == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_many_tasks_of_anyio(backend, thing):
    found = []

    async def call(i):
        found.append(await thing.add(i, 1, _sync="async"))

    async def main():
        async with anyio.create_task_group() as group:
            for i in range(100):
                group.start_soon(call, i)

    anyio.run(main, backend=backend)
    assert sorted(found) == [*range(1, 101)]


def test_an_async_client_works_with_anyio_on_asyncio(server, thing):
    async def main():
        async with AsyncClient(server.address) as client:
            thing = await client["thing"]
            with anyio.fail_after(10):
                assert await thing.add(1, 2) == 3
            with anyio.move_on_after(0.1) as scope:
                await thing.wait()
            server["thing"].gate.set()
            assert scope.cancelled_caught

    anyio.run(main)


def test_an_async_client_says_that_it_is_not_for_trio(server):
    async def main():
        with pytest.raises(RuntimeError, match="RPCClient, whose futures can be awaited under tri"):
            AsyncClient(server.address)

    trio.run(main)


def test_a_run_that_is_over_is_not_woken(thing, server):
    futures = []

    async def main():
        futures.append(thing.wait(_sync="async"))
        with trio.move_on_after(0.05):
            await trio.sleep(1)

    trio.run(main)
    server["thing"].gate.set()
    assert futures[0].result(10) is True


def test_a_loop_that_is_closed_is_not_woken(thing, server, caplog):
    loop = asyncio.new_event_loop()
    future = thing.wait(_sync="async")

    async def wait():
        await future

    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    server["thing"].gate.set()
    assert future.result(10) is True
    assert eventually(lambda: future.done())
    assert caplog.text == ""
    task._log_destroy_pending = False
    del task


def test_without_an_event_loop_it_says_so(thing):
    future = thing.sleep(0.1, _sync="async")
    with pytest.raises(RuntimeError, match="no running event loop"):
        future.send(None)
    future.result(10)


def test_it_is_a_coroutine_to_those_who_insist_on_one(thing):
    async def main():
        assert await asyncio.create_task(thing.add(1, 2, _sync="async")) == 3
        tasks = {asyncio.create_task(thing.sleep(0.01, _sync="async")) for _ in range(3)}
        _, pending = await asyncio.wait(tasks)
        assert not pending
        with pytest.raises((TypeError, DeprecationWarning)):  # before Python 3.11
            await asyncio.wait([thing.add(1, 2, _sync="async")])

    asyncio.run(main())


def test_the_callback_comes_in_the_loop_s_thread(thing):
    async def main():
        await thing.sleep(0.01, _sync="async")
        return threading.get_ident()

    assert asyncio.run(main()) == threading.get_ident()
