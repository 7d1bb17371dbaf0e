"""What a block of `RPCClient.batch` does with what is asked for in it."""

from __future__ import annotations

import concurrent.futures
import logging
import threading

import numpy as np
import pytest
from blocks import whole_block_raises
from conftest import settled
from things import Thing

from pyacq_rpc import (
    CallTimeout,
    LimitExceeded,
    Limits,
    RPCClient,
    RPCServer,
    SerializationError,
    ServerDisconnected,
)


@pytest.fixture
def sent(client, monkeypatch):
    """How the client has sent what it was asked for from now on."""
    assert settled(client)
    ways = []
    conversation = type(client.conversation)

    def noting(way):
        function = getattr(conversation, way)

        def run(*args, **kwds):
            ways.append(way)
            return function(*args, **kwds)

        return run

    for way in ("ask", "ask_batch", "call", "tell"):
        monkeypatch.setattr(conversation, way, noting(way))
    return ways


class TestGathering:
    def test_calls_go_in_one_message(self, client, thing, sent):
        with client.batch():
            futures = [thing.add(i, 1) for i in range(50)]
            assert sent == []
        assert sent == ["ask_batch"]
        assert [future.result() for future in futures] == [i + 1 for i in range(50)]
        assert sent == ["ask_batch"]

    def test_a_chain_of_calls_is_one_round_trip(self, client, thing, sent):
        with client.batch():
            value = thing.make().me().add(1, 2)
        assert value.result() == 3
        assert sent == ["ask_batch"]

    def test_they_are_carried_out_in_order(self, client, thing):
        with client.batch():
            for number in range(100):
                thing.note(number, _sync="off" if number % 3 else None)
        assert thing.notes() == list(range(100))

    def test_what_the_client_is_asked_for_goes_along(self, server, client, sent):
        with client.batch():
            math = client._import("math")
            root = math.sqrt(16)
            client["root"] = root
            again = client["root"]
            pong = client.send("ping")
        assert (root.result(), again.result(), pong.result()) == (4, 4, "pong")
        assert server["root"] == 4
        assert sent == ["ask_batch"]

    def test_statements_go_along(self, client, thing, sent):
        thing.make()
        del sent[:]
        with client.batch():
            thing.value = 5
            thing.log[:] = [1, 2]
            del thing.log[0]
            value = thing.value._get_value()
            log = thing.notes()
            del thing.value
        assert (value.result(), log.result()) == (5, [2])
        assert not hasattr(thing, "value")
        assert sent[0] == "ask_batch"

    def test_an_empty_block_sends_nothing(self, client, sent):
        with client.batch():
            pass
        assert sent == []

    def test_arguments_are_taken_as_they_are_at_the_call(self, client, thing):
        numbers, array = [0], np.zeros(10_000)
        with client.batch():
            first, flat = thing.echo(numbers), thing.echo(array)
            numbers.append(1)
            array += 1
            second, one = thing.echo(numbers), thing.echo(array)
        assert (first.result(), second.result()) == ([0], [0, 1])
        assert (flat.result().sum(), one.result().sum()) == (0, 10_000)

    def test_results_are_what_they_were_at_their_call(self, server, client, thing):
        server["array"] = np.zeros(10_000)
        server["numbers"] = [0]
        array, numbers = (
            client.send("get_item", {"name": n}, "proxy") for n in ("array", "numbers")
        )
        with client.batch():
            first, zero = numbers.copy._undefer(), array._get_value()
            before = numbers._get_value()
            array.fill(3)
            numbers.append(1)
            after, three = numbers._get_value(), array._get_value()
        assert (before.result(), after.result()) == ([0], [0, 1])
        assert (zero.result().sum(), three.result().sum()) == (0, 30_000)
        assert first.result()() == [0, 1]

    def test_large_arrays_arrive_writable(self, client, thing):
        with client.batch():
            there = thing.echo(np.arange(300_000))
            back = thing.echo(there)
        back.result()[0] = 7
        assert there.result()[0] == 0

    def test_return_types_are_kept(self, client, thing):
        with client.batch():
            proxy = thing.notes(_return_type="proxy")
            value = thing.make(_return_type="value")
        assert proxy.result()._get_value() == []
        with pytest.raises(SerializationError, match="no value form"):
            value.result()

    def test_options_are_checked_at_the_call(self, client, thing):
        with client.batch():
            with pytest.raises(ValueError, match="sync is one of"):
                thing.make()(_sync="maybe")
            with pytest.raises(ValueError, match="return_type is one of"):
                thing.make()._undefer("copy")

    def test_what_cannot_travel_is_refused_at_the_call(self, client, thing):
        deep = []
        for _ in range(200):
            deep = [deep]
        with client.batch():
            before = thing.add(1, 1)
            with pytest.raises(SerializationError, match="nested deeper"):
                thing.echo(deep)
            after = thing.add(2, 2)
        assert (before.result(), after.result()) == (2, 4)

    def test_json_does_as_well(self, server, thing):
        client = RPCClient(server.address, serializer="json")
        server["again"] = Thing()
        with client.batch():
            again = client["again"]
            made = again.make()
            array = again.echo([made, np.zeros(5000)])
            total = again.add(1, 2)
        assert total.result() == 3
        assert array.result()[1].sum() == 0


