"""What is handed on can be used at once, though grants and claims are still on their way.

By our own clients, of several threads and processes.
"""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from conftest import collected, eventually
from processes import in_a_fork
from things import Thing

from pyacq_rpc import ObjectProxy, ReferenceReleased, RPCClient, RPCServer
from pyacq_rpc.peers import conversation
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.exchange import resolve
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.wire.messages import Claim, Grant, Release
from spawner import ProcessSpawner


class Held:
    """Messages that were sent and have not arrived: grants and claims are held up on their way."""

    def __init__(self, monkeypatch, kinds, besides):
        self.messages = []
        self.note = note = Channel.note

        def hold(channel, message):
            if isinstance(message, kinds) and channel is not besides:
                self.messages.append((channel, message))
            else:
                note(channel, message)

        self.monkeypatch = monkeypatch
        monkeypatch.setattr(Channel, "note", hold)

    def let_go(self):
        """They arrive."""
        self.monkeypatch.setattr(Channel, "note", self.note)
        for channel, message in self.messages:
            channel.note(message)


@pytest.fixture
def hold(monkeypatch):
    def hold(*kinds, besides=None):
        return Held(monkeypatch, kinds, besides)

    return hold


class Elsewhere:
    """Runs something in a thread that stays until the test ends, as do its clients."""

    def __init__(self):
        self.pool = ThreadPoolExecutor(1)

    def __call__(self, function, *args):
        return self.pool.submit(function, *args).result(10)


@pytest.fixture
def elsewhere():
    elsewhere = Elsewhere()
    yield elsewhere
    elsewhere.pool.shutdown()


def only_thing_is_left(server):
    gc.collect()
    return eventually(lambda: len(server.table) == 1)


def test_a_handoff_is_good_though_grants_are_held_up(server, thing, hold):
    with ProcessSpawner() as node:
        other_thing = node._import("things").Thing()
        made = thing.make()
        held = hold(Grant)
        other_thing.keep(made)
        assert other_thing.call(other_thing.kept.add, 1, 2) == 3
        held.let_go()
        del made
        other_thing.drop()
        assert only_thing_is_left(server)


def test_an_owner_that_cannot_admit_the_receiver_for_a_while_hears_of_its_claim_later():
    """It holds the GIL; for longer than somebody who is not there is looked for."""
    with ProcessSpawner() as owner, ProcessSpawner() as receiver:
        receiver._import("pyacq_rpc.peers.watcher").LINGER = 100
        table = owner._import("pyacq_rpc").RPCServer.get_server().table._undefer()
        libc = owner._import("ctypes").PyDLL(None)
        before = len(table)
        made = owner.client.transfer([])
        busy = libc.sleep(2, _sync="async")
        assert not receiver._import("operator").is_(made, None)
        del made
        busy.result()
        assert eventually(lambda: len(table) == before)


@pytest.mark.parametrize("end", ["close", "lose"])
def test_what_a_server_that_is_gone_has_not_claimed_is_taken_back(
    server, thing, other_server, other_thing, hold, monkeypatch, end
):
    """It has answered, and the claim that it has sent before has not arrived."""
    monkeypatch.setattr(conversation, "CLAIM_GRACE", 0.2)
    made = thing.make()
    held = hold(Claim)
    other_thing.keep(made)
    assert len(held.messages) == 1
    del made
    thing.add(1, 2)
    assert len(server.table) == 2  # by the grant
    client = RPCClient.get_client(other_server.address)
    if end == "close":
        client.close()
    else:
        client.channel.lose("is out of reach")
    assert only_thing_is_left(server)


def test_what_a_thread_that_has_ended_had_handed_on_is_taken_back(
    server, thing, other_thing, hold, monkeypatch
):
    """As above, but there is nothing any more of what had granted it."""
    monkeypatch.setattr(conversation, "CLAIM_GRACE", 1.0)
    ended, granted = [], []

    def hand_on():
        other_thing.keep(thing.make())
        thing.add(1, 2)
        granted.append(server.table.held_by_others()[1])
        client = RPCClient.get_client(server.address)
        ended.append(weakref.ref(client.channel.holder))

    held = hold(Claim)
    thread = threading.Thread(target=hand_on)
    thread.start()
    thread.join()
    assert len(held.messages) == granted[0] == 1
    assert collected(*ended)
    assert only_thing_is_left(server)


@dataclass
class HandedOn:
    """What another process has just handed on to ours; our claim is on its way."""

    proxies: list[ObjectProxy]
    held: Held


@pytest.fixture
def handed_on(holder, elsewhere, hold):
    token = holder.sealed(holder.ref)
    holder.send(Grant(holder.ref, token))
    assert holder.can_use(holder.ref)
    client = RPCClient.get_client(holder.address)
    held = hold(Claim, besides=client.channel)
    reference = holder.reference(holder.ref, token)
    proxy = elsewhere(resolve, current(), None, None, "", "", reference)
    assert proxy._lease.home is not client.channel.holder
    assert len(held.messages) == 1
    return HandedOn([proxy], held)


USES = {
    "call": lambda thing, made: made.add(1, 2),
    "call for later": lambda thing, made: made.add(1, 2, _sync="async").result(),
    "call without an answer": lambda thing, made: (made.note(1, _sync="off"), made.add(1, 2))[1],
    "give back": lambda thing, made: thing.call(made.add, 1, 2),
    "give back without an answer": lambda thing, made: (
        thing.note(made, _sync="off"),
        thing.log[-1].add(1, 2),
        thing.log.clear(),
    )[1],
    "delete": lambda thing, made: made._delete() or 3,
    "delete by the client": lambda thing, made: (
        RPCClient.get_client(made._rpc_addr).delete(made) or 3
    ),
}


