from __future__ import annotations

import concurrent.futures
import gc
import re
import threading
import time

import numpy as np
import pytest
from conftest import eventually
from things import Thing, open_after_a_moment

from pyacq_rpc import (
    CallTimeout,
    ObjectProxy,
    ProtocolError,
    RemoteCallException,
    RPCClient,
    RPCServer,
    SerializationError,
    ServerDisconnected,
    register_type,
    unregister_type,
)
from spawner import ProcessSpawner


class TestModes:
    def test_a_sync_call_returns_the_result(self, thing):
        assert thing.add(1, 2) == 3

    def test_an_async_call_returns_a_future(self, thing):
        assert thing.add(1, 2, _sync="async").result() == 3

    def test_a_call_with_sync_off_returns_none_and_is_done(self, thing):
        assert thing.note(1, _sync="off") is None
        assert thing.notes() == [1]

    def test_an_unknown_mode_is_refused(self, thing):
        with pytest.raises(ValueError, match="sync"):
            thing.add(1, 2, _sync="maybe")

    def test_options_of_a_call_beat_those_of_the_proxy(self, thing):
        thing._set_proxy_options(sync="async")
        assert thing.add(1, 2).result() == 3
        assert thing.add(1, 2, _sync="sync") == 3

    def test_options_of_a_proxy_are_inherited_by_its_attributes(self, thing):
        thing._set_proxy_options(return_type="proxy")
        assert isinstance(thing.add(1, 2), ObjectProxy)

    def test_the_client_has_a_default_timeout(self, server, client, thing):
        client.timeout = 0.05
        with pytest.raises(TimeoutError):
            thing.wait()
        server["thing"].gate.set()

    def test_a_proxy_is_returned_on_request(self, thing):
        three = thing.add(1, 2, _return_type="proxy")
        assert isinstance(three, ObjectProxy)
        assert three + 1 == 4

    def test_a_value_is_insisted_on(self, thing):
        with pytest.raises(SerializationError, match="Thing has no value form"):
            thing.make(_return_type="value")

    def test_requests_run_in_the_order_sent_whatever_their_mode(self, thing):
        for n in range(0, 300, 3):
            thing.note(n, _sync="off")
            thing.note(n + 1, _sync="async")
            thing.note(n + 2)
        assert thing.notes() == list(range(300))


class TestOptions:
    """A wrong option is refused here, before anything is sent."""

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"_return_type": "val"}, "return_type is one of auto, proxy, value; not 'val'"),
            ({"_sync": "asyn"}, "sync is one of sync, async, off; not 'asyn'"),
            ({"_timeout": -1}, "timeout is from 0 to 2000000 s, or None for ever; not -1"),
            ({"_timeout": -1.0}, "timeout is from 0 to 2000000 s, or None for ever; not -1.0"),
            (
                {"_timeout": float("nan")},
                "timeout is from 0 to 2000000 s, or None for ever; not nan",
            ),
            (
                {"_timeout": float("inf")},
                "timeout is from 0 to 2000000 s, or None for ever; not inf",
            ),
            ({"_timeout": "1"}, "timeout is a number of seconds, or None for ever; not '1'"),
            ({"_timeout": [1]}, "timeout is a number of seconds, or None for ever; not [1]"),
        ],
    )
    @pytest.mark.parametrize("sync", ["sync", "async", "off"])
    def test_a_wrong_one_is_refused(self, thing, options, message, sync):
        with pytest.raises((ValueError, TypeError)) as caught:
            thing.note(1, **{"_sync": sync, **options})
        assert str(caught.value) == message
        with pytest.raises((ValueError, TypeError), match=re.escape(message)):
            thing._set_proxy_options(**{name[1:]: value for name, value in options.items()})
        assert thing.notes() == []

    def test_a_servers_own_thread_is_told_too(self):
        server = RPCServer()
        server.run_lazy()
        proxy = server.get_proxy(Thing())
        with pytest.raises(ValueError, match="sync is one of"):
            proxy.add(1, 2, _sync="asyn")

    @pytest.mark.parametrize("timeout", [None, 5, 5.0, np.float32(5), np.int64(5), 2e6])
    def test_times_are_taken(self, thing, timeout):
        assert thing.add(1, 2, _timeout=timeout) == 3
        assert thing.sleep(0.01, _timeout=timeout) == 0.01


