from __future__ import annotations

import socket

import pytest
import zmq
from conftest import eventually

from pyacq_rpc.transport.backlog import AT_ONCE, Backlog, mark


@pytest.fixture
def connection():
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_a_marked_message_is_the_same_message():
    frames, tracker = mark([b"one", b"two"])
    assert [bytes(frames[0]), frames[1].bytes] == [b"one", b"two"]
    assert not tracker.done
    del frames
    assert eventually(lambda: tracker.done)


def test_where_pyzmq_cannot_tell_it_is_not_marked(monkeypatch):
    """Its thread does not start any more when Python ends."""

    def no_thread(*args, **kwds):
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(zmq, "Frame", no_thread)
    frames = [b"one", b"two"]
    assert mark(frames) == (frames, None)
    backlog = Backlog(0, 1000)
    backlog.unmarked = 7
    assert backlog.mark(frames) == frames
    assert (backlog.marked, backlog.unmarked) == (0, 7)
    assert backlog.is_empty()


def test_what_was_marked_waits_until_libzmq_lets_go_of_it(connection):
    backlog = Backlog(connection[0].fileno(), 1000)
    backlog.unmarked = 2000
    frames = backlog.mark([b"x" * 2000])
    assert (backlog.marked, backlog.unmarked) == (2000, 0)
    assert backlog.is_full()
    assert not backlog.is_empty()
    del frames
    assert eventually(backlog.is_empty)
    assert not backlog.is_full()


def test_of_little_nothing_waits():
    backlog = Backlog(0, 1 << 20)
    backlog.unmarked = AT_ONCE
    assert not backlog.may_wait()
    backlog.unmarked += 1
    assert backlog.may_wait()
    backlog.mark([b""])
    assert backlog.may_wait()


def test_the_connection_that_is_cut_is_the_one_that_was_there(connection):
    near, far = connection
    backlog = Backlog(near.fileno(), 1000)
    backlog.cut()
    assert far.recv(1) == b""
    other = socket.socketpair()
    try:
        backlog.descriptor = other[0].fileno()  # as when the system has given it out once more
        backlog.cut()
        other[0].send(b"x")
        assert other[1].recv(1) == b"x"
    finally:
        for end in other:
            end.close()
