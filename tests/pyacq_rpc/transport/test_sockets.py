from __future__ import annotations

import re
import signal

import pytest
import zmq

from pyacq_rpc.transport.monitor import Monitor
from pyacq_rpc.transport.sockets import (
    FrameSocket,
    clean_address,
    connect,
    endpoint,
    listen,
    new_dealer,
    new_router,
)


@pytest.fixture
def context():
    context = zmq.Context()
    yield context
    context.destroy(linger=0)


@pytest.fixture
def pair(context):
    router = new_router(context)
    listen(router, "tcp://127.0.0.1:*")
    dealer = new_dealer(context)
    connect(dealer, endpoint(router))
    yield FrameSocket(router), FrameSocket(dealer), router, dealer
    dealer.close(linger=0)
    router.close(linger=0)


@pytest.fixture
def monitor(pair):
    monitor = Monitor(pair[2])
    yield monitor
    monitor.close()


def test_an_endpoint_names_the_port_that_was_given(pair):
    assert not endpoint(pair[2]).endswith("*")
    assert clean_address(endpoint(pair[2])) == endpoint(pair[2])


def taken(source):
    """Take a message for good."""
    message = source.take()
    found = [frame.bytes for frame in message]
    message.clear()
    return found


def test_a_message_is_there_until_it_has_been_put_somewhere(pair):
    router, dealer, router_socket, _ = pair
    dealer.send([b"one"])
    dealer.send([b"two"])
    assert router_socket.poll(10_000)
    message = router.take()
    assert router.take() is message
    assert taken(router)[1:] == [b"one"]
    assert router_socket.poll(10_000)
    assert taken(router)[1:] == [b"two"]
    assert router.take() is None


def test_take_returns_none_when_there_is_nothing(pair):
    assert pair[0].take() is None


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
def test_no_interrupt_is_lost_while_nothing_is_there(pair, monitor):
    """Where pyzmq raises zmq.Again, one of five was."""
    handled = noticed = 0

    def interrupt(signum, frame):
        nonlocal handled
        handled += 1
        raise KeyboardInterrupt

    # Not within the `try`: on Python 3.13 that would leave out the jump to the loop's beginning.
    def look_until(count):
        while handled < count:
            pair[0].take()
            list(monitor.events())

    before = signal.signal(signal.SIGPROF, interrupt)
    try:
        for count in range(100):
            try:
                signal.setitimer(signal.ITIMER_PROF, 0.0005)
                look_until(count + 1)
            except KeyboardInterrupt:
                noticed += 1
    finally:
        signal.signal(signal.SIGPROF, before)
    assert noticed == handled == 100


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
def test_frames_arrive_as_they_were_sent(pair, size):
    router, dealer, router_socket, dealer_socket = pair
    dealer.send([b"head", bytes(size), b"tail"])
    assert router_socket.poll(10_000)
    identity, *frames = router.take()
    assert [frame.bytes for frame in frames] == [b"head", bytes(size), b"tail"]
    router.send([identity.bytes, b"back"])
    assert dealer_socket.poll(10_000)
    assert [frame.bytes for frame in dealer.take()] == [b"back"]


def test_a_client_that_is_gone_is_told(pair):
    with pytest.raises(zmq.ZMQError, match="unreachable"):
        pair[0].send([b"nobody", b"x"])


def test_an_address_in_use_names_itself(context, pair):
    with (
        new_router(context) as router,
        pytest.raises(OSError, match="cannot listen at tcp://") as caught,
    ):
        listen(router, endpoint(pair[2]))
    assert caught.value.errno == zmq.EADDRINUSE


def test_where_nothing_could_ever_listen(context):
    with new_dealer(context) as dealer, pytest.raises(ValueError, match="cannot connect"):
        connect(dealer, "tcp://127.0.0.1")


@pytest.mark.parametrize(
    "address",
    [
        *["", "x", "tcp://", "udp://1", "://a"],
        *["tcp://127.0.0.1", "tcp://127.0.0.1:", "tcp://127.0.0.1:99999", "tcp://[::1]"],
        *["tcp://127.0.0.1:-1", "tcp://127.0.0.1:http", "tcp://127.0.0.1:²", b"tcp://5000"],
    ],
)
def test_what_is_not_an_address(address):
    with pytest.raises(ValueError, match=r"is not an address; one looks like 'tcp://127\.0"):
        clean_address(address)


@pytest.mark.parametrize("address", [5000, None, ("127.0.0.1", 5000)])
def test_what_is_not_even_text(address):
    with pytest.raises(TypeError, match=f"^{re.escape(repr(address))} is not an address; one"):
        clean_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *["tcp://*:*", "tcp://127.0.0.1:0", "tcp://[::1]:65535", "tcp://eth0;10.0.0.1:80"],
        *["ipc:///tmp/socket", "inproc://a"],
    ],
)
def test_what_is_an_address(address):
    assert clean_address(address) == address


class Interrupted:
    """A socket that is interrupted when it is about to return from one call."""

    def __init__(self, socket, at):
        self.socket, self.at, self.calls = socket, at, 0

    def _count(self, result=None):
        self.calls += 1
        if self.calls == self.at:
            raise KeyboardInterrupt
        return result

    def get(self, option):
        return self.socket.get(option)

    def send(self, *args, **kwds):
        self.socket.send(*args, **kwds)
        self._count()

    def recv(self, *args, **kwds):
        if self.calls + 1 == self.at:
            self._count()
        return self._count(self.socket.recv(*args, **kwds))


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupt_leaves_no_half_message(pair, at):
    router, dealer, router_socket, dealer_socket = pair
    interrupted = FrameSocket(Interrupted(dealer_socket, at))
    with pytest.raises(KeyboardInterrupt):
        interrupted.send([b"one", b"two", b"three"])
    dealer.send([b"next"])
    for expected in ([b"one", b"two", b"three"], [b"next"]):
        assert router_socket.poll(10_000)
        assert taken(router)[1:] == expected


@pytest.mark.parametrize("at", [1, 2, 3])
def test_an_interrupted_take_goes_on_where_it_was(pair, at):
    _router, dealer, router_socket, _dealer_socket = pair
    dealer.send([b"one", b"two"])
    dealer.send([b"next"])
    assert router_socket.poll(10_000)
    interrupted = FrameSocket(Interrupted(router_socket, at))
    with pytest.raises(KeyboardInterrupt):
        interrupted.take()
    assert taken(interrupted)[1:] == [b"one", b"two"]
    assert router_socket.poll(10_000)
    assert taken(interrupted)[1:] == [b"next"]


def test_a_message_sent_within_the_sending_of_another_follows_it(pair):
    router, dealer, router_socket, _dealer_socket = pair

    class Sends(bytearray):
        def __len__(self):  # is asked for between two frames
            if not sent:
                sent.append(1)
                dealer.send([b"inner"])
            return super().__len__()

    sent = []
    dealer.send([b"head", Sends(b"body")])
    for expected in ([b"head", b"body"], [b"inner"]):
        assert router_socket.poll(10_000)
        assert taken(router)[1:] == expected


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:*", "tcp://*:*", "tcp://192.0.2.1:5000"])
def test_beyond_loopback_it_listens_only_with_a_key(context, address):
    with (
        new_router(context) as router,
        pytest.raises(PermissionError, match=r"without a key.*give it a key, or listen at"),
    ):
        listen(router, address)
