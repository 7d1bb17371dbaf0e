"""Hooks and counters take each request of a batch for a call, and the batch for nothing."""

from __future__ import annotations

import concurrent.futures
import itertools

import pytest
from blocks import whole_block_raises
from conftest import eventually
from observing import adds_up

from pyacq_rpc import RPCClient, add_hook


class TestOutgoing:
    def test_each_call_begins_in_the_block_and_ends_with_the_answer(self, client, thing, going_out):
        with client.batch():
            made = thing.make()
            total = made.add(1, 2)
            assert going_out.about() == ["Thing.make", "promise.add"]
            assert going_out.ended == []
        assert total.result(10) == 3
        assert going_out.errors() == []
        assert [call for call, _ in going_out.ended] == going_out.begun
        assert {call.sync for call in going_out.begun} == {"async"}

    def test_they_are_told_before_anybody_sees_the_result(self, client, thing, going_out):
        seen = []
        with client.batch():
            total = thing.add(1, 2)
            total.add_done_callback(lambda future: seen.append(len(going_out.ended)))
        assert total.result(10) == 3
        assert eventually(lambda: seen == [1])

    def test_an_attribute_begins_when_it_is_to_be_fetched(self, client, thing, going_out):
        with client.batch():
            value = thing.make().value
            assert going_out.about() == ["Thing.make"]
        assert value.result(10) == 0
        assert going_out.about() == ["Thing.make", "promise.value"]

    def test_statements_and_what_nobody_holds(self, client, thing, going_out):
        with client.batch():
            thing.value = 5
            thing.note("x")
        assert going_out.about() == ["Thing.__setattr__", "Thing.note"]
        assert [error for _, error in going_out.ended] == [None, None]

    def test_off_ends_when_the_batch_has_been_sent(self, server, client, thing, going_out):
        with client.batch():
            waiting = thing.wait()
            thing.fail("unheard", _sync="off")
        ((call, error),) = going_out.ended
        assert (call.sync, error) == ("off", None)
        server["thing"].gate.set()
        assert waiting.result(10)

    def test_errors_are_told(self, client, thing, going_out):
        with client.batch():
            failed = thing.fail("of old age")
            further = failed.anything()
        assert isinstance(further.exception(10), ValueError)
        assert failed.done()
        assert sorted(going_out.errors()) == [
            ("Thing.fail", "ValueError"),
            ("promise.anything", "ValueError"),
        ]

    def test_what_is_asked_for_at_once_ends_there(self, client, thing, going_out):
        with client.batch():
            thing.note(1)
            assert thing.add(1, 2, _sync="sync") == 3
            assert [error for _, error in going_out.ended] == [None, None]
        assert [call.sync for call in going_out.begun] == ["async", "sync"]

    def test_what_is_dropped_or_cancelled_was_cancelled(self, client, thing, going_out):
        with client.batch():
            thing.add(1, 1).cancel()
        with whole_block_raises(ZeroDivisionError), client.batch():
            thing.note(2)
            1 / 0  # noqa: B018
        assert going_out.errors() == [
            ("Thing.add", "CancelledError"),
            ("Thing.note", "CancelledError"),
        ]

    def test_what_cannot_be_written_has_failed(self, client, thing, other_thing, going_out):
        with client.batch():
            promise = thing.make()
            with pytest.raises(TypeError):
                other_thing.echo(promise)
        assert "SerializationError" in dict(going_out.errors()).values()

    def test_a_dead_server_ends_them(self, server, client, thing, going_out):
        with client.batch():
            waiting = thing.wait()
        client.close()
        assert waiting.exception(10)
        assert going_out.errors() == [("Thing.wait", "ServerDisconnected")]
        server["thing"].gate.set()

    def test_what_a_hook_asks_for_is_no_part_of_the_batch(self, client, thing):
        def note(call):
            thing.note(call.about, _sync="sync")

        with add_hook(outgoing=note), client.batch():
            made = thing.make()
            total = made.add(1, 2)
        assert total.result(10) == 3
        assert thing.notes() == ["Thing.make", "promise.add"]

    def test_once_each_when_many_threads_use_batches(self, server, thing, going_out):
        def work():
            client = RPCClient(server.address)
            with client.batch():
                held = [client["thing"].add(i, 1) for i in range(20)]
            assert [future.result(20) for future in held] == list(range(1, 21))
            client.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(work) for _ in range(8)]:
                done.result(60)
        assert len(going_out.ended) == len(going_out.begun) == 8 * 40


class TestIncoming:
    def test_each_request_with_its_context(self, client, thing, coming_in):
        numbers = itertools.count()

        def number(call):
            call.context["number"] = str(next(numbers))

        with add_hook(outgoing=number), client.batch():
            made = thing.make()
            total = made.add(1, 2)
        assert total.result(10) == 3
        assert coming_in.about() == ["thing.make", "Thing.add"]
        assert [call.context for call in coming_in.begun] == [{"number": "0"}, {"number": "1"}]
        assert [error for _, error in coming_in.ended] == [None, None]

    def test_failures_and_what_needs_them(self, client, thing, coming_in):
        with client.batch():
            failed = thing.fail("of old age")
            further = failed.anything()
        assert isinstance(further.exception(10), ValueError)
        assert failed.done()
        assert [about for about, _ in coming_in.errors()] == ["thing.fail", "call_obj"]


class TestCounters:
    def test_the_clients(self, client, thing):
        before = client.stats()
        with client.batch():
            held = [thing.add(1, 1), thing.fail("x"), thing.make()]
            thing.note(1, _sync="off")
        concurrent.futures.wait(held, 10)
        after = client.stats()
        assert adds_up(client._conversation)
        assert after.sent - before.sent == 4
        assert after.answered - before.answered == 2
        assert after.failed - before.failed == 1
        assert after.off - before.off == 1

    def test_what_is_on_its_way(self, server, client, thing):
        with client.batch():
            held = [thing.wait(), thing.add(1, 1)]
        stats = client.stats()
        assert stats.in_flight == 2
        assert adds_up(client._conversation)
        server["thing"].gate.set()
        concurrent.futures.wait(held, 10)
        assert client.stats().in_flight == 0

    def test_what_is_lost_with_the_server(self, server, client, thing):
        with client.batch():
            held = [thing.wait(), thing.add(1, 1)]
        client.close()
        concurrent.futures.wait(held, 10)
        stats = client.stats()
        assert stats.failed == 2
        assert adds_up(client._conversation)
        server["thing"].gate.set()

    def test_the_servers(self, server, client, thing):
        before = server.stats()
        with client.batch():
            held = [thing.add(1, 1), thing.fail("x"), thing.fail("y").more()]
        concurrent.futures.wait(held, 10)
        after = server.stats()
        assert after.done - before.done == 1
        assert after.failed - before.failed == 3
        assert after.in_flight == 0
