from __future__ import annotations

import signal

import pytest
from conftest import eventually

from pyacq_rpc import RemoteCallException
from pyacq_rpc.peers.channel import Channel
from pyacq_rpc.people.ipython.sending import send_cell
from spawner import ProcessSpawner


def test_ctrl_c_just_when_a_cell_was_sent_stops_it(monkeypatch):
    with ProcessSpawner() as node:
        client = node.client
        send_cell(client, "import time", "a cell")
        send = Channel.send

        def send_and_interrupt(channel, frames, **kwds):
            send(channel, frames, **kwds)
            if b"sleep(60)" in bytes(frames[0]):
                assert eventually(lambda: client.status().doing is not None)
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Channel, "send", send_and_interrupt)
        with pytest.raises(RemoteCallException) as caught:
            send_cell(client, "time.sleep(60)", "a cell")
        assert caught.value.type_name == "KeyboardInterrupt"
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
