"""An object is within reach of those only to whom it was given.

Here the others know the reference, to the last character, and try everything.
The table alone is tested with it, in any order of events.
"""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import zmq
from conftest import eventually, with_key
from processes import in_a_fork
from things import Thing

from pyacq_rpc import (
    ObjectProxy,
    ProtocolError,
    ReferenceReleased,
    RPCClient,
    RPCServer,
)
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.exchange import Outgoing, resolve
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.leases import LOCAL, new_token
from pyacq_rpc.session.proxy import Lease
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.session.tokens import token_of_claimer, token_of_holder
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import (
    Claim,
    Failure,
    Goodbye,
    Grant,
    Hello,
    Reference,
    Release,
    Request,
    Target,
    Withdraw,
)
from spawner import ProcessSpawner


class Peer:
    """Another process, as a server sees it: writes its messages by hand."""

    codec = codec_named("msgpack")

    def __init__(self, context, address, name=None, *before) -> None:
        self.name = name or new_token()
        self.address = address
        self.socket = with_key(context.socket(zmq.DEALER))
        self.socket.linger = 0
        self.socket.rcvtimeo = 10_000
        self.socket.connect(address)
        self.numbers = iter(range(1, 1000))
        self.send(*before, Hello(1, self.name, {}))
        self.welcome = self.receive()

    def send(self, *all_messages):
        for message in all_messages:
            self.socket.send_multipart(self.codec.encode(message, lambda reference: reference))

    def receive(self):
        return self.codec.decode(self.socket.recv_multipart(), lambda reference: reference)

    def ask(self, action, reply="auto", **options):
        self.send(Request(next(self.numbers), action, reply, options))
        answer = self.receive()
        if isinstance(answer, Failure):
            raise rebuild(answer)
        return answer.value

    def call(self, ref, *attributes, args=(), reply="auto"):
        target = Target(ref, list(attributes))
        return self.ask("call_obj", reply, obj=target, args=list(args), kwargs={})

    def can_use(self, ref):
        try:
            return self.call(ref, "add", args=[1, 2]) == 3
        except ReferenceReleased:
            return False

    def sealed(self, ref):
        return token_of_holder(new_token(), ref, self.name)

    def reference(self, ref, token=""):
        object_id = f"{self.welcome.server}.{id(self):x}"
        return Reference(self.address, ref, object_id, "Thing", [], token)


@pytest.fixture
def meet(server):
    """Makes another peer of the server."""
    context = zmq.Context()
    peers = []

    def meet(name=None, *before):
        peers.append(Peer(context, server.address, name, *before))
        return peers[-1]

    yield meet
    for peer in peers:
        peer.socket.close()
    context.term()


@pytest.fixture
def holder(server, meet):
    """A peer that was given an object, whose reference is its `ref`."""
    server["thing"] = Thing()
    holder = meet()
    holder.ref = holder.call("@thing", "make").ref
    assert holder.can_use(holder.ref)
    return holder


def claim(thief, ref, token):
    thief.send(Claim(ref, token))
    thief.call(ref, "add", args=[1, 2])


def grant(thief, ref, token):
    thief.send(Grant(ref, token))
    claim(thief, ref, token)


def send_home(thief, ref, token):
    thief.ask("transfer", "proxy", obj=[thief.reference(ref, token)])


def withdraw(thief, ref, token):
    thief.send(Withdraw(token), Release([ref, ref]))
    thief.call(ref, "add", args=[1, 2])


ATTEMPTS = {
    "get": lambda thief, ref: thief.ask("get_obj", obj=Target(ref, [])),
    "get an attribute": lambda thief, ref: thief.ask("get_obj", obj=Target(ref, ["value"])),
    "get a proxy": lambda thief, ref: thief.ask("get_obj", "proxy", obj=Target(ref, [])),
    "call": lambda thief, ref: thief.call(ref, "add", args=[1, 2]),
    "call a special method": lambda thief, ref: thief.call(ref, "__dir__"),
    "delete": lambda thief, ref: thief.ask("delete", obj_id="", ref_id=ref),
    "send home": lambda thief, ref: send_home(thief, ref, ""),
    "send home as granted": lambda thief, ref: send_home(thief, ref, new_token()),
    "send home with a seal": lambda thief, ref: send_home(thief, ref, thief.sealed(ref)),
    "give a name": lambda thief, ref: thief.ask(
        "set_item", name="mine", value=thief.reference(ref)
    ),
    "give as an argument": lambda thief, ref: thief.call(
        "@thing", "keep", args=[thief.reference(ref)]
    ),
    "claim": lambda thief, ref: claim(thief, ref, new_token()),
    "claim with a seal": lambda thief, ref: claim(thief, ref, thief.sealed(ref)),
    "claim without a token": lambda thief, ref: claim(thief, ref, ""),
    "claim as from the owner": lambda thief, ref: claim(
        thief, ref, token_of_holder(new_token(), ref, LOCAL)
    ),
    "claim as after another": lambda thief, ref: claim(
        thief, ref, token_of_claimer(new_token(), new_token())
    ),
    "grant to oneself": lambda thief, ref: grant(thief, ref, new_token()),
    "grant with a seal": lambda thief, ref: grant(thief, ref, thief.sealed(ref)),
    "withdraw and release": lambda thief, ref: withdraw(thief, ref, new_token()),
}


