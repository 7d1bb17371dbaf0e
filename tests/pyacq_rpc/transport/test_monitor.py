from __future__ import annotations

import pytest
import zmq
from conftest import eventually

from pyacq_rpc.transport.monitor import Monitor, source_descriptor
from pyacq_rpc.transport.sockets import FrameSocket, bind_router, connect_dealer, endpoint


@pytest.fixture
def context():
    with zmq.Context() as context:
        yield context


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:*", "ipc://{}/socket"])
def test_it_tells_whose_connection_has_gone(context, tmp_path, address):
    router = bind_router(context, address.format(tmp_path))
    monitor = Monitor(router)
    events = list(monitor.events())
    dealers = [connect_dealer(context, endpoint(router)) for _ in range(2)]
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


def test_inproc_has_no_descriptors(context):
    router = bind_router(context, "inproc://here")
    monitor = Monitor(router)
    dealer = connect_dealer(context, "inproc://here")
    dealer.send(b"hello")
    assert source_descriptor(FrameSocket(router).take()[1]) is None
    dealer.close()
    monitor.unbind()
    monitor.close()
    router.close()


def test_after_unbind_the_address_is_free(context):
    address = "tcp://127.0.0.1:*"
    for _ in range(50):
        router = bind_router(context, address)
        address = endpoint(router)
        monitor = Monitor(router)
        monitor.unbind()
        monitor.close()
        router.close()
