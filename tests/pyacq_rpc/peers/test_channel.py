"""How a client follows its server from one road to the other."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass

import pytest
from conftest import eventually, settled

from pyacq_rpc import AuthenticationError, Future, RPCClient
from pyacq_rpc.peers import channel, conversation, dealer
from pyacq_rpc.peers.attention import Attention
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.links import Links
from pyacq_rpc.peers.listener import Listener
from pyacq_rpc.peers.runtime import Runtime, current
from pyacq_rpc.peers.unsent import Unsent
from pyacq_rpc.peers.watcher import Watcher
from pyacq_rpc.transport.sockets import connect


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
    assert eventually(lambda: client.channel._stream is not None)
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
        if lock is client.channel._lock:
            is_moving.set()
            assert has_moved.wait(10)  # so that the server has said everything
            assert client.channel._dealer.socket.poll(10_000)

    def wait_late(attention, timeout):
        if client.server_id is not None:
            assert eventually(lambda: client.channel._stream is not None)
            with client.channel._lock:
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
    moved = Channel.moved

    def be_slow(moved_one):
        read.set()
        assert see_to_it.wait(10)
        moved(moved_one)

    monkeypatch.setattr(Channel, "moved", be_slow)
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
    frames, lost = moving.client.channel._dealer.frames, []
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
    assert not moving.client.channel._moved
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
        return moving.client.channel._moved

    monkeypatch.setattr(Unsent, "fds", be_slow)
    watcher.poke()
    assert about_to_wait.wait(10)
    moving.follow.set()
    assert eventually(has_read_the_move)
    assert not moving.future.done()
    wait.set()
    assert eventually(moving.future.done)


GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
"""Of somebody who knows of no keys (ZeroMQ RFC 23)."""


def test_a_handshake_that_fails_at_once_is_told(monkeypatch):
    """Before the thread comes to anything else; libzmq does not try again then."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def connect_and_see_it_fail(*args):
            connect(*args)
            other, _ = listening.accept()
            with other:
                other.sendall(GREETING)
                other.settimeout(10)
                while other.recv(1000):
                    pass

        monkeypatch.setattr(dealer, "connect", connect_and_see_it_fail)
        client = RPCClient(f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        with pytest.raises(AuthenticationError, match="does not speak this protocol with a key"):
            client.ping()


def test_nothing_is_delivered_before_its_receiver_is_ready(server, monkeypatch, caplog):
    """Though the I/O thread reads what there is, as it does when the connection breaks."""

    class Slow(Channel):
        def __init__(self, *args):
            super().__init__(*args)
            eventually(lambda: self.pump() and self.arrivals.bytes, 0.3)

    monkeypatch.setattr(conversation, "Channel", Slow)
    client = RPCClient(server.address)
    assert client.ping() == "pong"
    assert client.server_name == "under-test"
    assert not caplog.records


@pytest.mark.parametrize(
    "where",
    [(channel, "LeaseHolder"), (Channel, "begin"), (Watcher, "add"), (Links, "opened")],
    ids=["made", "begun", "watched", "known"],
)
def test_an_interrupt_while_a_client_is_made_harms_no_other(server, client, monkeypatch, where):
    """Each of them had a socket and its monitor by then."""

    def interrupt(*_):
        raise KeyboardInterrupt

    assert settled(client)
    with monkeypatch.context() as patch:
        patch.setattr(*where, interrupt)
        for _ in range(30):
            with pytest.raises(KeyboardInterrupt):
                RPCClient(server.address)
            assert client.ping() == "pong"
    assert eventually(lambda: len(server.listener.connections) == 1)
    assert RPCClient(server.address).ping() == "pong"
