from __future__ import annotations

import collections

import pytest
import zmq

from pyacq_rpc.peers.dealer import Dealer
from pyacq_rpc.transport.backlog import AT_ONCE
from pyacq_rpc.transport.sockets import endpoint, listen, new_router
from pyacq_rpc.transport.stamps import unstamp
from pyacq_rpc.wire.codecs import codec_named


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def server(context):
    router = new_router(context)
    listen(router, "tcp://127.0.0.1:*")
    yield router
    router.close(linger=0)


@pytest.fixture
def dealer(context, server):
    dealer = Dealer(context, endpoint(server), None)
    dealer.connect()
    yield dealer
    dealer.drop()


def received(server):
    """Who has sent the next message, and its frames as they came."""
    assert server.poll(10_000)
    return server.recv_multipart()


def taken(dealer, count):
    """The next messages that the dealer finds whole."""
    inbox = collections.deque()
    while len(inbox) < count:
        assert dealer.socket.poll(10_000)
        dealer.take_all(inbox)
    return [[bytes(frame) for frame in frames] for frames in inbox]


def test_only_messages_with_its_stamp_are_taken(dealer, server, caplog):
    dealer.send([b"hello", b"data"])
    who, *stamped = received(server)
    assert len(stamped) == 3  # the last one tells that it is whole
    stamped_other = [bytes(len(stamped[0])), *stamped[1:]]
    for message in (stamped_other, stamped[:2], stamped):
        server.send_multipart([who, *message])
    assert taken(dealer, 1) == [[b"hello", b"data"]]
    assert caplog.text.count("was not whole, or not stamped") == 2


def test_the_secret_of_the_stamps_is_its_own(context, server, dealer):
    dealer.send([b"one"])
    other = Dealer(context, endpoint(server), None)
    other.connect()
    other.send([b"one"])
    first, second = received(server), received(server)
    assert first[1] != second[1]
    other.drop()


def test_messages_are_taken_in_their_order(dealer, server):
    for number in range(3):
        dealer.send([b"%d" % number])
    for _ in range(3):
        server.send_multipart(received(server))
    assert taken(dealer, 3) == [[b"0"], [b"1"], [b"2"]]


def test_it_knows_when_somebody_was_reached(dealer):
    while not dealer.reach.connected:  # the handshake comes after the connection
        dealer.monitor.wait(10_000)
        assert dealer.reach.look() is None


def test_within_a_process_nothing_is_stamped(context):
    with context.socket(zmq.ROUTER) as router:
        router.bind("inproc://here")
        dealer = Dealer(context, "inproc://here", None)
        dealer.connect()
        dealer.send([b"hello"])
        assert received(router)[1:] == [b"hello"]
        assert not dealer.may_hold_back()
        dealer.drop()


def test_a_mark_is_sent_when_more_was_sent_than_goes_out_at_once(dealer, server):
    dealer.send([b"little"])
    assert not dealer.may_hold_back()
    dealer.send([bytes(AT_ONCE)])
    assert dealer.may_hold_back()
    tracker = dealer.send_mark(codec_named("msgpack"))
    messages = [received(server)[1:] for _ in range(4)]
    secret = messages[0][0][:16]
    for frames in messages:
        assert unstamp(secret, [memoryview(frame) for frame in frames])
    tracker.wait(10)


def test_it_may_be_dropped_before_it_has_connected(context, server):
    dealer = Dealer(context, endpoint(server), None)
    dealer.drop()
    assert dealer.socket.closed
