"""Servers in event loops: what is awaited, in which order, and beside what."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

import pytest
import zmq
from conftest import eventually
from event_loops import run_in
from manual_peer import Peer
from overtaking import Asking, leave_alone, while_status_is_told
from things import Thing

from pyacq_rpc import AsyncClient, LimitExceeded, Limits, RemoteCallException, RPCClient, RPCServer
from pyacq_rpc.loops import request_tasks
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire.messages import Cancel, Request, Target


@pytest.fixture
def thing(async_server):
    return RPCClient(async_server.address)["thing"]


def test_sync_and_async_methods_are_called_alike(thing):
    assert thing.add(1, 2) == 3
    assert thing.nap(0.01) == 0.01
    assert thing.nap(0.01, _sync="async").result(10) == 0.01


def test_a_hundred_naps_take_no_longer_than_a_few(async_server, thing):
    begin = time.monotonic()
    futures = [thing.nap(0.2, _sync="async") for _ in range(100)]
    assert [future.result(20) for future in futures] == [0.2] * 100
    assert time.monotonic() - begin < 10
    assert async_server.thing.most > 10


def test_requests_begin_in_the_order_sent(async_server, thing):
    futures = []
    for value in range(60):
        method = thing.begin if value % 3 else thing.note
        futures.append(method(value, _sync="async"))
    for future in futures:
        future.result(20)
    assert async_server.thing.log == list(range(60))


def test_an_answer_need_not_wait_for_those_before_it(thing):
    slow = thing.nap(60, _sync="async")
    assert thing.add(1, 2) == 3
    assert not slow.done()
    slow.cancel()


def test_calls_of_a_task_tell_that_it_was_asked_for(async_server, server):
    """Wherever it has got to, and so do those of the tasks that it begins."""
    server["depth"] = lambda: current().thread().depth_of_calls() - 1

    async def ask():
        async with AsyncClient(server.address) as client:
            depth = await client["depth"]
            return [await depth(), *await asyncio.gather(depth(), asyncio.create_task(ask_once()))]

    async def ask_once():
        async with AsyncClient(server.address) as client:
            depth = await client["depth"]
            return await depth()

    async_server["ask"] = ask
    assert RPCClient(async_server.address)["ask"]() == [1, 1, 1]


def test_futures_are_awaited_too(thing):
    assert thing.future() == "in time"


def test_results_travel_as_they_were_asked_for(thing, async_server):
    async def make():
        return [1, 2]

    async_server["make"] = make
    make = RPCClient(async_server.address)["make"]
    assert make() == [1, 2]
    made = make(_return_type="proxy")
    made.append(3)
    assert made._get_value() == [1, 2, 3]


def test_what_has_methods_of_its_own_is_not_awaited(thing, async_server):
    class Job:
        def __await__(self):
            yield

        def state(self):
            return "running"

    async_server["start"] = Job
    assert RPCClient(async_server.address)["start"]().state() == "running"


def test_failures_are_told_with_their_traceback(thing):
    with pytest.raises(ValueError, match="too dark") as caught:
        thing.fail_later("too dark")
    assert "in fail_later" in caught.value.remote_traceback


@pytest.mark.parametrize("error", ["SystemExit", "CancelledError"])
def test_what_a_coroutine_raises_ends_nothing_else(thing, error):
    other = thing.nap(0.1, _sync="async")
    with pytest.raises(RemoteCallException) as caught:
        thing.raise_it(error)
    assert caught.value.type_name.endswith(error)
    assert other.result(10) == 0.1


def test_a_failure_that_nobody_waits_for_is_logged(thing, caplog):
    thing.fail_later("unseen", _sync="off")
    assert eventually(lambda: "ValueError: unseen" in caplog.text)
    caplog.clear()


def test_callbacks_may_be_coroutines(async_server, thing):
    thing.begin._notify("noted", "and not taken").result(10)
    assert async_server.thing.log == ["noted"]


def test_arguments_live_while_the_task_runs(async_server, thing, server):
    server["thing"] = Thing()
    other = RPCClient(server.address)["thing"].make()

    async def use(thing):
        await asyncio.sleep(0.3)
        return await thing.add(1, 2, _sync="async")

    async_server["use"] = use
    future = RPCClient(async_server.address)["use"](other, _sync="async")
    del other
    assert future.result(10) == 3


def test_callbacks_of_a_loop_with_a_server_run_in_it(run, server):
    server["thing"] = Thing()
    seen = []

    async def note(value):
        await asyncio.sleep(0)
        seen.append((value, threading.get_ident()))
        return "noted"

    async def main():
        own = RPCServer()
        serving = asyncio.create_task(own.run_async())
        async with AsyncClient(server.address) as client:
            thing = await client["thing"]
            assert await thing.call(note, 3) == "noted"
            assert await thing.call(lambda: seen.append("sync")) is None
        own.close()
        await serving

    run(main())
    assert seen == [(3, threading.get_ident()), "sync"]


def test_a_coroutine_calls_back(thing, other_server):
    RPCServer().run_lazy()
    assert thing.call_back(lambda: "called") == "called"


def test_a_sync_method_that_waits_lets_its_callers_in(async_server, server):
    asked = RPCClient(async_server.address)["thing"]
    server["ask"] = lambda thing: thing.add(1, 2)
    ask = RPCClient(server.address)["ask"]
    async_server["through"] = lambda: ask(asked)
    assert RPCClient(async_server.address)["through"]() == 3


def test_status_tells_what_runs(thing, async_server):
    client = RPCClient(async_server.address)
    assert client.status(10).state == "alive"
    futures = [thing.nap(60, _sync="async") for _ in range(2)]
    thing.add(1, 2)
    status = client.status(10)
    assert (status.state, status.doing) == ("busy", "2 x thing.nap")
    assert 0 <= status.seconds < 30
    for future in futures:
        future.cancel()
    assert eventually(lambda: client.status().state == "alive")


def test_interrupt_ends_what_runs(thing, async_server):
    future = thing.nap(60, _sync="async")
    thing.add(1, 2)
    assert RPCClient(async_server.address).interrupt()
    with pytest.raises(RemoteCallException) as caught:
        future.result(10)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert "in nap" in caught.value.remote_traceback
    assert not RPCClient(async_server.address).interrupt()


def test_an_interrupt_that_comes_before_the_first_step_is_told(thing, async_server, monkeypatch):
    begin = request_tasks.RequestTasks._begin_at_depth

    def begin_interrupted(tasks, *args):
        interrupting = threading.Thread(target=async_server.interrupt)  # as the I/O thread does
        interrupting.start()
        interrupting.join()
        return begin(tasks, *args)

    with monkeypatch.context() as patch:
        patch.setattr(request_tasks.RequestTasks, "_begin_at_depth", begin_interrupted)
        future = thing.nap(60, _sync="async")
        with pytest.raises(RemoteCallException) as caught:
            future.result(10)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert "begun 60" not in async_server.thing.log
    assert thing.nap(0.01) == 0.01


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_task_is_made_is_told(thing, async_server, monkeypatch, when):
    begin = request_tasks.RequestTasks._begin_at_depth

    def interrupt(tasks, *args):
        if when == "after":
            begin(tasks, *args)
        doing = async_server.doing
        doing.wanted, doing._raised = doing.request, True  # else it is Ctrl-C, and ends the server
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(request_tasks.RequestTasks, "_begin_at_depth", interrupt)
        with pytest.raises(RemoteCallException) as caught:
            thing.nap(60)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert thing.nap(0.01) == 0.01
    assert "begun 60" not in async_server.thing.log
    assert async_server.status()["doing"] is None
    assert async_server.running()


def test_interrupt_of_one_leaves_the_others_alone(thing, async_server):
    client = RPCClient.get_client(async_server.address)
    one, other = (thing.nap(60, _sync="async") for _ in range(2))
    thing.add(1, 2)
    assert client.interrupt(10, future=one)
    with pytest.raises(RemoteCallException) as caught:
        one.result(10)
    assert caught.value.type_name == "KeyboardInterrupt"
    assert not client.interrupt(10, future=one)
    assert not other.done()
    other.cancel()


def test_timers_run_and_may_be_coroutines(async_server):
    ticks = []

    async def tick():
        ticks.append("begun")
        await asyncio.sleep(0.05)
        ticks.append("ended")

    timer = async_server.start_timer(tick, 0.01)
    plain = async_server.start_timer(lambda: ticks.append("plain"), 0.01)
    assert eventually(lambda: ticks.count("ended") >= 3 and ticks.count("plain") >= 3)
    timer.stop()
    plain.stop()
    in_turn = [tick for tick in ticks if tick != "plain"]
    assert in_turn[:6] == ["begun", "ended"] * 3  # they do not overlap


def test_a_coroutine_of_a_timer_that_fails_is_logged(async_server, caplog):
    async def fail():
        raise ValueError("no tick")

    timer = async_server.start_timer(fail, 0.01)
    assert eventually(lambda: caplog.text.count("no tick") >= 2)
    timer.stop()
    assert "it will be called again" in caplog.text
    caplog.clear()


def test_running_requests_count_as_those_that_wait(kind):
    server = RPCServer(limits=Limits(requests=16))
    naps = []

    async def nap():
        naps.append(1)
        await asyncio.sleep(60)

    server["nap"] = nap
    thread = threading.Thread(target=lambda: run_in(kind, server.run_async()))
    thread.start()
    client = RPCClient(server.address)
    nap = client["nap"]
    futures = [nap(_sync="async") for _ in range(16)]
    assert eventually(lambda: len(naps) == 16)
    with pytest.raises(LimitExceeded, match="wait or run already"):
        client.ping()
    for future in futures:
        future.cancel()

    def is_taken_again():
        try:
            return client.ping() == "pong"
        except LimitExceeded:
            return False

    assert eventually(is_taken_again)
    server.close()
    thread.join(10)


def test_a_server_elsewhere_hands_coroutines_out_by_proxy(server, client):
    async def nap():
        return 1

    server["nap"] = nap
    nap = client["nap"]()
    assert "coroutine" in repr(nap)
    nap.close()


def test_proxies_of_its_own_objects_are_awaited_in_its_thread(run):
    server = RPCServer()

    async def double(x):
        await asyncio.sleep(0)
        return 2 * x

    async def main():
        serving = asyncio.create_task(server.run_async())
        await asyncio.sleep(0)
        proxy = server.get_proxy(double)
        assert await proxy(2) == 4
        assert await proxy(3, _sync="async") == 6
        future = proxy(4, _sync="async")
        with pytest.raises(RuntimeError, match="await the future"):
            future.result()
        assert await future == 8
        server.close()
        await serving

    run(main())


def test_it_is_run_once_in_one_thread(run):
    async def main():
        server, other = RPCServer(), RPCServer()
        serving = asyncio.create_task(server.run_async())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="runs already"):
            await server.run_async()
        with pytest.raises(RuntimeError, match="already has a server"):
            await other.run_async()
        other.close()
        await other.run_async()  # asked to close before
        server.close()
        await serving
        assert RPCServer.get_server() is None

    run(main())


def test_an_event_loop_that_cannot_watch_descriptors_is_refused(run):
    async def main():
        server = RPCServer()
        loop = asyncio.get_running_loop()

        class Loop:
            def __getattr__(self, name):
                if name == "add_reader":
                    raise NotImplementedError
                return getattr(loop, name)

        real, asyncio.get_running_loop = asyncio.get_running_loop, Loop
        try:
            with pytest.raises(RuntimeError, match="SelectorEventLoop"):
                await server.run_async()
        finally:
            asyncio.get_running_loop = real
        assert not server.running()

    run(main())


def test_answers_over_zmq_swallow_no_request(run, async_server, monkeypatch):
    monkeypatch.setattr(current(), "direct", False)

    async def main():
        async with AsyncClient(async_server.address) as client:
            thing = await client["thing"]

            async def use(number):
                for value in range(30):
                    assert await thing.begin(value) == value
                return number

            assert await asyncio.gather(*map(use, range(20))) == [*range(20)]

    run(main())


def test_many_clients_at_once(async_server):
    counts = []

    def use():
        thing = RPCClient(async_server.address)["thing"]
        counts.append(sum(f.result(20) for f in [thing.nap(0.01, _sync="async")] * 20))

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counts) == 10


def test_the_loop_goes_on_under_load(kind):
    gaps = []
    server = RPCServer()
    server["thing"] = Thing()

    async def tick():
        last = time.monotonic()
        while server.running():
            await asyncio.sleep(0.01)
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    async def main():
        await asyncio.gather(server.run_async(), tick())

    thread = threading.Thread(target=lambda: run_in(kind, main()))
    thread.start()
    add = RPCClient(server.address)["thing"].add
    batches, stop = 0, time.monotonic() + 1.0
    while batches < 10 or time.monotonic() < stop:
        futures = [add(1, 2, _sync="async") for _ in range(200)]
        assert all(future.result(20) == 3 for future in futures)
        batches += 1
    server.close()
    thread.join(10)
    assert len(gaps) >= 3
    assert max(gaps) < 10.0


@pytest.fixture
def meet(async_server):
    """Makes a peer of the server that writes its messages by hand."""
    with zmq.Context() as context, contextlib.ExitStack() as peers:

        def meet():
            peer = Peer(context, async_server.address)
            peers.callback(peer.socket.close)
            return peer

        yield meet


def test_what_is_withdrawn_when_something_urgent_is_answered_is_cancelled(
    async_server, meet, monkeypatch
):
    peer, other = meet(), meet()
    leave_alone(async_server, peer, other)
    nap = {"obj": Target("@thing", ["nap"]), "args": [60], "kwargs": {}}
    peer.send(Request(1000, "call_obj", "auto", nap))
    assert eventually(lambda: async_server.thing.running == 1)
    while_status_is_told(async_server, lambda: peer.send(Cancel(1000)), monkeypatch)
    assert other.ask("status")["doing"] == "thing.nap"
    assert peer.receive().type_name == "asyncio.exceptions.CancelledError"


def test_what_is_urgent_is_seen_when_an_answer_was_sent_beside_the_turns(
    async_server, meet, monkeypatch
):
    """And the event loop is held up then, so that no turn follows."""
    peer, asking = meet(), Asking(async_server, meet())
    leave_alone(async_server, peer, asking.peer)
    found, has_held_up = [], threading.Event()

    def hold_up():
        found.append(asking.has_answer())
        has_held_up.set()

    def answer_and_hold_up(*args):
        answer_late(*args)
        asyncio.get_running_loop().call_soon(hold_up)

    async def work():
        await asyncio.sleep(0.01)  # so that it is answered by its task
        asking.ask()

    answer_late = request_tasks.answer_late
    monkeypatch.setattr(request_tasks, "answer_late", answer_and_hold_up)
    async_server["work"] = work
    assert peer.call("@work") is None
    assert has_held_up.wait(20)
    assert found == [True]
