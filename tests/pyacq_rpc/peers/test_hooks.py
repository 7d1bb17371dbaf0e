from __future__ import annotations

import concurrent.futures
import os
import threading

import pytest
from conftest import eventually, settled
from observing import Recorder
from things import Thing

import pyacq_rpc
from pyacq_rpc import (
    CallTimeout,
    RemoteCallException,
    RPCClient,
    RPCServer,
    ServerDisconnected,
    add_hook,
)
from pyacq_rpc.peers.hooks import LONGEST_ABOUT
from pyacq_rpc.peers.runtime import current


class TestOutgoing:
    def test_a_call(self, thing, server, going_out):
        assert thing.add(1, 2) == 3
        ((call, error),) = going_out.ended
        assert going_out.begun == [call]
        assert error is None
        assert call == ("call_obj", "Thing.add", "under-test", server.address, "sync", False, {})

    @pytest.mark.parametrize(
        ("do", "about"),
        [
            (lambda client, thing: client["thing"], "get_item thing"),
            (lambda client, thing: client.__setitem__("x", 1), "set_item x"),
            (lambda client, thing: client._import("math"), "import math"),
            (lambda client, thing: client.transfer([1]), "transfer"),
            (lambda client, thing: client.ping(), "ping"),
            (lambda client, thing: thing._notify("x", _sync="sync"), "Thing"),
            (lambda client, thing: thing.log._get_value(), "Thing.log"),
            (lambda client, thing: setattr(thing, "value", 1), "Thing.__setattr__"),
            (lambda client, thing: client.call_obj(thing.notes), "Thing.notes"),
            (lambda client, thing: thing._delete(), "delete"),
        ],
    )
    def test_whatever_is_asked_for(self, client, thing, going_out, do, about):
        try:
            do(client, thing)
        except TypeError:
            assert about == "Thing"  # which cannot be called
        assert [call.about for call in going_out.begun] == [about]
        assert len(going_out.ended) == 1

    def test_what_it_has_raised(self, thing, going_out):
        with pytest.raises(ValueError, match="no"):
            thing.fail("no")
        assert going_out.both() == [("Thing.fail", "ValueError")]

    def test_a_timeout_ends_it(self, server, thing, going_out):
        with pytest.raises(CallTimeout):
            thing.wait(_timeout=0.01)
        assert going_out.both() == [("Thing.wait", "CallTimeout")]
        server["thing"].gate.set()
        assert thing.add(1, 2) == 3
        assert len(going_out.ended) == 2

    def test_what_cannot_be_sent(self, thing, going_out):
        deep = []
        deep.append(deep)
        for sync in ("sync", "async", "off"):
            with pytest.raises(TypeError):
                thing.echo(deep, _sync=sync)
        assert going_out.both() == [("Thing.echo", "SerializationError")] * 3

    def test_off_ends_when_it_has_been_sent(self, server, thing, going_out):
        thing.wait(_sync="off")
        assert going_out.both() == [("Thing.wait", None)]
        assert going_out.begun[0].sync == "off"
        server["thing"].gate.set()

    def test_urgent_requests_do_not_pass(self, client, thing, going_out):
        client.status()
        client.interrupt()
        client.server_stats()
        client.send("status")
        assert going_out.begun == []

    def test_calls_within_the_servers_own_thread_do_not(self, going_out):
        server = RPCServer()
        server.run_lazy()
        assert server.get_proxy(Thing()).add(1, 2) == 3
        assert going_out.begun == []
        server.close()

    def test_what_a_hook_calls_does_not(self, thing):
        calls = []

        def asks(call):
            calls.append(call.about)
            assert thing.add(1, 2) == 3
            return lambda error: calls.append(thing.add(3, 4))

        with add_hook(outgoing=asks):
            thing.notes()
            thing.notes()
        assert calls == ["Thing.notes", 7] * 2

    def test_before_the_server_has_told_its_name(self, going_out):
        server = RPCServer()
        with pytest.raises(CallTimeout):
            RPCClient(server.address).ping(timeout=0.01)
        assert going_out.begun[0].peer == server.address
        server.close()

    def test_a_long_name_is_cut(self, client, going_out):
        with pytest.raises(KeyError):
            client["x" * 1000]
        assert len(going_out.begun[0].about) == LONGEST_ABOUT


