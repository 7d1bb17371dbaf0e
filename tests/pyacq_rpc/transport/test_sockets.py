from __future__ import annotations

import pytest
import zmq

from pyacq_rpc.transport.sockets import (
    bind_router,
    clean_address,
    connect_dealer,
    endpoint,
    send_frames,
    take,
)


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def pair(context):
    router = bind_router(context, "tcp://127.0.0.1:*")
    dealer = connect_dealer(context, endpoint(router))
    yield router, dealer
    dealer.close(linger=0)
    router.close(linger=0)


def test_an_endpoint_names_the_port_that_was_given(pair):
    assert not endpoint(pair[0]).endswith("*")
    assert clean_address(endpoint(pair[0])) == endpoint(pair[0])


def test_take_returns_none_when_there_is_nothing(pair):
    assert take(pair[0]) is None


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
def test_frames_arrive_as_they_were_sent(pair, size):
    router, dealer = pair
    send_frames(dealer, [b"head", bytes(size), b"tail"])
    assert router.poll(10_000)
    identity, *frames = take(router)
    assert [frame.bytes for frame in frames] == [b"head", bytes(size), b"tail"]
    send_frames(router, [identity.bytes, b"back"])
    assert dealer.poll(10_000)
    assert [frame.bytes for frame in take(dealer)] == [b"back"]


def test_a_client_that_is_gone_is_told(pair):
    with pytest.raises(zmq.ZMQError, match="unreachable"):
        send_frames(pair[0], [b"nobody", b"x"])


def test_an_address_in_use_names_itself(context, pair):
    with pytest.raises(OSError, match="cannot listen at tcp://") as caught:
        bind_router(context, endpoint(pair[0]))
    assert caught.value.errno == zmq.EADDRINUSE


def test_where_nothing_could_ever_listen(context):
    with pytest.raises(ValueError, match="cannot connect"):
        connect_dealer(context, "tcp://127.0.0.1")


@pytest.mark.parametrize("address", ["", "x", "tcp://", "udp://1", "://a", 5])
def test_what_is_not_an_address(address):
    with pytest.raises((ValueError, AttributeError)):
        clean_address(address)
