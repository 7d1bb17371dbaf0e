"""`AsyncClient`: what is awaited, what is refused, and who reads."""

from __future__ import annotations

import asyncio
import contextvars
import re
import threading
import time

import pytest
from things import Thing

from pyacq_rpc import AsyncClient, CallTimeout, Future, RPCClient, RPCServer
from pyacq_rpc.loops.loop_client import LoopClient
from pyacq_rpc.loops.loop_reader import LoopReader


@pytest.fixture
def address(server):
    server["thing"] = Thing()
    return server.address


@pytest.fixture
def use(run, address):
    """Run a coroutine with an open client, and a thing of its server."""

    def use(act):
        async def main():
            async with AsyncClient(address) as client:
                return await act(client, await client["thing"])

        return run(main())

    return use


def test_calls_are_awaited(use):
    async def act(client, thing):
        assert await thing.add(1, 2) == 3
        assert isinstance(thing.add(1, 2), Future)
        assert await thing.value._get_value() == 0
        assert await client.ping() == "pong"
        with pytest.raises(ValueError, match="too dark"):
            await thing.fail("too dark")

    use(act)


def test_all_actions_are_there(use):
    async def act(client, thing):
        await client.set_item("numbers", [1, 2])
        assert await client["numbers"] == [1, 2]
        sent = await client.transfer([3, 4])
        assert await client.get_obj(sent) == [3, 4]
        assert await client.call_obj(sent.index, (4,)) == 1
        assert await (await client._import("math")).sqrt(4) == 2.0
        assert abs(await client.measure_clock_diff()) < 5
        assert (await client.status(10)).state == "alive"
        assert await client.interrupt() is False
        await client.ensure_connection(timeout=10)
        await client.delete(sent)
        with pytest.raises(ReferenceError):
            await sent.index(3)
        assert await client.close_server(timeout=10) is True
        assert await client.close_server(timeout=10) is True

    use(act)


def test_a_thousand_awaits_at_once(use):
    async def act(client, thing):
        assert await asyncio.gather(*(thing.add(i, 1) for i in range(1000))) == [*range(1, 1001)]

    use(act)


def test_requests_begin_in_the_order_sent(use):
    async def act(client, thing):
        futures = []
        for value in range(100):
            futures.append(thing.note(value))
            thing.note(-value, _sync="off")
        await asyncio.gather(*futures)
        assert await thing.notes() == [n for value in range(100) for n in (value, -value)]

    use(act)


def test_large_messages(use):
    async def act(client, thing):
        data = bytes(3_000_000)
        assert await asyncio.gather(thing.echo(data), thing.echo(data)) == [data, data]

    use(act)


def test_answers_are_read_by_the_event_loop(use, monkeypatch):
    readers = []
    pump = LoopReader.read
    monkeypatch.setattr(LoopReader, "read", lambda self: (readers.append(1), pump(self))[1])

    async def act(client, thing):
        await client.ensure_connection(10)
        done_in = []
        for _ in range(20):
            future = thing.add(1, 2)
            future.add_done_callback(lambda _: done_in.append(threading.get_ident()))
            await future
        assert set(done_in) == {threading.get_ident()}

    use(act)
    assert readers


def test_where_the_loop_cannot_read_the_io_thread_does(run, address, monkeypatch):
    def refuse(self, loop, channel):
        raise NotImplementedError

    monkeypatch.setattr(LoopReader, "__init__", refuse)

    async def main():
        async with AsyncClient(address) as client:
            thing = await client["thing"]
            assert await asyncio.gather(*(thing.add(i, 1) for i in range(50))) == [*range(1, 51)]

    run(main())


def test_the_context_is_kept(use):
    variable = contextvars.ContextVar("variable", default="outside")

    async def act(client, thing):
        variable.set("inside")
        await thing.add(1, 2)
        assert variable.get() == "inside"

    use(act)


def test_tasks_are_made_of_calls(use):
    async def act(client, thing):
        task = asyncio.create_task(thing.add(1, 2))
        assert await task == 3
        failing = asyncio.create_task(thing.fail("too dark"))
        assert isinstance((await asyncio.gather(failing, return_exceptions=True))[0], ValueError)
        _, pending = await asyncio.wait({asyncio.create_task(thing.add(1, 2))})
        assert not pending

    use(act)


def test_a_future_is_awaited_by_several(use):
    async def act(client, thing):
        future = thing.add(1, 2)

        async def wait():
            return await future

        assert await asyncio.gather(wait(), wait()) == [3, 3]
        assert await future == 3

    use(act)


def test_a_shielded_call_is_not_cancelled(use):
    async def act(client, thing):
        future = thing.sleep(0.5)
        for _ in range(3):
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(asyncio.shield(future), 0.02)
        assert await asyncio.shield(future) == 0.5
        await asyncio.sleep(0.05)  # the tasks that were shielded end

    use(act)


def test_a_late_answer_is_a_timeout(use, server):
    gate = threading.Event()
    server["wait"] = gate.wait

    async def act(client, thing):
        wait = await client["wait"]
        with pytest.raises(CallTimeout, match=r"no answer from under-test .* after 0.05 s"):
            await wait(10, _timeout=0.05)
        client.timeout = 0.05
        with pytest.raises(TimeoutError):
            await thing.add(1, 2)
        gate.set()
        client.timeout = None
        assert await thing.add(1, 2) == 3

    use(act)


def test_nobody_there_is_a_timeout(run):
    async def main():
        async with AsyncClient("tcp://127.0.0.1:9", timeout=0.1) as client:
            with pytest.raises(CallTimeout, match="no sign of a server"):
                await client.ping()
            assert (await client.status(0.1)).state == "dead"

    run(main())


