from __future__ import annotations

import pytest
import zmq
from zmq.utils.monitor import parse_monitor_message as parse_as_pyzmq_does

from pyacq_rpc.transport.monitor_events import parse_monitor_message


def test_it_reads_what_pyzmq_reads():
    with (
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as socket,
        socket.get_monitor_socket() as events,
    ):
        socket.bind("tcp://127.0.0.1:*")
        message = events.recv_multipart()
        socket.disable_monitor()
    assert parse_monitor_message(message) == parse_as_pyzmq_does(message)
    assert parse_monitor_message(message)["event"] == zmq.EVENT_LISTENING


@pytest.mark.parametrize("parts", [[], [b"\0" * 6], [b"\0" * 5, b""], [b"\0" * 6, b"", b""]])
def test_anything_else_is_refused(parts):
    with pytest.raises(Exception, match="unpack"):
        parse_monitor_message(parts)
