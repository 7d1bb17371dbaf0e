"""A call must not take many more steps than it does: their number is stable where times are not."""

from __future__ import annotations

import statistics
import sys
import threading

import pytest
from conftest import eventually, settled
from things import Thing

from pyacq_rpc import RPCClient, RPCServer

CLIENT, SERVER = 36, 28
"""Python-level calls for each synchronous call of ``thing.add(1, 2)``, on either side."""

MARGIN = 1.15


class Counter:
    """Counts the Python-level calls of the thread that it is installed in."""

    def __init__(self):
        self.count = 0

    def __call__(self, frame, event, arg):
        if event == "call":
            self.count += 1


@pytest.fixture
def counted():
    """A server's thread whose calls are counted, and a client of it."""
    counter = Counter()
    server = RPCServer()
    server["thing"] = Thing()

    def run():
        sys.setprofile(counter)
        server.run_forever()
        sys.setprofile(None)

    thread = threading.Thread(target=run)
    thread.start()
    client = RPCClient(server.address)
    assert settled(client)
    yield client, counter
    server.close()
    thread.join(10)


def each(count, call, counter):
    """How many calls were counted for each of so many."""
    numbers = []
    for _ in range(count):
        before = counter.count
        call()
        numbers.append(counter.count - before)
    return statistics.median(numbers)


def test_the_steps_of_a_call_in_the_client(counted):
    client, _ = counted
    thing = client["thing"]
    counter = Counter()

    def call():
        sys.setprofile(counter)
        thing.add(1, 2)
        sys.setprofile(None)

    assert CLIENT / 2 < each(201, call, counter) <= CLIENT * MARGIN


def test_the_steps_of_a_call_in_the_server(counted):
    client, counter = counted
    thing = client["thing"]

    def call():
        before = counter.count
        thing.add(1, 2)
        # It goes on for some steps after it has answered.
        assert eventually(lambda: counter.count - before >= SERVER / 2)

    call()
    assert SERVER / 2 < each(201, call, counter) <= SERVER * MARGIN