AT_ONCE = {
    "__len__": len,
    "__bool__": bool,
    "__int__": int,
    "__contains__": lambda thing: 3 in thing,
    "__eq__": lambda thing: thing == 3,
    "__lt__": lambda thing: thing < 3,
    "async for item in proxy": iter,
    "backwards=True": reversed,
    "anext": next,
    "methods": lambda thing: thing.__enter__(),
    "call a method": lambda thing: thing.__iadd__(1),
    "__setattr__": lambda thing: setattr(thing, "value", 3),
    "__setitem__": lambda thing: thing.__setitem__(0, 1),
    "__delattr__": lambda thing: delattr(thing, "value"),
}


@pytest.mark.parametrize("instead", AT_ONCE)
def test_what_cannot_be_awaited_says_what_can(use, instead):
    async def act(client, thing):
        with pytest.raises(RuntimeError, match=f"event loop would have to wait.*{instead}"):
            AT_ONCE[instead](thing)
        with pytest.raises(RuntimeError, match=re.escape("await client.set_item(name, value)")):
            client["name"] = 3

    use(act)


def test_special_methods_are_awaited_on_demand(use, server):
    server["numbers"] = numbers = [1, 2, 3]

    async def act(client, thing):
        far = await client.send("get_item", {"name": "numbers"}, "proxy")
        assert await far.__len__(_sync="async") == 3
        assert await far.__contains__(2, _sync="async") is True
        assert await far.__eq__([1, 2, 3], _sync="async") is True
        await far.__setitem__(0, 9, _sync="async")
        assert await far[0] == 9
        await thing.__setattr__("value", 5, _sync="async")
        assert await thing.value._get_value() == 5
        assert await (far * 2) == [9, 2, 3, 9, 2, 3]
        far.__setitem__(1, 8, _sync="off")
        assert await far[1] == 8

    use(act)
    assert numbers == [9, 8, 3]


def test_to_wait_is_a_choice_too(use):
    async def act(client, thing):
        assert thing.add(1, 2, _sync="sync") == 3
        assert thing.__len__ is not None
        assert hasattr(thing, "value")
        assert not hasattr(thing, "nothing")
        assert "add" in dir(thing)
        assert thing.add(1, 2).result(10) == 3

    use(act)


def test_it_takes_the_place_of_the_thread_s_client(run, address):
    plain = RPCClient(address)
    thing = plain["thing"]
    assert thing.add(1, 2) == 3

    async def main():
        async with AsyncClient(address):
            assert await thing.add(1, 2) == 3
            assert isinstance(RPCClient.get_client(address), LoopClient)
            async with AsyncClient(address):
                assert await thing.add(1, 2) == 3
            assert await thing.add(1, 2) == 3
        assert RPCClient.get_client(address) is plain

    run(main())
    assert thing.add(1, 2) == 3


def test_it_is_made_where_an_event_loop_runs(address):
    with pytest.raises(RuntimeError, match="made in a coroutine"):
        AsyncClient(address)


def test_another_thread_has_another_client(use):
    async def act(client, thing):
        assert await asyncio.to_thread(thing.add, 1, 2) == 3
        with pytest.raises(RuntimeError, match="belongs to another thread"):
            await asyncio.to_thread(client.ping)

    use(act)


def test_what_is_left_open_when_the_loop_ends_does_no_harm(run, address):
    kept = []

    async def main():
        kept.append(AsyncClient(address))
        kept.append(await kept[0]["thing"])
        assert await kept[1].add(1, 2) == 3
        assert await kept[1].add(1, 2) == 3

    run(main())
    assert kept[1].add(1, 2) == 3  # waits, as elsewhere
    assert kept[1].add(1, 2, _sync="async").result(10) == 3
    kept[0].close()


def test_it_is_named_in_messages(use, address):
    async def act(client, thing):
        assert repr(client) == f"<AsyncClient of {address}, open>"

    use(act)


@pytest.mark.parametrize("where", ["ipc://{}/socket", "inproc://async-thing"])
def test_other_roads(run, tmp_path, where):
    server = RPCServer(where.format(tmp_path))
    server["thing"] = Thing()
    thread = threading.Thread(target=server.run_forever)
    thread.start()

    async def main():
        async with AsyncClient(server.address) as client:
            thing = await client["thing"]
            assert await asyncio.gather(*(thing.add(i, 1) for i in range(9))) == [*range(1, 10)]
            await client.close_server(timeout=10)

    run(main())
    thread.join(10)


def test_over_zmq_alone(run, address, monkeypatch):
    from pyacq_rpc.peers.runtime import current

    monkeypatch.setattr(current(), "direct", False)

    async def main():
        async with AsyncClient(address) as client:
            thing = await client["thing"]
            assert await asyncio.gather(*(thing.add(i, 1) for i in range(300))) == [*range(1, 301)]
            for i in range(50):
                assert await thing.add(i, 1) == i + 1

    run(main())


def test_json(run, address):
    async def main():
        async with AsyncClient(address, serializer="json") as client:
            assert await (await client["thing"]).add(1, 2) == 3

    run(main())


def test_the_loop_goes_on_with_many_calls_in_flight(use):
    async def act(client, thing):
        gaps = []

        async def tick():
            last = time.monotonic()
            while True:
                await asyncio.sleep(0.01)
                gaps.append(time.monotonic() - last)
                last = time.monotonic()

        ticking = asyncio.create_task(tick())
        batches, stop = 0, time.monotonic() + 1.0
        while batches < 10 or time.monotonic() < stop:
            await asyncio.gather(*(thing.add(1, 2) for _ in range(200)))
            batches += 1
        ticking.cancel()
        await asyncio.wait([ticking])
        assert len(gaps) >= 3
        assert max(gaps) < 10.0

    use(act)