class TestTimeout:
    def test_a_late_answer_is_dropped_and_the_client_stays_usable(self, server, thing):
        with pytest.raises(CallTimeout, match="no answer"):
            thing.wait(_timeout=0.05)
        server["thing"].gate.set()
        assert thing.add(1, 2) == 3

    def test_the_message_names_the_server_and_what_to_do(self, server, thing):
        with pytest.raises(CallTimeout) as caught:
            thing.wait(_timeout=0.05)
        assert str(caught.value).startswith(
            f"no answer from under-test ({server.address}) after 0.05 s: it is busy"
        )
        assert "goes on there" in str(caught.value)
        assert "_timeout" in str(caught.value)
        future = thing.wait(_sync="async")
        with pytest.raises(CallTimeout, match=r"no answer from under-test .* after 0.01 s"):
            future.result(0.01)
        server["thing"].gate.set()
        assert future.result(10)

    def test_a_proxy_in_a_late_answer_is_released(self, server, thing):
        slow = thing.call
        before = len(server.table)
        with pytest.raises(CallTimeout):
            slow(SleepyMaker(), _timeout=0.05)
        assert eventually(lambda: len(server.table) == before)

    def test_nobody_there(self):
        client = RPCClient("tcp://127.0.0.1:9")
        with pytest.raises(CallTimeout, match="none is listening"):
            client.ensure_connection(timeout=0.1)
        assert not client.disconnected()

    def test_a_short_timeout_does_not_spin(self, thing):
        future = thing.sleep(0.5, _sync="async")
        before = time.thread_time()
        with pytest.raises(CallTimeout):
            future.result(timeout=0.4)
        assert time.thread_time() - before < 0.2


class SleepyMaker:
    """Is called back in the client's process, and takes its time."""

    def __call__(self):
        time.sleep(0.3)
        return Thing()


class TestActions:
    def test_names_are_published_from_both_sides(self, server, client):
        server["a"] = 1
        client["b"] = [1, (2,)]
        assert client["a"] == 1
        assert server["b"] == [1, (2,)]

    def test_an_unknown_name_says_what_there_is(self, server, client):
        server["camera"] = 1
        with pytest.raises(KeyError, match="camera"):
            client["telescope"]

    def test_it_lists_what_is_published(self, server, client):
        assert client.keys() == []
        client["camera"] = 1
        server["filter wheel"] = 2
        assert client.keys() == ["camera", "filter wheel"]

    def test_a_client_cannot_be_searched(self, client):
        for search in (lambda: "a" in client, lambda: list(client)):
            with pytest.raises(TypeError, match=r"^a client cannot .*; client\.keys\(\) lists"):
                search()

    def test_import(self, client):
        assert client._import("math").sqrt(4) == 2

    def test_an_import_takes_the_options_of_a_call(self, client):
        assert client._import("math", _sync="async").result().sqrt(4) == 2
        assert client._import("math", _sync="off") is None
        assert isinstance(client._import("math", _return_type="proxy"), ObjectProxy)
        assert client._import("math", _timeout=5).sqrt(4) == 2
        assert client._import("math", timeout=5).sqrt(4) == 2
        client._import("time").sleep(0.3, _sync="off")
        with pytest.raises(CallTimeout):
            client._import("math", _timeout=0.05)

    def test_import_of_what_is_not_there(self, client):
        with pytest.raises(ModuleNotFoundError):
            client._import("no_such_module")

    def test_transfer_gives_a_proxy_to_the_copy_there(self, server, client):
        there = client.transfer([1, 2])
        assert isinstance(there, ObjectProxy)
        there.append(3)
        assert there._get_value() == [1, 2, 3]

    def test_call_obj_and_get_obj(self, client, thing):
        assert client.call_obj(thing.add, (1,), {"b": 2}) == 3
        assert client.get_obj(thing.value) == 0
        assert client.call_obj(thing.add, (1, 2), sync="async").result() == 3

    def test_ping(self, client):
        assert client.ping() == "pong"
        assert client.ping(sync="async").result() == "pong"

    def test_the_clocks_of_one_machine_agree(self, client):
        assert abs(client.measure_clock_diff()) < 5

    def test_send_takes_any_action(self, client):
        assert client.send("ping", return_type="auto", sync="sync", timeout=10.0) == "pong"

    def test_an_unknown_action_is_refused_by_the_server(self, client):
        with pytest.raises(ProtocolError, match="unknown action 'explode'"):
            client.send("explode")
        with pytest.raises(ProtocolError, match="takes the options"):
            client.send("import", {"modul": "os"})
        assert client.ping() == "pong"