@pytest.mark.parametrize("use", USES)
def test_a_thread_need_not_wait_for_the_claim_of_another(server, handed_on, use):
    """What a proxy came with may be claimed by one thread while another one uses it."""
    thing = RPCClient.get_client(server.address)["thing"]
    assert USES[use](thing, handed_on.proxies[0]) == 3


def test_both_claims_together_make_one_lease(server, holder, handed_on, elsewhere):
    proxy = handed_on.proxies.pop()
    assert proxy.add(1, 2) == 3
    handed_on.held.let_go()
    assert elsewhere(lambda: RPCClient.get_client(server.address).ping()) == "pong"
    assert server.table._peers[proxy._lease.home.peer].leases == {proxy._ref_id: 1}
    holder.send(Release([holder.ref]))
    del proxy
    assert eventually(lambda: len(server.table) == 0)


def test_what_was_claimed_is_claimed_again_only_until_an_answer_came(handed_on, hold):
    (proxy,) = handed_on.proxies
    assert proxy._lease.token
    assert proxy.add(1, 2) == 3
    assert proxy._lease.token == ""
    again = hold(Claim)
    assert proxy.add(1, 2) == 3
    assert again.messages == []


def test_a_thread_may_end_before_its_claim_has_arrived(
    server, thing, other_server, other_thing, hold
):
    made = thing.make()
    ref = made._ref_id
    other_thing.keep(made)
    del made
    held = hold(Claim)
    proxies = []
    clients = len(other_server.listener.connections)
    thread = threading.Thread(target=lambda: proxies.append(other_thing.kept._undefer()))
    thread.start()
    thread.join()
    other_thing.drop()
    assert eventually(lambda: len(other_server.listener.connections) == clients)
    peers = server.table._peers
    assert eventually(lambda: not any(ref in peer.leases for peer in list(peers.values())))
    held.let_go()
    assert proxies.pop().add(1, 2) == 3
    assert only_thing_is_left(server)


def test_what_comes_home_is_the_object_itself_though_claims_and_grants_are_held_up(
    other_thing, hold
):
    """In a thread whose server serves nobody meanwhile, too."""
    lazy = RPCServer()
    lazy.run_lazy()
    mine = Thing()
    held = hold(Claim, Grant)
    other_thing.keep(mine)
    future = other_thing.echo(other_thing.kept, _sync="async")
    assert eventually(future.done)
    assert future.result() is mine
    held.let_go()
    other_thing.drop()
    assert eventually(lambda: other_thing.add(1, 2) == 3 and len(lazy.table) == 0)


def test_round_three_processes_and_back(server, thing):
    with ProcessSpawner() as one, ProcessSpawner() as two:
        first, second = one._import("things").Thing(), two._import("things").Thing()
        for _ in range(100):
            made = first.call(second.echo, thing.make())
            assert made.add(1, 2) == 3
            thing.keep(first.call(second.call, first.echo, made))
            del made
            assert isinstance(server["thing"].kept, Thing)
        thing.drop()
        assert only_thing_is_left(server)


def test_another_address_of_a_server_leads_to_the_same_objects(server, thing):
    port = server.address.rpartition(":")[2]
    client = RPCClient(f"tcp://localhost:{port}")
    made = client["thing"].make()
    assert made._rpc_addr == client.address != server.address
    assert made.add(1, 2) == client.call_obj(made.add, (1, 2)) == 3
    client["thing"].keep(made)
    assert isinstance(server["thing"].kept, Thing)
    assert client.call_obj(thing.add, (1, 2)) == 3
    client["thing"].drop()
    client.delete(made)
    with pytest.raises(ReferenceReleased):
        made.add(1, 2)
    del made
    assert only_thing_is_left(server)


def test_what_a_server_gives_to_its_own_process_works_in_all_threads(elsewhere):
    lazy = RPCServer()
    lazy.run_lazy()
    mine = Thing()
    proxy = lazy.get_proxy(mine)
    assert proxy.add(1, 2) == 3
    future = elsewhere.pool.submit(lambda p: (p.add(1, 2), p.keep(p)), proxy)
    while not future.done():
        lazy._read_and_process_one(0.1)
    assert future.result()[0] == 3
    assert mine.kept is mine
    del proxy, future
    assert eventually(lambda: lazy._read_and_process_one(0) or len(lazy.table) == 0)


def test_a_client_of_the_own_server_leaves_no_lease(client):
    lazy = RPCServer()
    lazy.run_lazy()
    lazy["mine"] = mine = Thing()
    own = RPCClient(lazy.address)
    for _ in range(5):
        assert own["mine"] is mine
    assert eventually(lambda: own.ping() and len(lazy.table) == 0)


def test_the_child_of_a_fork_may_use_what_its_parent_holds(server, thing, other_thing):
    other_thing.keep(thing.make())
    claimed, opened = other_thing.kept._undefer(), thing.make()
    before = len(server.table)
    # In the parent the server goes on; in the child it is not there.
    assert in_a_fork(lambda: claimed.add(opened.add(1, 2), 4)) == "7"
    assert in_a_fork(lambda: thing.keep(claimed)) == "None"
    assert isinstance(server["thing"].kept, Thing)
    thing.drop()
    assert eventually(lambda: len(server.table) == before)
    assert claimed.add(1, 2) == opened.add(1, 2) == 3
