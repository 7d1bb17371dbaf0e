from __future__ import annotations

import contextlib

import pytest
from conftest import serving
from things import Thing

from pyacq_rpc import RPCClient
from pyacq_rpc.peers.exchange import Handed


@contextlib.contextmanager
def publishing(address="tcp://127.0.0.1:*"):
    with serving(address) as server:
        server["thing"] = Thing()
        yield server, server.address.rpartition(":")[2]


@pytest.fixture
def wide():
    """A server at all interfaces, and its port."""
    with publishing("tcp://0.0.0.0:*") as found:
        yield found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", "127.0.0.2"])
def test_a_server_s_own_objects_are_where_it_was_reached(wide, host):
    """Another address would mean another connection, and that the leases are another peer's."""
    server, port = wide
    client = RPCClient(f"tcp://{host}:{port}")
    thing = client["thing"].make()
    assert thing._rpc_addr == client.address
    assert thing.add(1, 2) == 3
    assert thing._link.client() is client
    assert len(server.listener.connections) == 1


def test_what_is_known_by_loopback_is_handed_on_as_its_server_calls_itself(wide):
    """Since the receiver may be on another host, which knows what this one is called."""
    _, port = wide
    near = RPCClient(f"tcp://127.0.0.1:{port}")["thing"]
    with publishing() as (other, _):
        back = RPCClient(other.address)["thing"].echo(near.make())
        assert back._rpc_addr == f"tcp://0.0.0.0:{port}"
        assert back.add(1, 2) == 3


def test_what_has_a_name_is_handed_on_by_that(monkeypatch):
    """As it was reached; keys are found by that name."""
    monkeypatch.setattr("pyacq_rpc.transport.addresses._is_loopback", lambda host: False)
    with publishing() as (_, port), publishing() as (other, _):
        near = RPCClient(f"tcp://localhost:{port}")["thing"]
        back = RPCClient(other.address)["thing"].echo(near.make())
        assert back._rpc_addr == f"tcp://localhost:{port}"
        assert back.add(1, 2) == 3


def test_proxies_by_different_addresses_are_alike(wide):
    server, port = wide
    ways = [RPCClient(f"tcp://{host}:{port}") for host in ("127.0.0.1", "localhost")]
    one, two = (client["thing"] for client in ways)
    assert hash(one) == hash(two)

    assert len({one, two, server.get_proxy(server["thing"])}) == 1


@pytest.mark.parametrize("owner", [[], Thing()], ids=["of C", "of Python"])
def test_a_method_is_the_same_each_time_that_it_is_asked_for(server, owner):
    names = [name for name in dir(owner) if callable(getattr(owner, name)) and name[0] != "_"]
    first = {name: hash(server.get_proxy(getattr(owner, name))) for name in names}
    again = {name: hash(server.get_proxy(getattr(owner, name))) for name in names}
    assert first == again
    assert len(set(first.values())) == len(names)


class Grantor:
    """Knows which of its grants were withdrawn."""

    heir = None

    def __init__(self):
        self.withdrawn = []

    def withdraw(self, token):
        self.withdrawn.append(token)


@pytest.mark.parametrize("was_told_before", [True, False])
def test_what_was_handed_to_somebody_who_is_gone_is_taken_back(was_told_before):
    """Though another thread may see its end before its last answer is seen to."""
    handed, grantor, later = Handed(), Grantor(), []
    if was_told_before:
        handed.add([(grantor, "token")])
    handed.end(later.append)
    if not was_told_before:
        assert not later
        handed.add([(grantor, "token")])
    (withdraw,) = later
    withdraw()
    assert grantor.withdrawn == ["token"]


def test_where_nothing_was_handed_nothing_is_taken_back():
    later = []
    Handed().end(later.append)
    assert not later