def sentence(thief, attempt, ref):
    """What a thief is told."""
    with pytest.raises(ReferenceReleased) as raised:
        ATTEMPTS[attempt](thief, ref)
    return str(raised.value).replace(ref, "REF")


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_thief_is_told_what_it_would_be_told_if_there_were_nothing(holder, meet, attempt):
    thief = meet()
    assert sentence(thief, attempt, holder.ref) == sentence(thief, attempt, "nothing12345")


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_thief_gets_nothing_before_during_and_after_a_handoff(server, holder, meet, attempt):
    ref = holder.ref
    thing = weakref.ref(server.table.get(ref, LOCAL))
    thief, receiver = meet(), meet()
    token = holder.sealed(ref)
    sentence(thief, attempt, ref)
    holder.send(Grant(ref, token), Release([ref]))
    assert not holder.can_use(ref)
    sentence(thief, attempt, ref)
    receiver.send(Claim(ref, token))
    assert receiver.can_use(ref)
    sentence(thief, attempt, ref)
    sentence(holder, attempt, ref)  # it has no part in it any more
    assert receiver.can_use(ref)
    receiver.send(Release([ref]))
    assert not receiver.can_use(ref)
    assert thing() is None  # nobody has kept it alive


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_a_thief_does_no_harm_to_a_claim_that_came_before_its_grant(server, holder, meet, attempt):
    ref = holder.ref
    thing = weakref.ref(server.table.get(ref, LOCAL))
    thief, receiver = meet(), meet()
    token = holder.sealed(ref)
    receiver.send(Claim(ref, token))
    assert receiver.can_use(ref)
    sentence(thief, attempt, ref)
    holder.send(Grant(ref, token), Release([ref]))
    assert not holder.can_use(ref)
    sentence(thief, attempt, ref)
    receiver.send(Release([ref]))
    assert not receiver.can_use(ref)
    assert thing() is None


def test_any_holder_may_delete_it_for_all(holder, meet):
    receiver = meet()
    token = holder.sealed(holder.ref)
    holder.send(Grant(holder.ref, token))
    receiver.send(Claim(holder.ref, token))
    receiver.ask("delete", obj_id="", ref_id=holder.ref)
    assert not holder.can_use(holder.ref)
    assert not receiver.can_use(holder.ref)


def test_a_chain_may_arrive_backwards(server, holder, meet):
    """B and C have handed on at once; the last one's claim is the first to come."""
    ref = holder.ref
    thing = weakref.ref(server.table.get(ref, LOCAL))
    b, c, d = meet(), meet(), meet()
    to_b = holder.sealed(ref)
    to_c = token_of_claimer(new_token(), to_b)
    to_d = token_of_claimer(new_token(), to_c)
    d.send(Claim(ref, to_d))
    assert d.can_use(ref)
    c.send(Claim(ref, to_c), Grant(ref, to_d), Release([ref]))
    b.send(Claim(ref, to_b), Grant(ref, to_c), Release([ref]))
    holder.send(Grant(ref, to_b), Release([ref]))
    assert not any(peer.can_use(ref) for peer in (b, c, holder))
    assert d.can_use(ref)
    d.send(Release([ref]))
    assert not d.can_use(ref)
    assert thing() is None


def test_a_peer_that_comes_back_has_nothing_and_takes_nothing(server, holder, meet):
    keeper = meet()
    token = holder.sealed(holder.ref)
    holder.send(Grant(holder.ref, token))
    keeper.send(Claim(holder.ref, token))
    assert keeper.can_use(holder.ref)
    holder.send(Goodbye("for now"))
    assert eventually(lambda: not server.listener.connections.has_peer(holder.name))
    again = meet(holder.name)
    assert not again.can_use(holder.ref)
    again.send(Claim(holder.ref, token), Claim(holder.ref, again.sealed(holder.ref)))
    assert not again.can_use(holder.ref)
    assert keeper.can_use(holder.ref)


