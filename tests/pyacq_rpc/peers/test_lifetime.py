"""Leases between real servers and clients; the table alone is tested with it."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import threading
import weakref

import pytest
from conftest import eventually, settled
from things import Thing

from pyacq_rpc import RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.leases import LOCAL
from spawner import ProcessSpawner


def test_a_dropped_proxy_releases_its_object(server, thing):
    before = len(server.table)
    made = [thing.make() for _ in range(10)]
    assert len(server.table) == before + 10
    del made
    assert eventually(lambda: len(server.table) == before)


def test_an_object_dies_when_its_last_proxy_does(server, client):
    thing = Thing()
    seen = weakref.ref(thing)
    server["thing"] = thing
    proxy = client["thing"]
    del server["thing"], thing
    gc.collect()
    assert seen() is not None
    del proxy
    assert eventually(lambda: seen() is None)


def test_attribute_proxies_own_nothing_and_keep_their_object(server, thing):
    before = len(server.table)
    for _ in range(100):
        thing.add, thing.log.append  # noqa: B018  # made and dropped at once
    gc.collect()
    assert thing.add(1, 2) == 3
    assert len(server.table) == before
    method = thing.make().add
    assert method(1, 2) == 3
    del method
    assert eventually(lambda: len(server.table) == before)


def test_copies_share_the_lease(server, thing):
    import copy

    made = thing.make()
    again = copy.copy(made)
    deep = copy.deepcopy(made)
    del made
    assert again.add(1, 2) == deep.add(1, 2) == 3


def test_a_proxy_that_comes_home_is_the_object(server, thing):
    assert thing.call(lambda: None) is None
    original = server["thing"]
    thing.keep(thing)
    assert original.kept is original
    thing.keep([thing, {"a": thing.add}])
    assert original.kept[0] is original
    assert original.kept[1]["a"] == original.add


def test_in_a_thread_with_a_server_own_objects_come_back_as_themselves(thing):
    server = RPCServer()
    server.run_lazy()
    mine = Thing()
    assert thing.echo(mine) is mine
    assert thing.echo({"a": (mine,)})["a"][0] is mine
    assert thing.echo(mine.add) == mine.add


def test_a_proxy_handed_on_stays_good_when_the_sender_drops_it(
    server, thing, other_server, other_thing
):
    made = thing.make()
    other_thing.keep(made)
    del made
    gc.collect()
    assert other_thing.kept.add(1, 2) == 3
    other_thing.drop()
    assert eventually(lambda: len(server.table) == 1)  # `thing` itself


def test_ten_thousand_handoffs_lose_none():
    with ProcessSpawner() as owner, ProcessSpawner() as receiver:
        thing = owner._import("things").Thing()
        table = owner._import("pyacq_rpc").RPCServer.get_server().table._undefer()
        other = receiver._import("things").Thing()
        before = len(table)
        for _ in range(100):
            made = [thing.make(_sync="async") for _ in range(100)]
            while made:
                other.note(made.pop().result(), _sync="off")
        assert other.count_that_add(1, 2, 3, _timeout=None) == 10_000
        assert len(table) == before + 10_000
        other.log.clear()
        assert eventually(lambda: len(table) == before)


def test_handing_on_through_a_chain_of_servers(server, thing, other_server, other_thing):
    for _ in range(50):
        thing.keep(other_thing.echo(thing.make()))
        assert server["thing"].kept.add(1, 2) == 3
    thing.drop()
    assert eventually(lambda: len(server.table) == 1)


def test_delete_revokes_copies_that_were_handed_on(server, thing, other_thing):
    made = thing.make()
    other_thing.keep(made)
    other_thing.call(other_thing.kept.add, 1, 2)
    again = thing.me()
    made._delete()
    with pytest.raises(ReferenceError):
        other_thing.kept.add(1, 2)
    assert again.add(1, 2) == 3


def test_a_call_on_a_proxy_that_is_dropped_at_once_arrives(server, thing):
    def use(made):
        made.note(1, _sync="off")

    kept = []
    for _ in range(200):
        made = thing.make()
        kept.append(weakref.ref(server.table.get(made._ref_id, LOCAL)))
        # From another thread, so that call and release take different ways.
        thread = threading.Thread(target=use, args=(made,))
        thread.start()
        del made
        thread.join()
    assert thing.notes() == []
    assert eventually(lambda: len(server.table) == 1)


def test_calls_without_an_answer_keep_what_they_carry(server, thing):
    for _ in range(500):
        thing.note(thing.make(), _sync="off")
    assert thing.add(1, 2) == 3
    assert all(isinstance(made, Thing) for made in server["thing"].log)
    assert len(server["thing"].log) == 500


def test_the_leases_of_a_killed_process_come_back(server):
    server["thing"] = Thing()
    with ProcessSpawner() as node:
        there = node._import("pyacq_rpc").RPCClient(server.address)
        node["keep"] = [there["thing"].make(_return_type="proxy") for _ in range(3)]
        assert len(server.table) >= 3
        os.kill(node.pid, signal.SIGKILL)
        del there
        gc.collect()
        assert eventually(lambda: len(server.table) == 0, 5.0)


def break_connection(server, client):
    """Break what is below a client's connection, and no other one."""
    assert settled(client)
    # The last one that has said hello.
    server.listener.connections.all()[-1].backlog.cut()


