"""An interrupt reaches the request that it is for, or nobody."""

from __future__ import annotations

import signal
import threading
import time

import pytest
from conftest import eventually

from pyacq_rpc.peers.running import InterruptHandler, Running
from pyacq_rpc.wire.messages import Request


def request(number):
    return Request(number, "ping", "auto", {})


class Worker:
    """Carries out requests as a server does, and counts what reaches it elsewhere."""

    def __init__(self, running, seconds):
        self.running = running
        self.interrupted = 0
        self.finished = 0
        self.strays = 0
        self.stop = False
        self.seconds = seconds
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        running = self.running
        number = 0
        while not self.stop:
            try:
                number += 1
                self._carry_out(running, request(number))
                sum(range(50))  # what a server does in between
            except KeyboardInterrupt:
                self.strays += 1

    def _carry_out(self, running, wanted):
        running.request = wanted
        ended = False
        try:
            end = time.monotonic() + self.seconds
            while True:  # as in tests/test_loops_under_interrupts.py
                if time.monotonic() >= end:
                    break
            running.request = None
        except KeyboardInterrupt:
            running.request = None
            ended = True
        if running.wanted is wanted:
            try:  # noqa: SIM105
                running.settle(wanted)
            except KeyboardInterrupt:
                pass
            running.wanted = None
        self.interrupted += ended
        self.finished += not ended


@pytest.mark.parametrize("seconds", [0.0, 0.0005, 0.01])
def test_none_reaches_what_comes_after(seconds):
    running = Running()
    worker = Worker(running, seconds)
    end = time.monotonic() + 1.5
    tried = 0
    while time.monotonic() < end:
        tried += running.interrupt(worker.thread.ident)
        time.sleep(0.0001)
    worker.stop = True
    worker.thread.join(10)
    assert worker.strays == 0
    assert tried > 0
    assert worker.interrupted <= tried
    assert worker.interrupted or seconds < 0.01


def test_where_nothing_runs_nothing_is_interrupted():
    assert not Running().interrupt(threading.get_ident())


def test_one_that_is_ignored_does_not_keep_the_request_from_ending():
    running = Running()
    ignored, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def run():
        wanted = running.request = request(1)
        try:
            while not go_on.is_set():
                time.sleep(0.001)
        except KeyboardInterrupt:
            ignored.set()
        running.request = None
        running.settle(wanted)
        ended.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(lambda: running.request is not None)
    assert running.interrupt(thread.ident)
    assert ended.wait(10)
    assert ignored.is_set()
    thread.join()


class TestTheHandlerOfAnEventLoop:
    def test_raises_in_a_request(self):
        running, called = Running(), []
        handler = InterruptHandler(running, lambda: called.append(1))
        running.request = request(1)
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGINT, None)
        assert called == []

    def test_raises_nothing_that_would_not_get_there(self):
        running, called = Running(), []
        handler = InterruptHandler(running, lambda: called.append(1), lambda: False)
        running.request = request(1)
        handler(signal.SIGINT, None)
        assert called == [1]

    def test_raises_nothing_elsewhere(self):
        called = []
        InterruptHandler(Running(), lambda: called.append(1))(signal.SIGINT, None)
        assert called == [1]
