"""How a client follows its server from one road to the other."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest
from conftest import eventually

from pyacq_rpc import Future, RPCClient
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.peers.listener import Listener
from pyacq_rpc.peers.runtime import current
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
    assert eventually(lambda: client.channel._stream is not None)
    yield Moving(client, client.send("ping", sync="async"), follow)
    follow.set()


def test_who_waits_where_nothing_comes_any_more_is_told(moving, monkeypatch):
    read, see_to_it = threading.Event(), threading.Event()
    moved = Channel.moved

    def be_slow(channel):
        read.set()
        assert see_to_it.wait(10)
        moved(channel)

    monkeypatch.setattr(Channel, "moved", be_slow)
    moving.follow.set()
    assert read.wait(10)  # by the I/O thread

    in_time = []

    def go_on():
        assert eventually(lambda: moving.client._conversation._waiting)
        see_to_it.set()
        in_time.append(eventually(moving.future.done, 5.0))

    thread = threading.Thread(target=go_on)
    thread.start()
    assert moving.future.result(10) == "pong"
    thread.join()
    assert in_time == [True]


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