class TestTheBlock:
    def test_what_raises_sends_nothing(self, client, thing, sent):
        with whole_block_raises(KeyError), client.batch():
            promise, attribute = thing.note(1), thing.make().value
            raise KeyError("x")
        assert promise.cancelled()
        assert attribute.cancelled()
        assert sent == []
        assert thing.notes() == []

    def test_it_is_over_then(self, client, thing):
        with whole_block_raises(KeyError), client.batch():
            raise KeyError("x")
        assert thing.add(1, 2) == 3

    def test_another_one_within_it_is_refused(self, client, thing):
        with client.batch():
            value = thing.add(1, 2)
            with whole_block_raises(RuntimeError, match="is open already"), client.batch():
                pass
            again = thing.add(3, 4)
        assert (value.result(), again.result()) == (3, 7)

    def test_it_is_for_one_block(self, client):
        batch = client.batch()
        with batch:
            pass
        with pytest.raises(RuntimeError, match="for one block"), batch:
            pass

    def test_other_clients_have_their_own(self, client, thing, other_thing, sent):
        other = RPCClient.get_client(other_thing._rpc_addr)
        with client.batch():
            here = thing.add(1, 2)
            assert other_thing.add(3, 4) == 7
            with other.batch():
                there = other_thing.add(5, 6)
        assert (here.result(), there.result()) == (3, 11)

    def test_other_threads_go_on(self, server, client, thing):
        with client.batch(), concurrent.futures.ThreadPoolExecutor(1) as pool:
            mine = thing.add(1, 2)
            assert pool.submit(thing.add, 3, 4).result(10) == 7
        assert mine.result() == 3

    def test_who_is_of_another_thread_cannot_open_one(self, client):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            opening = pool.submit(client.batch)
        with pytest.raises(RuntimeError, match="another thread"):
            opening.result(10)

    def test_what_others_ask_this_thread_for_meanwhile_is_not_part_of_it(
        self, server, client, thing
    ):
        """The callback is carried out while the block waits, and gets its answer."""
        own = RPCServer()
        own.run_lazy()

        def calls_back():
            return thing.add(20, 1) + 1

        with client.batch():
            before = thing.note("before")
            assert thing.call(calls_back, _sync="sync") == 22
            after = thing.note("after")
        assert before.result() is after.result() is None
        own.close()

    def test_status_is_asked_for_at_once(self, client, thing):
        with client.batch():
            thing.add(1, 2)
            assert client.status(10).state == "alive"


class TestWhatIsAnsweredAtOnce:
    def test_a_call_that_is_to_wait_sends_what_there_is(self, client, thing, sent):
        with client.batch():
            thing.note(1)
            assert thing.notes(_sync="sync") == [1]
            assert sent == ["ask_batch"]
            thing.note(2)
        assert sent == ["ask_batch"] * 2
        assert thing.notes() == [1, 2]

    def test_what_python_asks_for(self, server, client, thing):
        server["numbers"] = {1: "x"}
        numbers = client.send("get_item", {"name": "numbers"}, "proxy")
        with client.batch():
            numbers[2] = "y"
            assert len(numbers) == 2
            numbers[3] = "z"
            assert 3 in numbers
            assert bool(numbers)
            assert list(numbers) == [1, 2, 3]
            assert hasattr(numbers, "items")
            assert not hasattr(numbers, "things")

    def test_its_timeout_is_its_own(self, server, client, thing):
        with whole_block_raises(CallTimeout), client.batch():
            slow = thing.wait()
            thing.add(1, 2, _sync="sync", _timeout=0.01)
        assert not slow.done()
        server["thing"].gate.set()
        assert slow.result(10)

    def test_an_error_of_what_came_before_is_raised_there(self, client, thing):
        with whole_block_raises(ValueError, match="first"), client.batch():
            thing.fail("first")
            thing.notes(_sync="sync")
            raise AssertionError

    def test_the_clock_is_asked_for_at_once(self, client):
        with client.batch():
            assert abs(client.measure_clock_diff(2)) < 60


