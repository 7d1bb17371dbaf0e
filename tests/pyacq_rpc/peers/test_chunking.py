"""How items are put into answers: by their size, by time, and by the limits of the server."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest
from conftest import eventually

from pyacq_rpc import LimitExceeded, Limits, RPCClient, RPCServer
from pyacq_rpc.peers import chunking

from .iterating import Source


@contextlib.contextmanager
def served(**limits):
    """A source and its proxy, of a server with these limits."""
    server = RPCServer(limits=Limits(**limits))
    server["source"] = source = Source()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    try:
        yield source, RPCClient(server.address)["source"]
    finally:
        server.close()
        thread.join(10)


@pytest.fixture
def sizes(server, source, monkeypatch):
    """How many items are in each answer, as they are sent."""
    found = []
    finish = chunking.Chunk.finish

    def note(self, rest):
        found.append(len(self._packing.parts))
        return finish(self, rest)

    monkeypatch.setattr(chunking.Chunk, "finish", note)
    return found


class TestSizes:
    def test_small_items_go_together(self, sizes, client, unhurried):
        assert list(client.transfer(range(300), return_type="proxy")) == list(range(300))
        assert max(sizes) == 100
        assert min(sizes[:-1]) >= 50

    def test_large_ones_do_not(self, sizes, there, unhurried):
        assert len(list(there.one_array_for_all(5, 50_000))) == 5
        assert sizes == [0, 1, 1, 1, 1, 1, 0]

    def test_a_quarter_of_a_megabyte_does(self, sizes, there, unhurried):
        texts = ["x" * 100_000] * 10
        there.texts = texts
        assert list(there.texts) == texts
        assert sizes == [3, 3, 3, 1]

    def test_slow_ones_go_one_by_one(self, sizes, source, there, monkeypatch):
        monkeypatch.setattr(chunking, "LONGEST", 0.0)
        assert list(there.numbers(5)) == list(range(5))
        assert sizes == [0, 1, 1, 1, 1, 1, 0]


class TestWhatWaitsForTheNextOne:
    def test_is_sent(self, source, there):
        items = there.two_then_wait()._iterate()
        begun = time.monotonic()
        assert [next(items), next(items)] == [1, 2]
        assert time.monotonic() - begun < 10  # of the 20 s for which the third one waits
        assert not source.gate.is_set()
        source.gate.set()
        assert list(items) == [3]

    def test_together_with_what_it_refers_to(self, server, source, there, client):
        before = len(server.table)
        names = client.transfer({"source": there, "Event": threading.Event})
        code = "def things():\n yield Event()\n yield from source.two_then_wait()"
        client._import("builtins").exec(code, names)
        items = iter(names["things"]())
        event = next(items)
        event.set()
        assert [next(items), next(items)] == [1, 2]
        source.gate.set()
        assert list(items) == [3]
        assert event.is_set()
        del event, items, names
        assert eventually(lambda: len(server.table) == before)

    def test_of_many_at_once(self, source, there):
        several = [there.two_then_wait() for _ in range(3)]
        threading.Timer(0.3, source.gate.set).start()
        assert [list(items) for items in several] == [[1, 2, 3]] * 3


class TestLimits:
    def test_a_chunk_is_divided(self):
        with served(message=1 << 16) as (source, there):
            source.texts = ["x" * 20_000] * 10
            assert list(there.texts) == ["x" * 20_000] * 10

    def test_by_its_frames_too(self):
        with served(frames=4) as (_, there):
            arrays = list(there.one_array_for_all(10, 1000))
            assert [array[0] for array in arrays] == list(range(10))

    def test_what_is_too_large_is_told_at_its_place_and_left_out(self):
        with served(message=1 << 16) as (source, there):
            source.texts = ["a", "b" * 100_000, "c"]
            items = iter(there.texts)
            assert next(items) == "a"
            with pytest.raises(LimitExceeded, match=r"an item has \d+ bytes, and the server takes"):
                next(items)
            assert list(items) == ["c"]

    def test_so_is_what_may_not_be_held(self):
        with served(leases=6) as (_, there):
            items = iter(there.objects(10))
            held = [next(items)]
            with pytest.raises(LimitExceeded, match="holds 6 references"):
                held.extend(items)
            assert 1 < len(held) < 6
            held.clear()
            assert eventually(lambda: there._link.client().channel.holder.live_leases() < 4)
            assert not next(items).is_set()

    def test_a_large_array_is_one_item(self):
        with served() as (source, there):
            source.arrays = [np.arange(1_000_000), np.arange(3)]
            assert list(map(len, there.arrays)) == [1_000_000, 3]


def test_a_client_that_has_gone_is_not_answered(server, source):
    """It asked, and went while the item was produced."""

    def use():
        client = RPCClient(server.address)
        items = iter(client["source"].two_then_wait())
        next(items), next(items)
        client.close()

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    source.gate.set()
    assert RPCClient(server.address).ping() == "pong"
