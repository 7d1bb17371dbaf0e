from __future__ import annotations

import collections
import types

import pytest
import zmq

from pyacq_rpc.peers.reach import Reach


class Monitor:
    """Tells what it is told to; see `transport.monitor.Monitor`."""

    def __init__(self):
        self.failures = collections.Counter()
        self.coming = []

    def events(self):
        coming, self.coming = self.coming, []
        for event in coming:
            if isinstance(event, bool):
                yield event, -1
            else:
                self.failures[event] += 1


@pytest.fixture
def sight():
    monitor = Monitor()
    reach = Reach(monitor, False)

    def look(*events):
        monitor.coming += events
        return reach.look()

    return types.SimpleNamespace(look=look, reach=reach)


def test_nobody_yet(sight):
    assert sight.look() is None
    assert not sight.reach.connected


def test_what_ends_before_it_has_begun_is_tried_again(sight):
    assert sight.look(False, False) is None
    assert sight.look(True) is None
    assert sight.reach.connected


def test_lost(sight):
    assert sight.look(True) is None
    assert sight.look(False) == ""
    assert not sight.reach.refused


def test_within_a_process_somebody_is_there_at_once():
    reach = Reach(Monitor(), True)
    assert reach.connected
    assert reach.look() is None


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([zmq.EVENT_HANDSHAKE_FAILED_AUTH], "does not admit your key"),
        ([zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL], "does not speak this protocol with a key"),
        ([zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL] * 3, "has another key than you"),
    ],
)
def test_refused(sight, events, why):
    assert sight.look(*events).startswith(why)
    assert sight.reach.refused


def test_a_server_that_ends_within_a_handshake_has_refused_nobody(sight):
    assert sight.look(*[zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL] * 2) is None
    assert sight.look(True) is None
    assert not sight.reach.refused


def test_what_cannot_be_read_on_the_way(sight):
    assert sight.look(True) is None
    assert "was changed on the way" in sight.look(zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL)
    assert not sight.reach.refused