def test_what_was_held_through_a_connection_that_breaks_comes_back(server, thing, client):
    """Though others of the same process do not break."""
    assert len(server.table) == 1
    broken = RPCClient(server.address)
    held = broken["thing"]
    break_connection(server, broken)
    assert eventually(broken.disconnected)
    anew = RPCClient.get_client(server.address)
    assert anew is not client
    assert eventually(lambda: client.closed() and len(server.table) == 0)
    for proxy in (thing, held):
        with pytest.raises(ServerDisconnected, match="is gone"):
            proxy.add(1, 2)
    assert anew["thing"].make().add(1, 2) == 3
    assert eventually(lambda: len(server.table) == 0)
    client.reconnect()
    assert client["thing"].add(1, 2) == 3


def test_what_was_held_through_a_connection_that_the_server_ends_comes_back(server, thing, client):
    """Over the others of the same process, which stay."""
    ended = RPCClient(server.address)
    held = ended["thing"]
    assert settled(ended)
    server.listener.cut(server.listener.connections.all()[-1], "for a test")
    assert client.ping() == "pong"
    assert eventually(ended.disconnected)
    assert len(server.table) == 2
    del held
    assert eventually(lambda: len(server.table) == 1)
    assert client.ping() == "pong"


def test_an_answer_that_nobody_reads_any_more_leaves_nothing_behind(server, thing, client):
    """A request is carried out although its client is gone, as far as that one knows."""
    broken = RPCClient(server.address)
    there = broken["thing"]
    assert settled(broken)
    blocker = broken.call_obj(there.wait, sync="async")
    assert eventually(lambda: server.doing.request)
    unread = broken.call_obj(there.make, sync="async")
    broken.channel.lose("has died")  # as one that is frozen seems to have
    assert eventually(client.closed)
    for future in (blocker, unread):
        with pytest.raises(ServerDisconnected, match="has died"):
            future.result()
    anew = RPCClient(server.address)
    server["thing"].gate.set()
    assert anew["thing"].add(1, 2) == 3
    assert eventually(lambda: len(server.table) == len(server.listener.connections) - 1 == 0)