class TestErrors:
    def test_they_are_the_promises(self, client, thing):
        with client.batch():
            bad, good = thing.fail("no"), thing.add(1, 2)
        with pytest.raises(ValueError, match="no"):
            bad.result()
        assert good.result() == 3

    def test_those_of_a_statement_are_raised_at_the_end(self, client, thing):
        with whole_block_raises(AttributeError, match="nothing"), client.batch():
            del thing.nothing
            after = thing.note(1)
        assert after.result(5) is None
        assert thing.notes() == [1]

    def test_those_of_a_call_whose_promise_nobody_holds_too(self, client, thing):
        with whole_block_raises(ValueError, match="lost"), client.batch():
            thing.fail("lost")

    def test_the_first_is_raised_and_the_others_go_to_the_log(self, client, thing, caplog):
        with whole_block_raises(ValueError, match="first"), client.batch():
            thing.fail("first")
            thing.fail("second")
        assert "second" in caplog.text

    def test_what_is_used_later_tells_there(self, client, thing):
        """Its error is the later ones', so the end of the block need not wait."""
        with client.batch():
            later = thing.fail("no").foo()
        with pytest.raises(ValueError, match="no"):
            later.result()

    def test_with_off_nobody_is_told(self, server, client, thing, caplog):
        with caplog.at_level(logging.ERROR), client.batch():
            thing.fail("unheard", _sync="off")
        client.ping()
        assert "unheard" in caplog.text

    def test_the_end_waits_as_long_as_it_is_told(self, server, client, thing, caplog):
        with whole_block_raises(CallTimeout), client.batch(timeout=0.01):
            thing.wait()
            thing.fail("late")
        with caplog.at_level(logging.ERROR):
            server["thing"].gate.set()
            client.ping()
        assert "late" in caplog.text

    def test_without_anything_to_lose_it_does_not_wait(self, server, client, thing):
        with client.batch(timeout=0):
            busy = thing.wait()
        assert not busy.done()
        server["thing"].gate.set()
        assert busy.result(10)

    def test_a_server_that_has_gone(self, server, client, thing):
        with client.batch():
            promise = thing.wait()
        server["thing"].gate.set()
        server.close()
        client.close()
        assert promise.done()
        with whole_block_raises(ServerDisconnected), client.batch():
            pass

    def test_a_client_that_is_closed_within(self, client, thing):
        with whole_block_raises(ServerDisconnected), client.batch():
            promise = thing.add(1, 2)
            client.close()
        with pytest.raises(ServerDisconnected):
            promise.result()


@pytest.fixture
def tight():
    """Makes a thing at a server with limits of its own, and its client."""
    servers = []

    def tight(**limits):
        server = RPCServer(limits=Limits(**limits))
        server["thing"] = Thing()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        servers.append((server, thread))
        client = RPCClient(server.address)
        assert settled(client)
        return client, client["thing"]

    yield tight
    for server, thread in servers:
        server.close()
        thread.join(10)


class TestLimits:
    def test_a_batch_of_too_many_requests_is_refused_whole(self, tight):
        client, thing = tight(requests=16)
        with client.batch():
            promises = [thing.note(i) for i in range(17)]
        for promise in promises:
            with pytest.raises(LimitExceeded, match="17 requests, and the server takes 16"):
                promise.result()
        assert thing.notes() == []

    def test_one_that_is_too_large_is_not_sent(self, tight):
        client, thing = tight(message=1 << 16)
        with whole_block_raises(LimitExceeded, match="this message"), client.batch():
            promises = [thing.echo(bytes(1000)) for _ in range(70)]
        with pytest.raises(LimitExceeded):
            promises[0].result()
        assert thing.add(1, 2) == 3

    @pytest.mark.parametrize("serializer", ["msgpack", "json"])
    def test_answers_without_room_tell_their_promises(self, tight, serializer):
        first, thing = tight(message=1 << 16)
        thing.keep(bytes(20_000))
        client = RPCClient(first.address, serializer=serializer)
        with client.batch():
            thing = client["thing"]
            large = [thing.kept._get_value() for _ in range(5)]
            small = thing.add(1, 2)
        done = [promise.exception() for promise in large]
        assert done[0] is None
        assert isinstance(done[-1], LimitExceeded)
        assert "has been done" in str(done[-1])
        assert small.result() == 3

    def test_even_errors_may_have_no_room(self, tight):
        client, thing = tight(message=1 << 16)
        with client.batch():
            failures = [thing.fail("x") for _ in range(300)]
            last = thing.note(1)
        assert isinstance(failures[0].exception(), ValueError)
        assert isinstance(last.exception(), LimitExceeded)
        assert thing.notes() == [1]

    def test_arrays_beyond_the_frames_of_a_message_go_within(self, tight):
        client, thing = tight(frames=2)
        with client.batch():
            there = [thing.echo(np.full(1000, i)) for i in range(4)]
        assert [int(array.result().sum()) for array in there] == [0, 1000, 2000, 3000]

    def test_the_nesting_of_each_is_measured(self, tight):
        client, thing = tight(nesting=8)
        with client.batch():
            deep = thing.echo([[[[[[[[[[1]]]]]]]]]])
            flat = thing.echo([1])
        with pytest.raises(LimitExceeded, match="nests deeper"):
            deep.result()
        assert flat.result() == [1]

    def test_leases_are_counted(self, tight):
        client, thing = tight(leases=5)
        with client.batch():
            made = [thing.make() for _ in range(8)]
        errors = [promise.exception() for promise in made]
        assert errors[:4] == [None] * 4
        assert isinstance(errors[-1], LimitExceeded)
