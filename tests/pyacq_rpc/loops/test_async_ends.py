"""The end of either side: killed, closed, cancelled; and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import time

import pytest
from conftest import eventually, open_descriptors
from event_loops import came, run_in
from things import Thing

from pyacq_rpc import AsyncClient, RPCClient, RPCError, RPCServer, ServerDisconnected
from pyacq_rpc.loops.loop_reader import LoopReader
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner


def epolls():
    """How many this process has."""
    return sum("eventpoll" in what for what in open_descriptors().values())


def test_a_killed_server_is_noticed_at_once(run):
    with ProcessSpawner(name="victim") as node:

        async def main():
            async with AsyncClient(node.address) as client:
                sleep = (await client._import("time")).sleep
                waiting = [asyncio.ensure_future(sleep(60)) for _ in range(10)]
                await asyncio.sleep(0.2)
                os.kill(node.pid, signal.SIGKILL)
                begin = time.monotonic()
                for future in waiting:
                    with pytest.raises(ServerDisconnected, match="victim"):
                        await future
                assert time.monotonic() - begin < 5
                assert client.closed()
                with pytest.raises(ServerDisconnected):
                    await client.ping()

        run(main())


def test_a_server_that_closes_is_told(run, server):
    server["thing"] = thing = Thing()

    async def main():
        async with AsyncClient(server.address) as client:
            wait = (await client["thing"]).wait
            first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
            while (await client.status(10)).doing != "thing.wait":
                pass
            server.close()
            thing.gate.set()
            assert await first is True
            with pytest.raises(ServerDisconnected, match="closed"):
                await second

    run(main())


def test_what_the_io_thread_is_about_to_close_is_closed(run, server, monkeypatch):
    """It found the connection ended, and comes to the rest when the event loop is no more."""
    ended = threading.Event()
    close = LoopReader.close

    def close_late(reader):
        if current().watcher.is_current():
            ended.wait(20)
        close(reader)

    monkeypatch.setattr(LoopReader, "close", close_late)

    async def main():
        async with AsyncClient(server.address) as client:
            assert await client.ping() == "pong"
            server.close()
            assert eventually(client.closed)  # by the I/O thread, since this one is here

    before = epolls()
    try:
        run(main())
        assert epolls() == before - 1  # the server's
    finally:
        ended.set()


def test_closing_fails_what_is_awaited(run, server):
    server["thing"] = thing = Thing()

    async def main():
        client = AsyncClient(server.address)
        future = (await client["thing"]).wait()
        client.close()
        thing.gate.set()
        with pytest.raises(ServerDisconnected, match="has been closed"):
            await future

    run(main())


def test_a_dead_client_s_tasks_are_cancelled(async_server):
    there = async_server.thing
    with ProcessSpawner(name="client") as node:
        use = node._import("pyacq_rpc").RPCClient(async_server.address)
        use.call_obj(use["thing"].nap, (60,), sync="off")  # goes over that client
        assert eventually(lambda: there.running == 1)
        node.kill()
        assert eventually(lambda: there.running == 0)
    assert there.log == ["begun 60", "cancelled 60"]


def test_a_client_that_closes_is_as_good_as_dead(async_server):
    there = async_server.thing
    client = RPCClient(async_server.address)
    client["thing"].nap(60, _sync="async")
    assert eventually(lambda: there.running == 1)
    client.close()
    assert eventually(lambda: there.running == 0)


def test_a_call_of_one_s_own_that_is_cancelled_before_it_has_begun_is_told(run):
    async def main():
        server = RPCServer()
        serving = asyncio.ensure_future(server.run_async())
        while server.tasks is None:
            await asyncio.sleep(0)
        nap = server.get_proxy(asyncio.sleep)
        serving.cancel()
        future = nap(60, _sync="async")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), 10)
        await asyncio.wait([serving])

    run(main())


def test_close_lets_what_has_begun_end_first(async_server):
    client = RPCClient(async_server.address)
    future = client["thing"].nap(1.0, _sync="async")
    assert eventually(lambda: async_server.thing.running == 1)
    assert client.close_server(timeout=10)
    assert future.result(10) == 1.0
    assert async_server.wait_closed(10)


def test_what_begins_after_that_is_cancelled(async_server):
    thing = RPCClient(async_server.address)["thing"]
    first = thing.nap(1.0, _sync="async")
    assert eventually(lambda: async_server.thing.running == 1)
    async_server.close()
    late = thing.nap(60, _sync="async")
    assert first.result(10) == 1.0
    with pytest.raises(ServerDisconnected):
        late.result(10)
    assert eventually(lambda: async_server.thing.running == 0)


def test_a_callback_is_let_in_while_it_closes(async_server, other_server):
    """What a task waits for may need another request to be carried out."""
    began = threading.Event()

    async def through(ask, back):
        began.set()
        await asyncio.sleep(0.2)
        return await ask(back, _sync="async")

    async_server["through"] = through
    other_server["ask"] = lambda thing: thing.add(1, 2)
    client = RPCClient(async_server.address)
    ask = RPCClient(other_server.address)["ask"]
    future = client["through"](ask, client["thing"], _sync="async")
    assert began.wait(10)
    async_server.close()
    assert future.result(10) == 3


@pytest.mark.parametrize("cancelled_by", ["task", "interrupt"])
def test_a_server_that_waits_for_ever_can_be_ended(run, cancelled_by):
    ended = []

    async def nap():
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(1)

    async def main():
        server = RPCServer()
        server["nap"] = nap
        serving = asyncio.create_task(server.run_async())
        thread = threading.Thread(target=call, args=(server.address,))
        thread.start()
        assert await came(lambda: server.tasks is not None and server.tasks.describe()[0])
        server.close()
        await asyncio.sleep(0.05)
        assert not serving.done()
        if cancelled_by == "task":
            serving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await serving
        else:
            assert server.interrupt()
            await serving
        await asyncio.to_thread(thread.join)

    failed = []

    def call(address):
        try:
            RPCClient(address)["nap"](_timeout=30)
        except RPCError as error:
            failed.append(type(error).__name__)

    run(main())
    assert ended == [1]
    assert failed == ["ServerDisconnected" if cancelled_by == "task" else "KeyboardInterrupt"]


def test_cancelling_it_twice_waits_for_nobody(run):
    async def stubborn():
        while True:
            try:
                await asyncio.sleep(0.5)
                return
            except asyncio.CancelledError:
                pass

    async def main():
        server = RPCServer()
        server["stubborn"] = stubborn
        serving = asyncio.create_task(server.run_async())
        thread = threading.Thread(
            target=lambda: RPCClient(server.address)["stubborn"](_sync="off") or server.close
        )
        thread.start()
        assert await came(lambda: server.tasks is not None and server.tasks.describe()[0])
        serving.cancel()
        await asyncio.sleep(0.05)
        assert not serving.done()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert not server.running()
        await asyncio.to_thread(thread.join)
        await asyncio.sleep(0.6)

    run(main())


def test_nothing_is_left_in_the_event_loop(run, server):
    server["thing"] = Thing()

    async def main():
        async with AsyncClient(server.address) as client:  # what stays: the I/O thread and such
            await (await client["thing"]).add(1, 2)
        await asyncio.sleep(0.3)
        gc.collect()
        before = len(open_descriptors())
        for _ in range(5):
            async with AsyncClient(server.address) as client:
                thing = await client["thing"]
                assert await thing.add(1, 2) == 3
                assert await thing.add(1, 2) == 3
            del thing, client
        assert await came(lambda: len(open_descriptors()) <= before)

    run(main())


def test_a_server_leaves_nothing_in_the_event_loop(run):
    async def main():
        async def serve():
            server = RPCServer()
            serving = asyncio.create_task(server.run_async())
            await asyncio.sleep(0)
            thread = threading.Thread(
                target=lambda: RPCClient(server.address).close_server(timeout=10)
            )
            thread.start()
            await serving
            thread.join()

        await serve()
        await asyncio.sleep(0.3)
        gc.collect()
        before = len(open_descriptors())
        for _ in range(3):
            await serve()
        assert await came(lambda: len(open_descriptors()) <= before)

    run(main())


def test_a_program_ends_with_its_main_thread(kind):
    """A server in an event loop of another thread finishes what it does, and closes."""
    server = RPCServer()
    thread = threading.Thread(target=lambda: run_in(kind, server.run_async()))
    thread.start()
    assert eventually(lambda: server in server.runtime._looping)
    server.runtime.close_looping()
    thread.join(10)
    assert not thread.is_alive()
