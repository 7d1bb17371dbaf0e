from __future__ import annotations

import threading

import pytest
import zmq

from pyacq_rpc.peers import lingering
from pyacq_rpc.peers.lingering import Lingering


class Tracker:
    """Says that a message is out when a test wants it so."""

    done = False


@pytest.fixture
def sockets():
    with zmq.Context() as context:
        made = [context.socket(zmq.DEALER) for _ in range(2)]
        yield made
        for socket in made:
            socket.close(linger=0)


def test_each_socket_is_closed_when_its_last_message_is_out(sockets):
    first, second = Tracker(), Tracker()
    kept = Lingering()
    assert kept.add(sockets[0], first)
    assert not kept.add(sockets[1], second)  # somebody looks already
    assert kept.look()
    assert [socket.closed for socket in sockets] == [False, False]
    second.done = True
    assert kept.look()
    assert [socket.closed for socket in sockets] == [False, True]
    first.done = True
    assert not kept.look()
    assert sockets[0].closed
    assert kept.add(sockets[0], first)  # nobody looks any more


def test_one_whose_message_never_goes_out_is_closed_all_the_same(sockets, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER", 0)
    kept = Lingering()
    kept.add(sockets[0], Tracker())
    assert not kept.look()
    assert sockets[0].closed


def test_at_the_end_one_waits_for_all(sockets):
    tracker = Tracker()
    kept = Lingering()
    kept.add(sockets[0], tracker)
    timer = threading.Timer(0.05, setattr, (tracker, "done", True))
    timer.start()
    kept.finish()
    assert tracker.done
    assert sockets[0].closed
    timer.join()
