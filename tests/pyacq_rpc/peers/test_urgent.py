"""What overtakes the rest is seen while the server's thread is busy, whatever it has just sent."""

from __future__ import annotations

import threading

import pytest
from conftest import eventually
from overtaking import Asking, leave_alone, while_status_is_told

from pyacq_rpc import Limits, RPCClient, RPCServer
from pyacq_rpc.peers import server as server_module
from pyacq_rpc.peers.chunking import Chunk
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.feed import Feed
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.wire.messages import Failure, Goodbye, Request, Target


@pytest.fixture
def asking(server, meet, monkeypatch):
    # Nobody takes in the other requests earlier than here.
    monkeypatch.setattr(server_module, "TURN", 60.0)
    return Asking(server, meet())


def ask_for(peer, *functions):
    target = [Target("@" + name, []) for name in functions]
    for number, obj in enumerate(target):
        peer.send(Request(number, "call_obj", "auto", {"obj": obj, "args": [], "kwargs": {}}))


def answers(peer, count):
    found = [peer.receive() for _ in range(count)]
    for answer in found:
        if isinstance(answer, Failure):
            raise rebuild(answer)
    return [answer.value for answer in found]


def take_in_one(server):
    """Have a request wait in the server's inbox."""
    while not server.listener.inbox.items:
        server.listener.look_for_urgent()


def test_before_a_request_that_is_carried_out_in_the_same_turn(server, asking, meet):
    peer = meet()
    leave_alone(server, peer, asking.peer)

    def first():
        take_in_one(server)
        asking.ask()

    server["first"], server["second"] = first, asking.has_answer
    ask_for(peer, "first", "second")
    assert answers(peer, 2) == [None, True]


def test_after_a_turn_within_a_request(server, asking, meet):
    peer = meet()
    leave_alone(server, peer, asking.peer)

    def outer():
        take_in_one(server)
        assert server.serve_ready()  # as while it waits for an answer
        return asking.has_answer()

    server["outer"], server["inner"] = outer, asking.ask
    ask_for(peer, "outer", "inner")
    assert answers(peer, 2) == [None, True]


def test_before_a_timer(server, asking, meet, monkeypatch):
    """In whose turn something urgent was answered."""
    peer = meet()
    leave_alone(server, peer, asking.peer)
    found = []
    called = threading.Event()

    def long():
        found.append(asking.has_answer())
        called.set()

    def status():
        if not asking.has_asked.is_set():
            asking.ask()
            server.timers.once(1e-6, long)
        return {"doing": None, "seconds": None}

    monkeypatch.setattr(server, "status", status)
    assert eventually(lambda: not (server.depth() or server.listener.unread))  # it waits
    peer.send(Request(1, "status", "auto", {}))
    assert called.wait(20)
    assert found == [True]


def test_after_items_that_went_early(server, asking, monkeypatch):
    """Which the I/O thread sends, while the server's waits for the next one."""
    send_early = Chunk.send_early

    def ask_and_send(chunk):
        asking.ask()
        send_early(chunk)

    monkeypatch.setattr(Chunk, "send_early", ask_and_send)
    monkeypatch.setattr(current(), "direct", False)

    def produce():
        yield 1
        yield asking.has_answer()

    server["produce"] = produce
    items = iter(RPCClient(server.address)["produce"]())
    leave_alone(server, asking.peer)
    assert list(items) == [1, True]


def test_before_what_waited_for_an_item(server, asking, meet):
    """And is done when the answer has gone."""
    peer = meet()
    leave_alone(server, peer, asking.peer)
    found = []

    class Items:
        def __iter__(self):
            server.prompter.defer(Feed(iter(())), lambda: found.append(asking.has_answer()))
            asking.ask()
            return iter([1])

    server["items"] = Items()
    options = {"obj": Target("@items", []), "backwards": False, "room": 10}
    peer.send(Request(1, "iterate", "auto", options))
    answers(peer, 1)
    assert eventually(lambda: found)
    assert found == [True]


class TestBeyondALimit:
    @pytest.fixture
    def server(self):
        server = RPCServer(limits=Limits(message=100_000))
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        yield server
        server.close()
        thread.join(10)

    def test_what_is_taken_in_with_something_urgent_is_refused(self, server, meet, monkeypatch):
        peer, large = meet(), meet()
        leave_alone(server, peer, large)
        too_large = [*peer.codec.encode(Request(1, "ping", "ack", {}), None), *[bytes(60_000)] * 2]
        while_status_is_told(server, lambda: large.socket.send_multipart(too_large), monkeypatch)
        peer.send(Request(1, "status", "auto", {}))
        assert answers(peer, 1)[0]["doing"] is None
        assert isinstance(large.receive(), Goodbye)
