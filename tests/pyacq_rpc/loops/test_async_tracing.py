"""Hooks and counters of calls that are awaited, and of those that run as tasks."""

from __future__ import annotations

import asyncio

import pytest
from conftest import eventually
from observing import Recorder, adds_up

from pyacq_rpc import AsyncClient, CallTimeout, RPCClient, add_hook


@pytest.fixture
def thing(async_server):
    return RPCClient(async_server.address)["thing"]


class TestOutgoing:
    @pytest.fixture
    def use(self, run, async_server):
        """Run a coroutine with an open client, a thing of its server, and what is told of both."""

        def use(act):
            async def main():
                async with AsyncClient(async_server.address) as client:
                    thing = await client["thing"]
                    recorder = Recorder()
                    with add_hook(outgoing=recorder):
                        return await act(client, thing, recorder)

            return run(main())

        return use

    def test_awaited_calls(self, use):
        async def act(client, thing, told):
            future = thing.nap(0.01)
            assert [call.sync for call in told.begun] == ["async"]
            assert told.ended == []
            assert await future == 0.01
            assert [error for _, error in told.ended] == [None]
            assert thing.add(1, 2, _sync="sync") == 3
            thing.note(1, _sync="off")
            assert [call.sync for call in told.begun] == ["async", "sync", "off"]
            assert len(told.ended) == 3

        use(act)

    def test_what_is_late_or_cancelled(self, use):
        async def act(client, thing, told):
            with pytest.raises(CallTimeout):
                await thing.nap(60, _timeout=0.05)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(thing.nap(60), 0.05)
            assert told.errors() == [
                ("AsyncThing.nap", "CallTimeout"),
                ("AsyncThing.nap", "CancelledError"),
            ]

        use(act)

    def test_what_is_refused_begins_no_call(self, use):
        async def act(client, thing, told):
            with pytest.raises(RuntimeError):
                len(thing)
            assert told.begun == []

        use(act)

    def test_counters(self, use):
        async def act(client, thing, told):
            before = client.stats()
            await asyncio.gather(*(thing.echo(b"x" * 10_000) for _ in range(10)))
            with pytest.raises(CallTimeout):
                await thing.nap(60, _timeout=0.05)
            stats = client.stats()
            assert stats.answered - before.answered == 10
            for name in ("bytes_sent", "bytes_received"):
                assert 100_000 < getattr(stats, name) - getattr(before, name) < 105_000
            assert stats.timed_out - before.timed_out == 1
            assert adds_up(client._client._conversation)
            over_there = await client.server_stats(10)
            assert over_there.in_flight == 1
            assert await client.keys() == ["thing"]

        use(act)


class TestIncoming:
    def test_it_ends_when_the_task_does(self, async_server, thing, coming_in):
        future = thing.nap(60, _sync="async")
        assert eventually(lambda: async_server.thing.running == 1)
        assert [call.about for call in coming_in.begun] == ["thing.nap"]
        assert coming_in.ended == []
        assert async_server.stats().in_flight == 1
        assert future.cancel()
        assert eventually(lambda: coming_in.errors() == [("thing.nap", "CancelledError")])
        assert eventually(lambda: async_server.stats().in_flight == 0)

    def test_before_the_answer_is_sent(self, thing, coming_in):
        assert thing.nap(0.01) == 0.01
        assert coming_in.ended[-1][0].about == "thing.nap"

    def test_what_is_raised(self, async_server, thing, coming_in):
        before = async_server.stats()
        with pytest.raises(ValueError, match="too dark"):
            thing.fail_later("too dark")
        assert coming_in.errors() == [("thing.fail_later", "ValueError")]
        after = async_server.stats()
        assert (after.failed - before.failed, after.done - before.done) == (1, 0)

    def test_many_at_once_end_once_each(self, async_server, thing, coming_in):
        before = async_server.stats()
        futures = [thing.nap(0.01, _sync="async") for _ in range(50)]
        assert [future.result(20) for future in futures] == [0.01] * 50
        assert [about for about, _ in coming_in.errors()] == []
        assert sum(call.about == "thing.nap" for call, _ in coming_in.ended) == 50
        assert async_server.stats().done - before.done == 50

    def test_a_client_that_goes(self, async_server, coming_in):
        client = RPCClient(async_server.address)
        client["thing"].nap(60, _sync="async")
        assert eventually(lambda: async_server.thing.running == 1)
        client.close()
        assert eventually(lambda: coming_in.errors() == [("thing.nap", "CancelledError")])
        assert eventually(lambda: async_server.stats().in_flight == 0)

    def test_a_server_that_is_closed(self, async_server, thing, coming_in):
        thing.nap(60, _sync="async")
        assert eventually(lambda: async_server.thing.running == 1)
        async_server.interrupt()
        assert eventually(lambda: coming_in.errors() == [("thing.nap", "KeyboardInterrupt")])


class TestBatches:
    def test_what_is_no_coroutine_is_carried_out(self, async_server, thing):
        with RPCClient.get_client(async_server.address).batch():
            total = thing.add(1, 2) + 3
        assert total.result(10) == 6

    @pytest.mark.parametrize("method", ["begin", "future"])
    def test_a_coroutine_is_refused_and_the_rest_goes_on(self, async_server, thing, method):
        with RPCClient.get_client(async_server.address).batch():
            late = getattr(thing, method)
            late = late(1) if method == "begin" else late()
            further = late.real
            total = thing.add(1, 2)
        assert "cannot be part of a batch" in str(late.exception(10))
        assert isinstance(further.exception(10), TypeError)
        assert total.result(10) == 3
        assert async_server.thing.log == []
        assert async_server.stats().in_flight == 0
