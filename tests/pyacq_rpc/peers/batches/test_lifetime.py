"""The books of leases return to what they were, whatever becomes of a batch."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest
from blocks import whole_block_raises
from conftest import eventually, settled
from things import Thing

from pyacq_rpc import LimitExceeded, Limits, RPCClient, RPCServer, ServerDisconnected, Service
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner


@pytest.fixture
def books(server, thing):
    """Whether the server has no more references than when this was made."""
    before = len(server.table)
    return lambda: eventually(lambda: gc.collect() >= 0 and len(server.table) == before)


def test_proxies_are_held_as_long_as_their_promises(server, client, thing, books):
    before = len(server.table)
    with client.batch():
        made = [thing.make() for _ in range(10)]
    assert made[-1].result(10).add(1, 2) == 3
    assert len(server.table) == before + 10
    del made
    assert books()


def test_results_that_are_never_read(client, thing, books):
    with client.batch():
        made = [thing.make() for _ in range(10)]
    del made
    client.ping()
    assert books()


def test_results_that_only_a_callback_waits_for(client, thing, books):
    got = []
    with client.batch():
        thing.add(1, 2).add_done_callback(lambda promise: got.append(promise.result()))
        made = thing.make()
        made.value = 5
        made.value.add_done_callback(lambda promise: got.append(promise.result()))
        thing.fail("on purpose").add_done_callback(lambda promise: got.append(promise.exception()))
        del made
        gc.collect()
    assert eventually(lambda: len(got) == 3)
    assert got[:2] == [3, 5]
    assert "on purpose" in str(got[2])
    got.clear()
    assert books()


def test_answers_that_are_dropped(server, client, thing, books):
    with client.batch():
        busy, made = thing.wait(), thing.make()
    made.cancel()
    server["thing"].gate.set()
    assert busy.result(10)
    assert books()


def test_a_block_that_raises(client, thing, other_server, other_thing, books):
    local = Thing()
    seen = weakref.ref(local)
    made = other_thing.make()
    with whole_block_raises(KeyError), client.batch():
        thing.echo([made, local, thing.make()])
        raise KeyError
    del local, made
    assert eventually(lambda: gc.collect() >= 0 and seen() is None)
    assert eventually(lambda: len(other_server.table) == 1)
    assert books()


def test_a_batch_that_is_refused(server, other_server, other_thing):
    """What was handed on in it is taken back, though nobody has read it."""
    small = RPCServer(limits=Limits(requests=16))
    small["thing"] = Thing()
    thread = threading.Thread(target=small.run_forever)
    thread.start()
    client = RPCClient(small.address)
    thing, made, local = client["thing"], other_thing.make(), Thing()
    seen = weakref.ref(local)
    with client.batch():
        promises = [thing.note([made, local]) for _ in range(17)]
    with pytest.raises(LimitExceeded):
        promises[0].result()
    del made, local
    assert eventually(lambda: gc.collect() >= 0 and seen() is None)
    assert eventually(lambda: len(other_server.table) == 1)
    small.close()
    thread.join(10)


def test_what_is_handed_on(server, client, thing, other_server, other_thing, books):
    with client.batch():
        made = thing.make()
        thing.keep([other_thing.make(_return_type="proxy"), made])
        kept = thing.kept._undefer()
    there, here = kept.result(10)
    del made, kept
    assert (there.add(1, 2), here.add(3, 4)) == (3, 7)
    thing.drop()
    del there, here
    assert eventually(lambda: gc.collect() >= 0 and len(other_server.table) == 1)
    assert books()


def test_what_is_handed_on_in_what_is_not_carried_out(client, thing, other_server, other_thing):
    """It is read all the same, and so given back."""
    made, local = other_thing.make(), Thing()
    seen = weakref.ref(local)
    with client.batch():
        bad = thing.fail("no")
        worse = [thing.echo([bad, made, local]), bad.foo(made, local)]
    assert {type(promise.exception(10)).__name__ for promise in worse} == {"ValueError"}
    del made, local
    assert eventually(lambda: gc.collect() >= 0 and seen() is None)
    assert eventually(lambda: len(other_server.table) == 1)


def test_callbacks_work(client, thing):
    called = []
    with client.batch():
        thing.call(called.append, 1)
        thing.call(called.append, thing.add(1, 1))
    assert called == [1, 2]


def test_a_server_that_dies(other_server, other_thing):
    made, local = other_thing.make(), Thing()
    seen = weakref.ref(local)
    with ProcessSpawner(name="mortal") as node:
        sleep = node._import("time").sleep
        client = node.client
        assert settled(client)
        with client.batch():
            first = sleep(60)
            second = node._import("operator").is_(made, local)
        assert eventually(lambda: client.status().doing == "time.sleep (1 of 3 in a batch)")
        node.kill()
        for promise in (first, second):
            with pytest.raises(ServerDisconnected):
                promise.result(10)
    del made, local
    current().watcher.do(lambda: None)
    assert eventually(lambda: gc.collect() >= 0 and seen() is None)
    assert eventually(lambda: len(other_server.table) == 1)


def test_a_client_that_dies(server):
    server["thing"] = Thing()
    before = len(server.table)
    with ProcessSpawner(name="client") as node:
        run = node._import("builtins").exec
        code = (
            "from pyacq_rpc import RPCClient\n"
            f"client = RPCClient({server.address!r})\n"
            "thing = client['thing']\n"
            "with client.batch():\n"
            "    kept = [thing.make() for _ in range(5)] + [thing.wait()]\n"
        )
        scope = node._import("builtins").dict(_return_type="proxy")
        run(code, scope)
        assert eventually(lambda: len(server.table) >= before + 5)
        node.kill()
    server["thing"].gate.set()
    assert eventually(lambda: len(server.table) == before)


def test_results_are_let_go_of_with_the_batch(server, client, thing):
    class Result:
        pass

    seen = []

    def make():
        result = Result()
        seen.append(weakref.ref(result))
        return result

    server["make"] = make
    made = client["make"]
    with client.batch():
        thing.note(thing.echo(made()))
        thing.log.clear()
    client.ping()
    assert eventually(lambda: gc.collect() >= 0 and seen[0]() is None)


class TestOfAService:
    @pytest.fixture
    def site(self):
        server = RPCServer(policy=Service({Thing: ["make", "add", "echo", "note", "fail"]}))
        server["thing"] = Thing()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        yield server, RPCClient(server.address)
        server.close()
        thread.join(10)

    def test_each_request_is_asked_about(self, site):
        _server, client = site
        thing = client["thing"]
        with client.batch():
            made = thing.make()
            allowed = made.add(1, 2)
            refused = [made.log, made.notes(), thing.log._undefer(), client._import("os")]
            argument = thing.echo(thing.make)
        assert allowed.result() == 3
        for promise in refused:
            with pytest.raises(PermissionError):
                promise.result()
        assert argument.exception(10) is None

    def test_what_may_not_be_called_is_no_argument(self, site):
        server, client = site
        server["thing"].make = server["thing"].notes  # a method that gives one away
        server["thing"].add = lambda a, b: server["thing"].notes
        thing = client["thing"]
        with client.batch():
            function = thing.echo(client["thing"]).add
            passed = thing.note(function)
        with pytest.raises(PermissionError):
            passed.result()

    def test_tracebacks_stay_there(self, site, caplog):
        _, client = site
        thing = client["thing"]
        with client.batch():
            bad = thing.fail("no")
            worse = thing.note(bad)
        for promise in (bad, worse):
            assert promise.exception(10).remote_traceback == ""
        assert caplog.text.count("ValueError: no") == 1
