"""How a client follows its server from one road to the other."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass

import pytest
from conftest import eventually

from pyacq_rpc import Future, RPCClient
from pyacq_rpc.peers import channel
from pyacq_rpc.peers.attention import Attention
from pyacq_rpc.peers.listener import Listener
from pyacq_rpc.peers.roads import Roads
from pyacq_rpc.peers.runtime import Runtime, current
from pyacq_rpc.peers.unsent import Unsent


@dataclass
class Moving:
    """A client that sends over the new road, and its server, which is about to follow."""

    client: RPCClient
    future: Future
    """Of an answer that will come over the new road."""
    follow: threading.Event
    """Lets the server say that it follows, and answer."""


@pytest.fixture
def moving(server, monkeypatch):
    if not current().direct:
        pytest.skip("there is one road only")
    follow = threading.Event()
    move = Listener.move

    def be_slow(*args):
        assert follow.wait(10)
        move(*args)

    monkeypatch.setattr(Listener, "move", be_slow)
    client = RPCClient(server.address)
    first = client.send("ping", sync="async")
    assert eventually(first.done)
    assert eventually(lambda: client.channel.roads._stream is not None)
    yield Moving(client, client.send("ping", sync="async"), follow)
    follow.set()


def test_who_waits_hears_of_what_the_io_thread_has_read_on_the_way(server, monkeypatch):
    if not current().direct:
        pytest.skip("there is one road only")
    is_moving, has_moved = threading.Event(), threading.Event()
    send, move = Listener.send, Listener.move
    attend, wait_alone = Runtime.attend, Attention._wait_alone
    sent = []

    def send_late(listener, connection, frames):
        sent.append(frames)
        assert len(sent) == 1 or is_moving.wait(10)  # the welcome first
        return send(listener, connection, frames)

    def move_late(*args):
        move(*args)
        has_moved.set()

    def attend_late(runtime, stream, lock):
        attend(runtime, stream, lock)
        if lock is client.channel.roads.lock:
            is_moving.set()
            assert has_moved.wait(10)  # so that the server has said everything
            assert client.channel.roads._dealer.socket.poll(10_000)

    def wait_late(attention, timeout):
        if client.server_id is not None:
            assert eventually(lambda: client.channel.roads._stream is not None)
            with client.channel.roads.lock:
                pass  # the I/O thread has read it
        wait_alone(attention, timeout)

    monkeypatch.setattr(channel, "MOVING", 0.0)
    monkeypatch.setattr(Listener, "send", send_late)
    monkeypatch.setattr(Listener, "move", move_late)
    monkeypatch.setattr(Runtime, "attend", attend_late)
    monkeypatch.setattr(Attention, "_wait_alone", wait_late)
    client = RPCClient(server.address)
    begin = time.monotonic()
    assert client.ping(timeout=25) == "pong"
    assert time.monotonic() - begin < 20  # at the end of its patience it looks by itself


def test_who_waits_where_nothing_comes_any_more_is_told(moving, monkeypatch):
    read, see_to_it = threading.Event(), threading.Event()
    moved = Roads.moved

    def be_slow(moved_one):
        read.set()
        assert see_to_it.wait(10)
        moved(moved_one)

    monkeypatch.setattr(Roads, "moved", be_slow)
    moving.follow.set()
    assert read.wait(10)  # by the I/O thread

    in_time = []

    def go_on():
        assert eventually(lambda: moving.client._conversation.attention.waits())
        see_to_it.set()
        in_time.append(eventually(moving.future.done, 5.0))

    thread = threading.Thread(target=go_on)
    thread.start()
    assert moving.future.result(10) == "pong"
    thread.join()
    assert in_time == [True]


def test_the_server_has_moved_though_an_interrupt_has_lost_its_word(moving):
    """As pyzmq may, when it runs signal handlers after it has taken a message."""
    frames, lost = moving.client.channel.roads._dealer.frames, []
    take = frames.take

    def lose():
        message = take()
        if message is not None and not lost:
            lost.append(bytes(message[0].buffer))
            message.clear()
            raise KeyboardInterrupt
        return message

    frames.take = lose
    moving.follow.set()
    with contextlib.suppress(KeyboardInterrupt):  # in whichever thread it comes
        moving.future.result(10)
    assert moving.future.result(10) == "pong"
    assert len(lost) == 1
    assert not moving.client.channel.roads._moved
    later = moving.client.send("ping", sync="async")
    assert eventually(later.done)
    assert moving.client.ping() == "pong"


def test_the_io_thread_does_not_wait_where_nothing_comes_any_more(moving, monkeypatch):
    about_to_wait, wait = threading.Event(), threading.Event()
    watcher = current().watcher
    fds = Unsent.fds

    def be_slow(unsent):
        if watcher.is_current():
            about_to_wait.set()
            assert wait.wait(10)
        return fds(unsent)

    def has_read_the_move():
        moving.client.channel.pump()
        return moving.client.channel.roads._moved

    monkeypatch.setattr(Unsent, "fds", be_slow)
    watcher.poke()
    assert about_to_wait.wait(10)
    moving.follow.set()
    assert eventually(has_read_the_move)
    assert not moving.future.done()
    wait.set()
    assert eventually(moving.future.done)
