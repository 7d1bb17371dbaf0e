from __future__ import annotations

import socket
from functools import partial

import pytest
import zmq
from conftest import eventually, fixed_address
from interrupting import Everywhere

from pyacq_rpc.transport.monitor import Monitor, source_descriptor
from pyacq_rpc.transport.sockets import (
    FrameSocket,
    connect,
    endpoint,
    listen,
    new_dealer,
    new_router,
)


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "ipc://{}/socket"])
def test_it_tells_whose_connection_has_gone(context, tmp_path, address):
    router = new_router(context)
    monitor = Monitor(router)
    listen(router, address.format(tmp_path))
    events = list(monitor.events())
    dealers = [new_dealer(context) for _ in range(2)]
    for dealer in dealers:
        connect(dealer, endpoint(router))
    descriptors = []
    for dealer in dealers:
        dealer.send(b"hello")
        assert router.poll(10_000)
        descriptors.append(source_descriptor(FrameSocket(router).take()[1]))
    assert len(set(descriptors)) == 2
    dealers[1].close(linger=0)
    assert eventually(lambda: events.extend(monitor.events()) or (False, descriptors[1]) in events)
    assert (False, descriptors[0]) not in events
    dealers[0].close(linger=0)
    monitor.close()
    router.close()


def test_it_tells_whether_somebody_has_accepted(context):
    """Who has accepted may be kept from all else by what it does."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dealer = new_dealer(context)
        monitor = Monitor(dealer)

        def is_accepted():
            list(monitor.events())
            return monitor.accepted

        assert not is_accepted()
        connect(dealer, f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        assert eventually(is_accepted)
    assert eventually(lambda: not is_accepted())
    monitor.close()
    dealer.close(linger=0)


@pytest.mark.parametrize("quick", [10.0, 0.0])
def test_a_handshake_that_takes_long_has_failed_for_no_known_reason(context, monkeypatch, quick):
    """Who keeps Python from running lets nobody in, but is there."""
    monkeypatch.setattr("pyacq_rpc.transport.monitor.QUICK", quick)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        dealer = new_dealer(context)
        monitor = Monitor(dealer)
        connect(dealer, f"tcp://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(4):
            listening.accept()[0].close()
            list(monitor.events())
    # By the fourth attempt, the first ones have failed.
    assert (monitor.failures[zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL] > 0) == (quick > 0)
    monitor.close()
    dealer.close(linger=0)


def test_an_interrupt_loses_no_event(context):
    everywhere = Everywhere()
    seen = []

    def see():
        for event in monitor.events():
            seen.append(event)

    def has_seen(*events):
        see()
        return set(events) <= set(seen)

    router = new_router(context)
    monitor = Monitor(router)
    listen(router, "tcp://127.0.0.1:*")
    see()
    while everywhere.goes_on():
        seen.clear()
        dealer = new_dealer(context)
        connect(dealer, endpoint(router))
        dealer.send(b"hello")
        assert router.poll(10_000)
        descriptor = source_descriptor(FrameSocket(router).take()[1])
        dealer.close(linger=0)
        everywhere.run(see)
        expected = (True, descriptor), (False, descriptor)
        assert eventually(partial(has_seen, *expected)), everywhere.place
    monitor.close()
    router.close()


def test_inproc_has_no_descriptors(context):
    router = new_router(context)
    monitor = Monitor(router)
    listen(router, "inproc://here")
    dealer = new_dealer(context)
    connect(dealer, "inproc://here")
    dealer.send(b"hello")
    assert source_descriptor(FrameSocket(router).take()[1]) is None
    dealer.close()
    monitor.unbind()
    monitor.close()
    router.close()


def test_after_unbind_the_address_is_free(context):
    address = fixed_address()
    for _ in range(50):
        router = new_router(context)
        monitor = Monitor(router)
        listen(router, address)
        monitor.unbind()
        monitor.close()
        router.close()
