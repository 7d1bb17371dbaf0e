"""Iterating over what a server holds: order, prefetch, back-pressure, ends and errors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from pyacq_rpc import CallTimeout, ObjectProxy, RPCClient, SerializationError
from pyacq_rpc.session.remote_iterator import RemoteIterator


class TestItems:
    @pytest.mark.parametrize("count", [0, 1, 2, 99, 100, 101, 1000])
    @pytest.mark.parametrize("prefetch", [0, 1, 2, 7, 100])
    def test_all_come_in_order(self, there, count, prefetch):
        items = there.numbers(count)._iterate(prefetch)
        assert isinstance(items, RemoteIterator)
        assert list(items) == list(range(count))
        assert list(items) == []

    def test_of_everything_that_is_iterable(self, client):
        for things in ([1, 2], (1, 2), {1: 2}, {1, 2}, "ab", b"ab", range(1000), []):
            assert list(client.transfer(things)) == list(things)
        assert list(reversed(client.transfer([1, 2, 3]))) == [3, 2, 1]
        rows = list(client.transfer(np.arange(6).reshape(3, 2)))
        assert [row.tolist() for row in rows] == [[0, 1], [2, 3], [4, 5]]

    def test_of_a_file(self, client, tmp_path):
        lines = [f"line {n}\n" for n in range(500)]
        (tmp_path / "file").write_text("".join(lines))
        with client._import("builtins").open(str(tmp_path / "file")) as file:
            assert list(file) == lines
            assert list(file) == []
            file.seek(0)
            assert next(file) == lines[0]
            assert next(iter(file)) == lines[1]

    def test_without_value_form_come_by_proxy(self, there, client):
        made = client._import("builtins").map(client._import("threading").Event, [])
        assert list(made) == []
        events = client._import("builtins").eval("(__import__('threading').Event() for _ in '12')")
        for event in events:
            assert isinstance(event, ObjectProxy)
            assert not event.is_set()

    def test_how_they_come_can_be_told(self, client):
        numbers = client.transfer([1, object()])
        one, _ = numbers._iterate(return_type="proxy")
        assert isinstance(one, ObjectProxy)
        assert one + 1 == 2
        values = numbers._iterate(return_type="value")
        assert next(values) == 1
        with pytest.raises(SerializationError):
            next(values)
        assert list(values) == []

    def test_a_short_list_is_one_round_trip(self, source, client, unhurried):
        things = client.transfer([1, 2, 3])
        source.requests.clear()
        assert [thing for thing in things] == [1, 2, 3]  # noqa: C416  # list() asks for the length
        assert source.requests == ["iterate"]

    def test_very_many_are_few_messages(self, source, client, unhurried):
        count = 20_000
        things = client.transfer(range(count), return_type="proxy")
        source.requests.clear()
        assert sum(things) == sum(range(count))
        assert len(source.requests) <= 420

    def test_each_is_as_it_was_when_it_was_produced(self, there):
        assert [item["number"] for item in there.one_object_for_all(300)] == list(range(300))

    @pytest.mark.parametrize("size", [10, 1000, 50_000])
    def test_so_is_an_array(self, there, size):
        arrays = list(there.one_array_for_all(30, size))
        assert [array[[0, -1]].tolist() for array in arrays] == [[n, n] for n in range(30)]
        assert all(array.flags.writeable for array in arrays)

    def test_what_comes_after_some_is_not_waited_for(self, source, there):
        items = there.two_then_wait()._iterate(timeout=5)
        assert [next(items), next(items)] == [1, 2]
        assert not source.gate.is_set()
        source.gate.set()
        assert list(items) == [3]

    def test_in_json(self, source, server):
        client = RPCClient(server.address, serializer="json")
        there = client["source"]
        assert list(there.numbers(250)) == list(range(250))
        assert [item["number"] for item in there.one_object_for_all(5)] == list(range(5))

    def test_what_a_generator_returns(self, client):
        def outer():
            found.append((yield from inner))

        found = []
        names = client.transfer({})
        client._import("builtins").exec("def numbers():\n yield 1\n return 'all'", names)
        inner = names["numbers"]()
        assert list(outer()) == [1]
        assert found == ["all"]


class TestBackPressure:
    @pytest.mark.parametrize("prefetch", [0, 1, 2, 10, 100])
    def test_the_producer_is_never_further_ahead(self, source, there, client, unhurried, prefetch):
        items = there.numbers()._iterate(prefetch)
        assert source.produced == 0
        most = 0
        for taken in range(1, 251):
            next(items)
            client.ping()  # what was asked for has been produced then
            most = max(most, source.produced - taken)
            assert source.produced - taken <= prefetch
        # Half of it may be used up before more is asked for, but it is used.
        assert most >= prefetch - 1
        items.close()

    def test_a_consumer_that_stops_stops_the_producer(self, source, there, client):
        items = iter(there.numbers())
        next(items)
        client.ping()
        client.ping()
        assert source.produced <= 101
        items.close()

    def test_without_prefetch_each_is_produced_when_it_is_asked_for(self, source, there, client):
        items = there.numbers()._iterate(prefetch=0)
        for taken in range(1, 5):
            next(items)
            client.ping()
            assert source.produced == taken

    def test_it_can_be_changed(self, source, there, client):
        items = there.numbers()._iterate(prefetch=0)
        next(items)
        items.prefetch = 5
        next(items)
        next(items)
        client.ping()
        assert 3 < source.produced <= 8

    @pytest.mark.parametrize("prefetch", [-1, 10**7])
    def test_out_of_range(self, there, prefetch):
        with pytest.raises(ValueError, match="prefetch is from 0 to"):
            there.numbers()._iterate(prefetch)

    def test_no_number(self, there):
        with pytest.raises(TypeError, match="prefetch is a number of items"):
            there.numbers()._iterate("all")


class TestErrors:
    @pytest.mark.parametrize("count", [0, 1, 5, 100, 101, 350])
    @pytest.mark.parametrize("prefetch", [0, 1, 100])
    def test_come_at_their_place(self, there, count, prefetch):
        items = there.fail_after(count)._iterate(prefetch)
        assert list(itertools.islice(items, count)) == list(range(count))
        with pytest.raises(ValueError, match="no light"):
            next(items)
        assert list(items) == []

    def test_an_iterator_that_goes_on_after_one_does(self, client):
        builtins = client._import("builtins")
        items = iter(builtins.map(builtins.int, ["1", "2", "x", "4"]))
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(ValueError, match="invalid literal"):
            next(items)
        assert list(items) == [4]

    def test_what_cannot_be_sent(self, client):
        loop = []
        loop.append(loop)
        things = client.transfer([])
        things.append(1)
        client._import("builtins").exec(
            "loop = []\nloop.append(loop)\nx += [loop, 2]", {"x": things}
        )
        items = iter(things)
        assert next(items) == 1
        with pytest.raises(SerializationError, match="contains itself"):
            next(items)
        assert list(items) == [2]

    def test_what_is_not_iterable(self, client):
        with pytest.raises(TypeError, match="'int' object is not iterable"):
            iter(client.transfer(5))
        with pytest.raises(TypeError, match="not reversible"):
            reversed(client.transfer({1}))

    def test_a_timeout_loses_nothing(self, source, there):
        items = iter(there.two_then_wait())
        assert [next(items), next(items)] == [1, 2]
        items.patience = lambda: 0.05
        for _ in range(3):
            with pytest.raises(CallTimeout, match="waits for the same one"):
                next(items)
        source.gate.set()
        items.patience = lambda: 10
        assert list(items) == [3]

    def test_how_long_to_wait_can_be_changed(self, source, there):
        numbers = there.two_then_wait()
        items = numbers._iterate(timeout=20)
        next(items), next(items)
        with pytest.raises(CallTimeout):
            next(numbers._iterate(timeout=0.05))
        source.gate.set()
        assert next(numbers._iterate(timeout=20)) == 3

    def test_the_timeout_of_the_client_is_the_default(self, there, client):
        items = iter(there.two_then_wait())
        next(items), next(items)
        client.timeout = 0.05
        with pytest.raises(CallTimeout, match=r"after 0\.05 s"):
            next(items)
        client.timeout = 10