def test_who_connects_before_a_loss_is_noticed_revives_no_leases(server, thing, client):
    """It has greeted by the name that those leases are held by, and is not answered yet."""
    blocker = thing.wait(_sync="async")
    assert eventually(lambda: server.doing.request)
    early = RPCClient(server.address)
    waiting = early.ping(sync="async")
    client.channel.lose("has died")  # as one that is frozen seems to have
    assert not early.closed()  # it might reach another server there
    server["thing"].gate.set()
    with contextlib.suppress(ServerDisconnected):
        waiting.result(10)  # the answer may have come along with the greeting
    assert eventually(early.closed)
    with pytest.raises(ServerDisconnected, match="was out of reach"):
        early.ping()
    assert isinstance(blocker.exception(), ServerDisconnected)
    assert eventually(lambda: len(server.table) == len(server.listener.connections) == 0)
    early.reconnect()
    assert early["thing"].add(1, 2) == 3


def test_a_request_that_ends_after_its_client_was_forgotten_leaves_no_lease(server, monkeypatch):
    """It has let others be served, while the socket would still take the answer."""
    monkeypatch.setattr(server.runtime, "direct", False)

    def forget_who_asks():
        (asking,) = server.listener.connections.all()
        server._reception._forget(asking)
        return Thing()

    server["forget"] = forget_who_asks
    client = RPCClient(server.address)
    forget = client["forget"]
    future = forget(_sync="async")
    with pytest.raises(ServerDisconnected, match="replaced"):
        client.ping()
    assert isinstance(future.exception(), ServerDisconnected)
    assert len(server.table) == 0


def lose_an_earlier_server(client):
    """Have it be noticed only now, after this one has greeted the next server by the same name."""
    along = []
    current().links.server_gone(client.channel, "an earlier one", False, along)
    assert along == []


def test_who_connects_before_a_loss_is_noticed_may_have_reached_the_next_server(server, thing):
    early = RPCClient.get_client(server.address)
    lose_an_earlier_server(early)
    assert early.ping() == "pong"
    anew = RPCClient(server.address)
    assert anew.channel.peer != early.channel.peer
    assert anew["thing"].call(thing.add, 1, 2) == thing.call(anew["thing"].add, 1, 2) == 3


def test_leases_that_only_an_ended_thread_has_the_name_for_stay(server):
    server["thing"] = Thing()
    made = []

    def work():
        client = RPCClient(server.address)
        made.append(client["thing"].make())
        lose_an_earlier_server(client)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert made[0].add(1, 2) == 3
    assert settled(RPCClient.get_client(server.address))
    # Whoever would close the thread's connection has had the time to.
    assert not eventually(lambda: len(server.listener.connections) < 2, 0.2)
    assert made[0].add(1, 2) == 3
    made.clear()
    assert eventually(lambda: len(server.table) == 0)
    assert eventually(lambda: len(server.listener.connections) == 1)


def test_leases_outlive_the_thread_that_got_them(server, thing):
    made = []
    thread = threading.Thread(target=lambda: made.append(RPCClient(server.address)["thing"].make()))
    thread.start()
    thread.join()
    before = len(server.table)
    assert made[0].add(1, 2) == 3
    made.clear()
    assert eventually(lambda: len(server.table) < before)


@pytest.mark.parametrize("serializer", ["msgpack", "json"])
def test_no_call_makes_garbage_that_only_the_collector_finds(server, serializer):
    server["thing"] = Thing()
    thing = RPCClient(server.address, serializer=serializer)["thing"]

    def calls():
        thing.add(1, 2)
        thing.keep(thing)
        thing.make()
        thing.echo([(1, {2: 3})])
        thing.call(len, [1])
        thing.add(1, 2, _sync="async").result()
        with contextlib.suppress(ValueError):
            thing.fail("x")

    calls()
    gc.collect()
    gc.disable()
    try:
        calls()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_what_a_refused_message_opened_is_taken_back(server, thing):
    before = len(server.table)
    loop: list = [Thing()]
    loop.append(loop)
    server["loop"] = loop
    with pytest.raises(TypeError):
        RPCClient.get_client(server.address)["loop"]
    assert len(server.table) == before
