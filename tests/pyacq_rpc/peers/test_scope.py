"""An object is within reach of those only to whom it was given.

Here the others know the reference, to the last character, and try everything.
The table alone is tested with it, in any order of events.
"""

from __future__ import annotations

import weakref

import pytest
import zmq
from conftest import eventually
from manual_peer import Peer
from things import Thing

from pyacq_rpc import (
    ObjectProxy,
    ProtocolError,
    ReferenceReleased,
    RPCClient,
    RPCServer,
)
from pyacq_rpc.peers.exchange import Outgoing
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.holding import Lease
from pyacq_rpc.session.leases import LOCAL, new_token
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.session.tokens import token_of_claimer, token_of_holder
from pyacq_rpc.wire.messages import (
    Claim,
    Failure,
    Goodbye,
    Grant,
    Hello,
    Reference,
    Release,
    Target,
    Withdraw,
)
from spawner import ProcessSpawner


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
    lease = Lease(ref, client.channel.holder)
    proxy = ObjectProxy(reference, current().links.link(address, server_id), lease)
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