class TestProcessMsg:
    def test_it_takes_in_what_somebody_else_has_taken_from_the_socket(self, server, monkeypatch):
        monkeypatch.setattr(server.runtime, "direct", False)
        server["thing"] = Thing()
        client = RPCClient(server.address)
        thing = client["thing"]
        frames = client.channel.roads._dealer.frames
        with client.channel._lock:  # else the I/O thread does
            future = thing.wait(_sync="async")
            server["thing"].gate.set()
            assert eventually(frames.take)
            answer = list(frames.take())
            frames.take().clear()
            assert not future.done()
            client.process_msg(answer)
        assert future.done()


class TestConnection:
    def test_a_thread_has_one_client_for_an_address(self, server):
        client = RPCClient(server.address)
        assert RPCClient.get_client(server.address) is client
        assert RPCClient.get_client(server.address.encode()) is client

    def test_threads_have_clients_of_their_own(self, server, client):
        found = []
        thread = threading.Thread(target=lambda: found.append(RPCClient.get_client(server.address)))
        thread.start()
        thread.join()
        assert found[0] is not client

    def test_a_client_is_for_its_own_thread(self, client):
        errors = []

        def use():
            try:
                client.ping()
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
        assert "another thread" in errors[0]

    def test_the_own_thread_has_no_client_of_its_server(self):
        server = RPCServer()
        server.run_lazy()
        assert RPCClient.get_client(server.address) is None
        assert RPCServer.local_client().ping() == "pong"

    def test_close_leaves_the_server(self, server, client):
        client.ping()
        client.close()
        client.close()
        assert client.disconnected()
        with pytest.raises(ServerDisconnected, match="closed"):
            client.ping()
        assert RPCClient.get_client(server.address).ping() == "pong"

    def test_a_proxy_outlives_its_client_as_long_as_another_connection_stays(self, server, client):
        server["thing"] = Thing()
        other = RPCClient(server.address)
        made = other["thing"].make()
        other.ping()
        other.close()
        assert made.add(1, 2) == 3

    def test_answers_come_in_order_from_the_first_call_on(self, server):
        """Also while the client moves from one road to the other."""
        for _ in range(100):
            client = RPCClient(server.address)
            futures = [client.ping(sync="async") for _ in range(3)]
            client.ping()
            assert all(future.done() for future in futures)
            client.close()

    def test_close_server(self, server, client):
        pending = client.transfer(Thing(), sync="async")
        assert client.close_server(timeout=10) is True
        assert pending.done()
        assert eventually(client.disconnected)
        assert client.close_server(timeout=10) is True

    def test_pending_calls_fail_when_the_server_closes(self, server, client):
        begun = threading.Event()

        def work():
            begun.set()
            time.sleep(0.2)

        server["work"] = Thing()
        server["work"].work = work
        current = client["work"].work(_sync="async")
        later = client.ping(sync="async")
        assert begun.wait(10)
        server.close()
        assert current.result() is None
        with pytest.raises(ServerDisconnected):
            later.result(10)

    @pytest.mark.parametrize(
        "address", ["", "127.0.0.1:5000", "http://x", "tcp://", "ipc", "tcp://1.2.3.4"]
    )
    def test_what_is_not_an_address_is_refused(self, address):
        with pytest.raises(ValueError, match="is not an address"):
            RPCClient(address)

    def test_json(self, server, client):
        server["thing"] = Thing()
        client = RPCClient(server.address, serializer="json")
        assert client["thing"].echo({"a": (1, b"\x00")}) == {"a": (1, b"\x00")}

    def test_an_unknown_serializer_is_refused(self, server):
        with pytest.raises(ValueError, match="unknown serializer"):
            RPCClient(server.address, serializer="pickle")

    def test_client_repr_names_its_state(self, server, client):
        assert "open" in repr(client)
        client.close()
        assert "closed" in repr(client)


class TestErrors:
    def test_builtin_type_and_remote_exception_both_catch(self, thing):
        with pytest.raises(ValueError, match="shutter") as caught:
            thing.fail("shutter")
        assert isinstance(caught.value, RemoteCallException)
        assert "in fail" in caught.value.remote_traceback

    def test_arguments_that_do_not_fit(self, thing):
        with pytest.raises(TypeError, match="missing"):
            thing.add(1)

    def test_a_missing_attribute(self, thing):
        with pytest.raises(AttributeError, match="nope"):
            thing.nope()
        assert not hasattr(thing, "nope")
        assert hasattr(thing, "add")
        assert getattr(thing, "nope", None) is None

    def test_assignments_raise(self, thing):
        with pytest.raises(AttributeError):
            thing.add.x = 1
        with pytest.raises(TypeError):
            thing["key"] = 1

    def test_a_value_that_cannot_travel(self, thing):
        endless: list = []
        endless.append(endless)
        with pytest.raises(SerializationError, match="contains itself"):
            thing.echo(endless)
        assert thing.echo([1]) == [1]

    def test_a_type_that_the_receiver_does_not_know(self):
        class Odd:
            pass

        register_type(Odd, "test.odd", lambda odd: 1, lambda payload: Odd())
        try:
            with ProcessSpawner() as node:
                with pytest.raises(SerializationError, match=r"test\.odd"):
                    node.client.transfer(Odd())
                assert node.client.ping() == "pong"
        finally:
            unregister_type(Odd)