class TestFutures:
    def test_it_ends_before_anybody_sees_the_result(self, thing, going_out):
        seen = []
        future = thing.add(1, 2, _sync="async")
        future.add_done_callback(lambda f: seen.append(len(going_out.ended)))
        assert future.result(10) == 3
        assert eventually(lambda: seen == [1])
        assert going_out.begun[0].sync == "async"

    def test_one_that_nobody_waits_for(self, thing, going_out):
        thing.fail("no", _sync="async")
        assert eventually(lambda: going_out.ended)
        assert going_out.both() == [("Thing.fail", "ValueError")]

    def test_one_that_is_cancelled(self, server, thing, going_out):
        thing.wait(_sync="async")
        future = thing.add(1, 2, _sync="async")
        assert future.cancel()
        assert going_out.both() == [("Thing.add", "CancelledError")]
        server["thing"].gate.set()
        assert thing.add(1, 2) == 3
        assert sorted(about for about, _ in going_out.both()) == ["Thing.add"] * 2 + ["Thing.wait"]

    def test_waiting_in_vain_does_not_end_it(self, server, thing, going_out):
        future = thing.wait(_sync="async")
        with pytest.raises(CallTimeout):
            future.result(0.01)
        assert going_out.ended == []
        server["thing"].gate.set()
        assert future.result(10)
        assert len(going_out.ended) == 1

    def test_the_end_of_the_client_ends_them(self, server, client, thing, going_out):
        future = thing.wait(_sync="async")
        client.close()
        assert isinstance(future.exception(10), ServerDisconnected)
        assert going_out.both() == [("Thing.wait", "ServerDisconnected")]
        server["thing"].gate.set()

    def test_each_of_many_ends_once(self, thing, going_out):
        futures = [thing.add(n, n, _sync="async") for n in range(500)]
        for future in futures[::3]:
            future.cancel()
        concurrent.futures.wait(futures, 20)
        assert thing.add(1, 1) == 2
        assert len(going_out.ended) == len(futures) + 1
        assert len({id(call) for call, _ in going_out.ended}) == len(futures) + 1


class TestIncoming:
    def test_a_call(self, thing, server, coming_in):
        assert thing.add(1, 2) == 3
        ((call, error),) = coming_in.ended
        assert error is None
        assert (call.action, call.about) == ("call_obj", "thing.add")
        assert (call.address, call.sync, call.is_incoming) == (server.address, None, True)

    def test_it_is_called_in_the_servers_thread(self, thing):
        threads = []

        def hook(call):
            threads.append(threading.get_ident())
            return lambda error: threads.append(threading.get_ident())

        with add_hook(incoming=hook):
            assert thing.thread() == threads[0] == threads[1]

    def test_it_has_ended_before_the_answer_is_sent(self, thing, coming_in):
        for count in range(1, 100):
            thing.add(1, 2)
            assert len(coming_in.ended) == count

    def test_what_it_has_raised(self, thing, coming_in):
        with pytest.raises(ValueError, match="no"):
            thing.fail("no")
        ((_, error),) = coming_in.ended
        assert isinstance(error, ValueError)

    def test_off_and_its_failure(self, thing, coming_in):
        thing.fail("no", _sync="off")
        thing.notes()
        assert coming_in.both()[0] == ("thing.fail", "ValueError")
        assert coming_in.begun[0].sync == "off"

    def test_a_result_without_a_value_form_is_a_failure(self, thing, coming_in):
        with pytest.raises(TypeError):
            thing.me(_return_type="value")
        assert coming_in.both() == [("thing.me", "SerializationError")]

    def test_urgent_requests_do_not_pass(self, client, thing, coming_in):
        client.status()
        client.interrupt()
        client.server_stats()
        client.send("status")
        assert coming_in.begun == []

    def test_a_callback_passes_both(self, thing, going_out, coming_in):
        assert thing.call(lambda: 5) == 5
        assert going_out.both() == [("<lambda>", None), ("Thing.call", None)]
        assert coming_in.both() == [("<lambda>", None), ("thing.call", None)]

    def test_an_interrupted_call(self, server, client, thing, coming_in):
        go_on = threading.Event()
        future = thing.call(lambda: go_on.wait(60), _sync="async")
        assert eventually(lambda: client.status(10).doing == "thing.call")
        assert client.interrupt(10)
        assert future.exception(10) is not None
        assert coming_in.both()[-1] == ("thing.call", "KeyboardInterrupt")
        go_on.set()

    def test_a_slow_hook_can_be_interrupted(self, client, thing):
        go_on = threading.Event()
        begun = threading.Event()

        def waits(call):
            begun.set()
            while not go_on.wait(0.01):
                pass

        with add_hook(incoming=waits):
            future = thing.add(1, 2, _sync="async")
            assert begun.wait(10)
            assert client.interrupt(10)
            assert isinstance(future.exception(10), RemoteCallException)
            go_on.set()
        assert thing.add(1, 2) == 3

    def test_one_process_is_told_from_others_but_not_by_its_secret_name(self, thing, coming_in):
        thing.notes()

        def in_another_thread():
            RPCClient(thing._rpc_addr).ping()

        thread = threading.Thread(target=in_another_thread)
        thread.start()
        thread.join(10)
        one, other = coming_in.begun
        assert one.peer == other.peer
        assert one.peer != RPCClient.get_client(thing._rpc_addr).channel.peer


