"""What is said when something has run out."""

from __future__ import annotations

import pytest
from conftest import settled

from pyacq_rpc import RPCClient
from pyacq_rpc.peers.runtime import current
from spawner import ProcessSpawner


@pytest.fixture
def pair():
    """A node with a bench, and one that is to use it."""
    with ProcessSpawner(name="node") as node, ProcessSpawner(name="user") as user:
        node._import("faults.bench").publish()
        for each in (node, user):
            assert settled(each.client)  # what it opens for us it has opened
        yield node, user


def test_who_can_receive_no_array_for_lack_of_descriptors_is_told_so(pair):
    if not current().direct:
        pytest.skip("no descriptors are sent over zmq")
    node, user = pair
    uses = user._import("faults.uses")
    uses.begin("array", node.address)
    user._import("faults.bench").use_up_descriptors()
    uses.failed(_timeout=30.0)
    told = uses.end()
    assert "cannot open any more" in told
    assert "ulimit -n" in told


def test_a_new_client_for_which_there_are_no_descriptors_is_an_oserror(pair):
    node, user = pair
    user._import("faults.bench").use_up_descriptors()
    with pytest.raises(OSError, match="Too many open files"):
        user._import("pyacq_rpc").RPCClient(node.address)


def test_a_new_client_at_a_node_without_descriptors_waits_until_there_are_some(pair):
    node, _ = pair
    there = node._import("faults.bench")
    spare = there.use_up_descriptors()
    client = RPCClient(node.address)
    with pytest.raises(TimeoutError):
        client.ping(timeout=0.2)
    there.give_back(spare)
    assert client.ping(timeout=20.0) == "pong"
