"""What can be done with a promise: within its block, and afterwards."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from conftest import eventually
from things import Thing

from pyacq_rpc import Future, ObjectProxy, Promise, RPCClient, SerializationError


@pytest.fixture
def there(server, thing):
    """The thing itself."""
    return server["thing"]


class TestInTheBlock:
    def test_calls_attributes_items_and_operators_are_promises(self, client, thing):
        with client.batch():
            made = thing.make()
            made.value = 5
            total = made.add([1], [2])
            promises = {
                "call": total,
                "attribute": made.value,
                "item": total[0],
                "operator": made.value * 2,
                "reflected": 10 - made.value,
                "unary": -made.value,
                "comparison": made.value == 5,
                "other": made.value != 5,
            }
        assert {type(promise) for promise in promises.values()} == {Promise}
        assert {name: promise.result() for name, promise in promises.items()} == {
            "call": [1, 2],
            "attribute": 5,
            "item": 1,
            "operator": 10,
            "reflected": 5,
            "unary": -5,
            "comparison": True,
            "other": False,
        }

    def test_they_are_arguments(self, client, thing):
        with client.batch():
            one, two = thing.add(0, 1), thing.add(0, 2)
            total = thing.add(one, b=two)
            nested = thing.echo([one, {"two": two, one: (one, {two})}])
        assert total.result() == 3
        assert nested.result() == [1, {"two": 2, 1: (1, {2})}]

    def test_an_argument_is_the_object_itself(self, client, thing, there):
        with client.batch():
            made = thing.make()
            thing.keep(made)
            same = thing.call(client._import("operator").is_, made, thing.kept)
        assert same.result() is True
        assert isinstance(there.kept, Thing)

    def test_an_attribute_that_is_held_is_fetched_as_it_was_there(self, client, thing):
        with client.batch():
            made = thing.make()
            before = made.value
            made.value = 1
            between = made.value
            passed = thing.echo(between)
            made.value = 2
        assert [p.result() for p in (before, between, passed)] == [0, 1, 1]

    def test_one_that_was_a_step_only_is_not(self, client, thing):
        with client.batch():
            made = thing.make()
            step = made.gate
            is_set = step.is_set()
        assert is_set.result() is False
        with pytest.raises(RuntimeError, match="gate was used on the way only"):
            step.result()

    def test_it_can_be_fetched_all_the_same(self, client, thing):
        with client.batch():
            step = thing.make().gate
            gate, is_set = step._undefer(), step.is_set()
        assert isinstance(gate.result(), ObjectProxy)
        assert is_set.result() is False

    def test_values_and_notifications(self, client, thing):
        with client.batch():
            made = thing.make(_return_type="proxy")
            made.note._notify(1, 2, 3)
            log = made.log._get_value()
        assert log.result() == [1]

    def test_numpy_leaves_operators_to_them(self, client, thing):
        with client.batch():
            total = np.arange(3) + thing.add(1, 1)
        assert total.result().tolist() == [2, 3, 4]

    def test_items_are_set_and_deleted(self, client, thing):
        with client.batch():
            numbers = thing.echo([1, 2, 3])
            numbers[0] = 7
            del numbers[1]
            again = numbers.copy()
        assert again.result() == [7, 3]

    def test_names_of_futures_are_reached_all_the_same(self, client, thing):
        with client.batch():
            future = client._import("concurrent.futures").Future()
            future._attribute("set_result")(5)
            there, name = future._attribute("result")(), "done"
            done = future._attribute(name)()
        assert (there.result(), done.result()) == (5, True)

    def test_what_they_have_as_coroutines_is_the_objects_before_they_are_sent(self, client):
        io = client._import("io")
        with client.batch():
            file = io.StringIO("text")
            file.close()
            closed = file.closed
        assert closed.result() is True
        assert file.close() is None  # waits no more

    def test_comparisons_are_promises_that_are_true_or_not(self, client, thing):
        with client.batch():
            less, equal = thing.value < 3, thing.value == 3
            assert isinstance(less, Promise)
            if equal:
                raise AssertionError
        assert (less.result(), equal.result()) == (True, False)

    def test_special_methods_by_name_take_sync(self, client, thing):
        with client.batch():
            length = thing.echo([1, 2]).__len__(_sync="async")
            thing.__setattr__("value", 7, _sync="sync")
            assert thing.value._get_value(_sync="sync") == 7
        assert length.result() == 2

    def test_who_calls_by_way_of_the_client_can_have_them(self, client, thing):
        with client.batch():
            made = thing.make()
            called = client.call_obj(made.add, (1, 2))
            got = client.get_obj(made.value)
            put = client.transfer(made)
        assert (called.result(), got.result()) == (3, 0)
        assert isinstance(put.result(), ObjectProxy)

    def test_what_only_proxies_have_they_do_not(self, client, thing):
        with client.batch():
            made = thing.make()
            for name in ("_delete", "_obj_id", "_repr_html_", "__array__"):
                with pytest.raises(AttributeError, match="does not forward"):
                    getattr(made, name)

    def test_their_representation_is_local(self, client, thing):
        with client.batch():
            made = thing.make()
            assert "state=pending" in repr(made)
            assert f"{made}" == str(made)
            assert "result" in dir(made)


class TestWhatIsAnsweredAtOnce:
    def test_it_sends_what_there_is(self, client, thing):
        with client.batch():
            assert len(thing.echo([1, 2])) == 2
            assert bool(thing.echo([])) is False
            assert 1 in thing.echo([1])
            assert list(thing.echo([1, 2])) == [1, 2]
            assert int(thing.echo("5")) == 5
            assert f"{thing.add(1, 1):03}" == "002"
            assert hasattr(thing.make(), "value")
            assert not hasattr(thing.make(), "valeu")
            if thing.add(1, 1) == 3:
                raise AssertionError

    def test_what_came_as_a_proxy_goes_on(self, client, thing):
        with client.batch():
            made = thing.make()
            made.value += 1
            made.value += 1
            value, passed = made.value, thing.echo(made)
            with made.gate._undefer()._attribute("_cond"):
                pass
        assert value.result() == 2
        assert passed.result() == made.result()

    def test_what_came_as_a_value_is_a_value(self, client, thing):
        with client.batch():
            value = thing.add(1, 2)
            thing.notes(_sync="sync")
            assert value.result() == int(value) == 3
            with pytest.raises(RuntimeError, match=r"use its \.result"):
                value + 1
            with pytest.raises(SerializationError, match=r"use its \.result"):
                thing.echo(value)

    def test_what_getattr_returns_is_there(self, client, thing):
        with client.batch():
            value = getattr(thing.make(), "val" + "ue")
            assert value.result() == 0


class TestAfterwards:
    @pytest.fixture
    def promise(self, client, thing):
        with client.batch():
            promise = thing.add(1, 2)
        assert promise.result() == 3
        return promise

    def test_it_is_a_future(self, promise):
        assert isinstance(promise, Future)
        assert promise.done()
        assert concurrent.futures.wait([promise], 5).done == {promise}
        assert list(concurrent.futures.as_completed([promise], 5)) == [promise]
        called = []
        promise.add_done_callback(called.append)
        assert called == [promise]
        assert promise

    def test_it_equals_itself_only(self, promise, client, thing):
        with client.batch():
            other = thing.add(1, 2)
        assert promise == promise
        assert promise != other
        assert promise != 3
        assert len({promise, other}) == 2

    @pytest.mark.parametrize(
        "use",
        [
            lambda promise: promise(),
            lambda promise: promise[0],
            lambda promise: promise + 1,
            lambda promise: len(promise),
            lambda promise: iter(promise),
            lambda promise: setattr(promise, "x", 1),
            lambda promise: promise._undefer(),
        ],
    )
    def test_it_is_no_proxy(self, promise, use):
        with pytest.raises(RuntimeError, match=r"is a plain future by now: use its \.result\(\)"):
            use(promise)

    def test_it_has_no_attributes(self, promise):
        assert not hasattr(promise, "real")
        with pytest.raises(AttributeError, match=r"use its \.result.*'real'"):
            promise.real  # noqa: B018

    def test_it_is_no_argument(self, promise, client, thing, other_thing):
        for call in (thing.echo, other_thing.echo):
            with pytest.raises(SerializationError, match="within its own batch only"):
                call(promise)
        with client.batch(), pytest.raises(SerializationError, match="of another batch"):
            thing.echo([promise])

    def test_it_can_be_awaited(self, promise, client, thing):
        async def both():
            with client.batch():
                other = thing.add(2, 2)
            return await promise, await other

        assert asyncio.run(both()) == (3, 4)

    def test_tasks_can_be_made_of_them(self, client, thing):
        async def all_of_them():
            with client.batch():
                first, second, third = (thing.add(i, 1) for i in range(3))
            task = asyncio.create_task(first)
            await third.settled()
            return [await task, *await asyncio.gather(second, third)]

        assert asyncio.run(all_of_them()) == [1, 2, 3]

    def test_it_is_neither_copied_forever_nor_pickled(self, promise):
        copy.copy(promise)
        with pytest.raises((TypeError, AttributeError)):
            pickle.dumps(promise)

    def test_timeouts_are_those_of_results(self, server, client, thing):
        with client.batch():
            promise = thing.wait()
        with pytest.raises(TimeoutError):
            promise.result(0.01)
        server["thing"].gate.set()
        assert promise.result(10)

    def test_other_threads_may_wait_for_it(self, client, thing):
        with client.batch():
            promise = thing.add(1, 2)
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(promise.result, 10).result(10) == 3

    def test_it_completes_by_itself(self, client, thing):
        seen = []
        with client.batch():
            promise = thing.add(1, 2)
            promise.add_done_callback(lambda done: seen.append(done.result()))
        assert eventually(lambda: seen == [3])


class TestMisuse:
    def test_waiting_within_the_block_is_refused(self, client, thing):
        with client.batch():
            promise, attribute = thing.add(1, 2), thing.make().value
            for wait in (promise.result, promise.exception, attribute.result):
                with pytest.raises(RuntimeError, match="has not been sent yet"):
                    wait()
            with pytest.raises(RuntimeError, match="has not been sent yet"):
                promise.__await__()
            assert not promise.done()

    def test_other_threads_cannot_use_it_before(self, client, thing):
        with client.batch(), concurrent.futures.ThreadPoolExecutor(1) as pool:
            made = thing.make()
            with pytest.raises(RuntimeError, match="by its thread"):
                pool.submit(made).result(10)

    def test_another_server_cannot_have_it(self, client, thing, other_thing):
        with client.batch():
            made = thing.make()
            with pytest.raises(SerializationError, match="within its own batch only"):
                other_thing.echo(made)
            other = RPCClient.get_client(other_thing._rpc_addr)
            with other.batch(), pytest.raises(SerializationError, match="of another batch"):
                other_thing.echo(made)

    def test_it_is_made_by_a_batch(self):
        promise = Promise.__new__(Promise)
        with pytest.raises(AttributeError):
            promise.value  # noqa: B018
        with pytest.raises(RuntimeError, match="is made by a call in a batch"):
            promise()


class TestCancelling:
    def test_within_the_block_it_leaves_the_call_out_and_what_needs_it(self, client, thing):
        with client.batch():
            first = thing.make()
            second = first.add(1, 2)
            noted = thing.note(1)
            assert first.cancel()
        assert second.cancelled()
        assert noted.result() is None
        with pytest.raises(concurrent.futures.CancelledError):
            first.result()

    def test_it_cannot_be_used_then(self, client, thing):
        with client.batch():
            made, value = thing.make(), thing.make().value
            assert made.cancel()
            assert value.cancel()
            for promise in (made, value):
                with pytest.raises(RuntimeError, match="was cancelled"):
                    promise(1, 2)

    def test_later_it_drops_the_answer(self, server, client, thing):
        with client.batch():
            busy, made = thing.wait(), thing.make()
        assert made.cancel()
        server["thing"].gate.set()
        assert busy.result(10)
        assert made.cancelled()


def test_what_nobody_holds_any_more_does_not_travel(client, server, thing):
    """Neither does it make a proxy: no reference is made over there."""
    before = len(server.table)
    with client.batch():
        value = thing.make().me().make().add(1, 2)
    assert value.result() == 3
    assert len(server.table) == before


def test_the_batch_keeps_no_promise(client, thing):
    with client.batch() as batch:
        promise = thing.make()
    promise.result()
    seen = weakref.ref(promise)
    del promise
    assert eventually(lambda: gc.collect() >= 0 and seen() is None)
    assert "sent" in repr(batch)