def test_all_connections_of_a_process_share_what_it_holds(holder, meet):
    thread = meet(holder.name)
    assert thread.can_use(holder.ref)


def test_nobody_may_call_himself_the_owner(server, meet):
    refusal = meet(LOCAL).welcome
    assert isinstance(refusal, Failure)
    assert isinstance(rebuild(refusal), ProtocolError)


def test_a_hello_has_a_server_connect_to_nobody(server, meet, other_server):
    """As it would, to claim what a reference in it stands for."""
    reference = Reference(other_server.address, "ref", "another.1", "Thing", [], "token")
    meet(None, Hello(1, "peer", {"thing": reference}))
    assert other_server.address not in server.state().clients


def test_published_names_are_no_references(server, holder, meet):
    peer = meet()
    peer.send(Grant("@thing", "t"), Claim("@thing", "t"), Release(["@thing"]))
    with pytest.raises(ReferenceReleased):
        peer.ask("delete", obj_id="", ref_id="@thing")
    assert peer.call("@thing", "add", args=[1, 2]) == 3
    assert peer.name not in server.table._peers


# -- with our own clients, of several threads and processes --------------------


def steal(address, server_id, ref):
    """In another process: make a proxy of a reference, and try it."""
    client = RPCClient(address)
    client.ping()
    reference = Reference(address, ref, f"{server_id}.1", "Thing", [], "")
    lease = Lease(ref, client.channel)
    proxy = ObjectProxy(reference, current().link(address, server_id), lease)
    attempts = [
        lambda: proxy.add(1, 2),
        lambda: proxy._get_value(),
        lambda: proxy._delete(),
        lambda: client.delete(proxy),
        lambda: client.call_obj(proxy.add, (1, 2)),
        lambda: client.transfer([proxy]),
        lambda: client["thing"].keep(proxy),
        lambda: RPCClient(address, serializer="json")["thing"].keep(proxy),
    ]
    told = []
    for attempt in attempts:
        try:
            told.append(f"had it: {attempt()!r}")
        except ReferenceReleased:
            told.append("released")
    return told


def test_another_process_cannot_use_what_this_one_holds(server, thing):
    made = thing.make()
    assert made.add(1, 2) == 3
    with ProcessSpawner() as node:
        node._import("sys").path.append(__file__.rpartition("/")[0])
        there = node._import(__name__.rpartition(".")[2])
        assert there.steal(server.address, server.server_id, made._ref_id) == ["released"] * 8
        assert made.add(1, 2) == 3
        node["given"] = made
        assert node["given"].add(1, 2) == 3
    del made
    assert eventually(lambda: len(server.table) == 1)  # `thing` itself


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
    assert proxy._lease.home is not client.channel
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


def test_a_server_cannot_have_us_take_for_its_own_what_is_ours(server, meet, monkeypatch):
    """An answer with a reference that was not given to the server that sends it."""
    lazy = RPCServer()
    lazy.run_lazy()
    ref = lazy.table.open(Thing(), "another process")
    stolen = Reference(lazy.address, ref, f"{lazy.server_id}.1", "Thing", [], "")

    class Thief:
        def give(self, token):
            return ByReference(stolen._replace(token=token))

    class ByReference:
        def __init__(self, reference):
            self.reference = reference

    refer = Outgoing.refer

    def be_a_thief(outgoing, obj):
        return obj.reference if isinstance(obj, ByReference) else refer(outgoing, obj)

    monkeypatch.setattr(Outgoing, "refer", be_a_thief)
    server["thief"] = Thief()
    client = RPCClient(server.address)
    for token in ("", new_token(), token_of_holder(new_token(), ref, client.channel.peer)):
        with pytest.raises(ReferenceReleased):
            client["thief"].give(token)
    assert len(lazy.table) == 1


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


def test_a_callback_is_within_reach_of_those_only_whom_it_was_given_to(thing, meet):
    thing.keep(lambda: 5)
    callbacks = current().callbacks
    (ref,) = callbacks.table._entries
    context = zmq.Context()
    thief = Peer(context, callbacks.address)
    with pytest.raises(ReferenceReleased):
        thief.call(ref)
    thief.socket.close()
    context.term()
    assert thing.call(thing.kept) == 5


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
