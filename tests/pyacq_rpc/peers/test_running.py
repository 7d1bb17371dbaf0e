"""An interrupt reaches the request that it is for, or nobody."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest
from conftest import eventually

from pyacq_rpc.peers.running import InterruptHandler, Running, describe_running
from pyacq_rpc.peers.timers import Timers
from pyacq_rpc.session.dispatch import Dispatcher
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.policy import Trusted
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


class TestInsisting:
    @pytest.fixture
    def sent(self, monkeypatch):
        """The threads that signals are sent to; none comes."""
        sent = []
        monkeypatch.setattr("pyacq_rpc.peers.running._raise_in", sent.append)
        return sent

    @pytest.fixture
    def handler(self):
        """Handles SIGINT for what is carried out in the main thread."""
        running = Running()
        running.request = request(1)
        before = signal.getsignal(signal.SIGINT)
        handler = InterruptHandler(running)
        signal.signal(signal.SIGINT, handler)
        yield handler
        signal.signal(signal.SIGINT, before)

    def test_until_it_is_seen(self, handler, sent):
        running, ident = handler.running, threading.get_ident()
        assert running.interrupt(ident)
        assert running.insist(ident)
        assert running.insist(ident)
        assert sent == [ident] * 3
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGINT, None)
        assert not running.insist(ident)

    def test_not_when_the_request_has_ended(self, handler, sent):
        running, ident = handler.running, threading.get_ident()
        assert running.interrupt(ident)
        running.request = None
        assert not running.insist(ident)

    def test_not_in_a_request_that_looks_itself(self, handler, sent):
        running, ident = handler.running, threading.get_ident()
        assert running.interrupt(ident)  # of an earlier one
        sent.clear()
        running.waits = 1
        assert running.interrupt(ident)
        running.waits = 0
        assert not running.insist(ident)
        assert sent == []

    def test_not_in_a_request_that_others_are_carried_out_within(self, handler, sent):
        running, ident = handler.running, threading.get_ident()
        assert running.interrupt(ident)  # of an earlier one
        sent.clear()
        running.outer = ((running.request, "peer"),)
        running.request = request(2)
        assert running.interrupt(ident, ("peer", 1))
        running.request, running.outer = running.outer[0][0], ()
        assert not running.insist(ident)
        assert sent == []

    def test_none_reaches_what_comes_after(self, handler, sent, monkeypatch):
        running, ident, sending = handler.running, threading.get_ident(), threading.Event()
        assert running.interrupt(ident)

        def send_late(to):
            sending.set()
            time.sleep(0.05)
            signal.pthread_kill(to, signal.SIGINT)

        monkeypatch.setattr("pyacq_rpc.peers.running._raise_in", send_late)
        thread = threading.Thread(target=running.insist, args=(ident,))
        thread.start()
        assert sending.wait(10)
        wanted, running.request = running.request, None
        with pytest.raises(KeyboardInterrupt):
            running.settle(wanted)
        thread.join()

    def test_not_while_the_handler_waits_for_the_gil(self, handler, sent):
        """It is about to note that it has run."""
        running, ident = handler.running, threading.get_ident()
        assert running.interrupt(ident)
        sent.clear()

        def insist(frame, event, arg):
            if frame.f_code is not InterruptHandler.__call__.__code__:
                return
            sys.settrace(None)
            thread = threading.Thread(target=running.insist, args=(ident,))
            thread.start()
            thread.join()

        sys.settrace(insist)
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGINT, None)
        assert sent == []

    def test_not_in_another_thread(self, handler, sent):
        """What comes there is handled by nobody who could tell."""
        assert handler.running.interrupt(-1)
        assert not handler.running.insist(-1)

    def test_not_where_the_handler_is_another_one(self, handler, sent):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        assert handler.running.interrupt(threading.get_ident())
        assert not handler.running.insist(threading.get_ident())

    def test_not_where_it_is_somebody_else_s(self, handler, sent):
        signal.signal(signal.SIGINT, InterruptHandler(Running()))
        assert handler.running.interrupt(threading.get_ident())
        assert not handler.running.insist(threading.get_ident())


class TestTheHandler:
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

    def test_raises_elsewhere_too_where_that_has_somewhere_to_go(self):
        with pytest.raises(KeyboardInterrupt):
            InterruptHandler(Running())(signal.SIGINT, None)

    def test_raises_nothing_elsewhere(self):
        called = []
        InterruptHandler(Running(), lambda: called.append(1))(signal.SIGINT, None)
        assert called == [1]


class TestDescribing:
    """What a server tells of itself; the words are the dispatcher's."""

    class Tasks:
        def __init__(self, doing):
            self.doing = doing

        def describe(self):
            return self.doing, time.monotonic() - 3000

    @pytest.fixture
    def told(self):
        """What is told, if that is going on."""
        dispatcher = Dispatcher(ObjectTable(), Trusted(), None)

        def told(running, tasks=None, timers=None):
            return describe_running(running, dispatcher, tasks, timers or Timers())

        return told

    @pytest.fixture
    def importing(self):
        running = Running()
        running.request = Request(1, "import", "auto", {"module": "numpy"})
        running.since = time.monotonic() - 1000
        return running

    @pytest.fixture
    def ticking(self):
        timers = Timers()
        timers.current = timers.start(self.Tasks("").describe, 1.0, {})
        timers.since = time.monotonic() - 2000
        return timers

    def test_when_there_is_nothing(self, told):
        nothing = {"doing": None, "seconds": None}
        assert told(Running()) == told(Running(), self.Tasks("")) == nothing

    def test_what_is_urgent_does_not_count(self, told):
        running = Running()
        running.request = Request(1, "status", "auto", {})
        assert told(running)["doing"] is None

    def test_a_request_comes_before_all_else(self, told, importing, ticking):
        found = told(importing, self.Tasks("camera.expose"), ticking)
        assert found["doing"] == "import numpy"
        assert found["seconds"] == pytest.approx(1000, abs=100)

    def test_a_timer_comes_before_the_tasks(self, told, ticking):
        found = told(Running(), self.Tasks("camera.expose"), ticking)
        assert found["doing"] == "a timer's Tasks.describe"
        assert found["seconds"] == pytest.approx(2000, abs=100)

    def test_a_task(self, told):
        found = told(Running(), self.Tasks("camera.expose"))
        assert found["doing"] == "camera.expose"
        assert found["seconds"] == pytest.approx(3000, abs=100)