class TestFutures:
    def test_wait_and_as_completed(self, thing):
        futures = [thing.add(n, n, _sync="async") for n in range(50)]
        done, pending = concurrent.futures.wait(futures, timeout=10)
        assert (len(done), len(pending)) == (50, 0)
        results = {f.result() for f in concurrent.futures.as_completed(futures, timeout=10)}
        assert results == set(range(0, 100, 2))

    def test_done_without_anybody_looking(self, thing):
        future = thing.add(1, 2, _sync="async")
        assert eventually(future.done)

    def test_done_by_itself_also_after_one_was_waited_for(self, thing):
        for _ in range(20):
            assert thing.add(1, 2, _sync="async").result() == 3
            future = thing.sleep(0.01, _sync="async")
            assert eventually(future.done)

    def test_callbacks_need_nobody_to_wait(self, thing):
        got = []
        thing.add(1, 2, _sync="async").add_done_callback(lambda f: got.append(f.result()))
        assert eventually(lambda: got == [3])

    def test_a_callback_may_call_and_wait(self, thing):
        got = []

        def callback(future):
            got.append(thing.add(future.result(), 1))
            got.append(thing.add(1, 1, _sync="async").result())

        thing.add(1, 2, _sync="async").add_done_callback(callback)
        assert eventually(lambda: got == [4, 2])

    def test_a_callback_may_wait_for_another_threads_future(self, thing):
        got = []
        slow = thing.sleep(0.2, _sync="async")
        other = thing.add(1, 2, _sync="async")
        quick = RPCClient(thing._rpc_addr).ping(sync="async")
        quick.add_done_callback(lambda f: got.append(slow.result() + other.result()))
        assert eventually(lambda: got == [3.2])

    def test_a_future_is_read_from_another_thread(self, thing):
        future = thing.sleep(0.1, _sync="async")
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            assert pool.submit(future.result).result(10) == 0.1

    def test_await(self, thing):
        import asyncio

        async def use():
            one = thing.add(1, 2, _sync="async")
            assert await one == 3
            with pytest.raises(ValueError, match="x"):
                await thing.fail("x", _sync="async")
            return await asyncio.gather(*[thing.add(n, n, _sync="async") for n in range(5)])

        assert asyncio.run(use()) == [0, 2, 4, 6, 8]

    def test_exceptions(self, thing):
        future = thing.fail("x", _sync="async")
        assert isinstance(future.exception(), ValueError)
        with pytest.raises(ValueError, match="x"):
            future.result()

    def test_cancel_withdraws_what_has_not_begun(self, server, thing):
        blocker = thing.wait(_sync="async")
        futures = [thing.note(n, _sync="async") for n in range(5)]
        assert futures[2].cancel()
        assert futures[2].cancelled()
        with pytest.raises(concurrent.futures.CancelledError):
            futures[2].result()
        open_after_a_moment(server["thing"].gate)
        blocker.result()
        assert thing.notes() == [0, 1, 3, 4]

    def test_cancel_of_what_is_done_does_nothing(self, thing):
        future = thing.add(1, 2, _sync="async")
        assert future.result() == 3
        assert not future.cancel()

    def test_a_timeout_of_result_leaves_the_future(self, thing):
        future = thing.sleep(0.3, _sync="async")
        with pytest.raises(TimeoutError):
            future.result(timeout=0.01)
        assert future.result() == 0.3

    def test_ten_thousand_in_flight(self, thing):
        futures = [thing.add(n, 1, _sync="async") for n in range(10_000)]
        assert [f.result() for f in futures] == list(range(1, 10_001))


def test_the_books_balance_after_all_of_this(server, client):
    server["thing"] = Thing()
    thing = client["thing"]
    made = [thing.make() for _ in range(100)]
    assert made[3].add(1, 2) == 3
    del made, thing
    gc.collect()
    assert eventually(lambda: len(server.table) == 0)
