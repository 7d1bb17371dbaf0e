from __future__ import annotations

import threading

import pytest
import zmq

from pyacq_rpc.peers import lingering
from pyacq_rpc.peers.lingering import ClientEnd, Lingering


class Tracker:
    """Says that a message is out when a test wants it so."""

    done = False


class Failing:
    def look(self):
        raise OSError("no")


@pytest.fixture
def sockets():
    with zmq.Context() as context:
        made = [context.socket(zmq.DEALER) for _ in range(2)]
        yield made
        for socket in made:
            socket.close(linger=0)


def test_each_socket_is_closed_when_what_it_was_given_is_out(sockets):
    first, second = Tracker(), Tracker()
    kept = Lingering()
    assert kept.due_in() is None
    kept.add(ClientEnd(sockets[0], lambda: first))
    kept.add(ClientEnd(sockets[1], lambda: second))
    assert kept.due_in() is not None
    assert kept.look()
    assert [socket.closed for socket in sockets] == [False, False]
    second.done = True
    assert kept.look()
    assert [socket.closed for socket in sockets] == [False, True]
    first.done = True
    assert not kept.look()
    assert sockets[0].closed
    assert kept.due_in() is None


def test_the_mark_is_sent_once(sockets):
    sent = []

    def send_mark():
        sent.append(1)
        return Tracker()

    end = ClientEnd(sockets[0], send_mark)
    assert not end.look()
    assert not end.look()
    assert sent == [1]


def test_where_nothing_can_be_marked_the_socket_is_closed_at_once(sockets):
    assert ClientEnd(sockets[0], lambda: None).look()
    assert sockets[0].closed


def test_one_that_never_gets_it_out_is_closed_all_the_same(sockets, monkeypatch):
    monkeypatch.setattr(lingering, "LINGER", 0)
    assert ClientEnd(sockets[0], Tracker).look()
    assert sockets[0].closed


def test_one_that_fails_is_logged_and_keeps_no_other(sockets, caplog):
    kept = Lingering()
    kept.add(Failing())
    kept.add(ClientEnd(sockets[0], lambda: None))
    assert not kept.look()
    assert sockets[0].closed
    assert "could not be closed as it should be" in caplog.text


def test_at_the_end_one_waits_for_all(sockets):
    tracker = Tracker()
    kept = Lingering()
    kept.add(ClientEnd(sockets[0], lambda: tracker))
    timer = threading.Timer(0.05, setattr, (tracker, "done", True))
    timer.start()
    kept.finish()
    assert tracker.done
    assert sockets[0].closed
    timer.join()