class TestContext:
    @pytest.fixture(params=["msgpack", "json"])
    def talker(self, server, request):
        server["thing"] = Thing()
        client = RPCClient(server.address, serializer=request.param)
        yield client["thing"]
        client.close()

    @pytest.mark.parametrize("sync", ["sync", "async", "off"])
    def test_it_travels(self, talker, coming_in, sync):
        context = {"traceparent": "00-1-2-01", "user": "é\ud800"}
        with add_hook(outgoing=lambda call: call.context.update(context)):
            talker.add(1, 2, _sync=sync)
            talker.echo({1: (2, 3)}, _sync=sync)
        assert eventually(lambda: len(coming_in.ended) == 2)
        assert [call.context for call in coming_in.begun] == [context, context]

    def test_the_hooks_share_it(self, thing, coming_in):
        with (
            add_hook(outgoing=lambda call: call.context.update(a="1")),
            add_hook(outgoing=lambda call: call.context.update(b=call.context["a"] + "2")),
        ):
            thing.notes()
        assert coming_in.begun[0].context == {"a": "1", "b": "12"}

    @pytest.mark.parametrize("wrong", [{"a": 1}, {1: "a"}, {"a": "x" * 5000}])
    def test_what_cannot_travel_is_left_out(self, thing, coming_in, caplog, wrong):
        with (
            add_hook(outgoing=lambda call: call.context.update(good="1")),
            add_hook(outgoing=lambda call: call.context.update(wrong)),
        ):
            assert thing.add(1, 2) == 3
        assert coming_in.begun[0].context == {"good": "1"}
        assert "a context has" in caplog.text

    def test_a_server_without_hooks_ignores_it(self, thing):
        with add_hook(outgoing=lambda call: call.context.update(a="1")):
            assert thing.add(1, 2) == 3


class TestHooksThatFail:
    def test_it_is_said_once_and_the_call_goes_on(self, thing, caplog):
        def fails(call):
            raise ZeroDivisionError

        def fails_later(call):
            return fails

        for hook in (fails, fails_later, lambda call: "nothing that can be called"):
            caplog.clear()
            with add_hook(outgoing=hook, incoming=hook):
                for _ in range(3):
                    assert thing.add(1, 2) == 3
            assert len(caplog.records) == 2  # of what goes out, and of what comes in

    def test_the_others_are_called(self, thing, caplog):
        recorder = Recorder()

        def fails(call):
            return 1 / 0

        with add_hook(outgoing=recorder), add_hook(outgoing=fails), add_hook(outgoing=recorder):
            thing.notes()
        assert len(recorder.ended) == 2

    def test_an_interrupt_within_one_goes_through(self, thing):
        recorder = Recorder()

        def interrupts(call):
            raise KeyboardInterrupt

        with (
            add_hook(outgoing=recorder),
            add_hook(outgoing=interrupts),
            pytest.raises(KeyboardInterrupt),
        ):
            thing.notes()
        assert recorder.both() == [("Thing.notes", "KeyboardInterrupt")]

    @pytest.mark.parametrize("functions", [{}, {"outgoing": 1}, {"incoming": "f"}])
    def test_what_is_no_hook_is_refused(self, functions):
        with pytest.raises(TypeError):
            add_hook(**functions)


class TestAddingAndRemoving:
    def test_they_nest(self, thing):
        told = []

        def hook(name):
            def begin(call):
                told.append(name)
                return lambda error: told.append(f"/{name}")

            return begin

        with add_hook(outgoing=hook("a")), add_hook(outgoing=hook("b")):
            thing.notes()
        assert told == ["a", "b", "/b", "/a"]

    def test_a_call_that_has_begun_ends(self, server, thing):
        recorder = Recorder()
        hook = add_hook(outgoing=recorder)
        future = thing.wait(_sync="async")
        hook.remove()
        hook.remove()
        server["thing"].gate.set()
        future.result(10)
        thing.notes()
        assert len(recorder.ended) == 1

    def test_reset_removes_them(self):
        add_hook(outgoing=Recorder(), incoming=Recorder())
        pyacq_rpc.reset()
        assert current().outgoing_hooks == current().incoming_hooks == ()

    def test_many_threads_add_and_remove_them(self):
        def work():
            for _ in range(200):
                add_hook(outgoing=print).remove()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert current().outgoing_hooks == ()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
    def test_the_child_of_a_fork_has_them(self):
        hook = add_hook(outgoing=print)
        pid = os.fork()
        if not pid:
            inherited = current().outgoing_hooks == (hook,)
            hook.remove()
            os._exit(0 if inherited and not current().outgoing_hooks else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    def test_its_repr_names_the_functions(self):
        with add_hook(incoming=print) as hook:
            assert repr(hook) == "<Hook incoming=<built-in function print>>"


def test_without_hooks_nothing_of_them_is_imported(client, thing, monkeypatch):
    assert settled(client)
    monkeypatch.setitem(__import__("sys").modules, "pyacq_rpc.peers.hooks", None)
    assert thing.add(1, 2) == 3
