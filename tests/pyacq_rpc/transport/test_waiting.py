from __future__ import annotations

import os
import select
import signal
import threading
import time

import pytest
from interrupting import Everywhere

from pyacq_rpc.transport import waiting
from pyacq_rpc.transport.looking import Looking
from pyacq_rpc.transport.waiting import Waker, make_poll, wait_readable


@pytest.fixture(params=["eventfd", "socketpair"])
def waker(request, monkeypatch):
    if request.param == "socketpair":
        monkeypatch.delattr(os, "eventfd", raising=False)
    waker = Waker()
    yield waker
    waker.close()


def test_it_is_readable_from_wake_to_clear(waker):
    assert wait_readable([waker.fd], 0) == []
    waker.wake()
    waker.wake()
    assert wait_readable([waker.fd], 0) == [waker.fd]
    waker.clear()
    waker.clear()
    assert wait_readable([waker.fd], 0) == []


def test_it_can_be_cleared_wherever_waking_was_interrupted(waker):
    everywhere = Everywhere()
    while everywhere.goes_on():
        everywhere.run(waker.wake)
        waker.clear()
        assert wait_readable([waker.fd], 0) == [], everywhere.place


def test_it_wakes_another_thread(waker):
    threading.Timer(0.05, waker.wake).start()
    assert wait_readable([waker.fd], 10) == [waker.fd]


def test_it_never_blocks_and_does_nothing_once_closed(waker):
    for _ in range(100_000):
        waker.wake()
    waker.close()
    waker.wake()


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="sockets know when they are closed")
def test_a_descriptor_is_not_given_back_while_it_is_written_to(monkeypatch):
    """It may belong to something else by then, which the eight bytes would destroy."""
    waker, write, too_early = Waker(), os.eventfd_write, []

    def write_late(fd, value):
        closing = threading.Thread(target=waker.close)
        closing.start()
        closing.join(0.2)
        too_early.append(not closing.is_alive())
        write(fd, value)

    monkeypatch.setattr(os, "eventfd_write", write_late)
    waker.wake()
    assert too_early == [False]


def test_a_wait_lasts_its_time_and_uses_none(waker):
    before, cpu = time.monotonic(), time.thread_time()
    assert wait_readable([waker.fd], 0.2) == []
    assert time.monotonic() - before >= 0.2
    assert time.thread_time() - cpu < 0.1


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs signals")
@pytest.mark.parametrize("way", ["poll", "select", "looking"])
def test_the_main_thread_notices_a_signal_that_ends_no_system_call(waker, monkeypatch, way):
    if way == "select":
        monkeypatch.delattr(select, "poll")
    wait = make_poll([waker.fd])
    if way == "looking":
        wait = Looking(wait)
    ended = threading.Event()

    def interrupt():
        time.sleep(0.1)
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # Python's handler runs elsewhere
        if not ended.wait(10):
            waker.wake()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        wait(None) if way == "looking" else wait_readable([waker.fd], None)
    assert not waker.woken
    ended.set()
    thread.join()


def test_slices_add_up(waker, monkeypatch):
    monkeypatch.setattr(waiting, "SLICE", 0.05)
    before = time.monotonic()
    assert wait_readable([waker.fd], 0.22) == []
    assert time.monotonic() - before >= 0.22
    threading.Timer(0.12, waker.wake).start()
    assert wait_readable([waker.fd], None) == [waker.fd]


def test_without_poll_it_selects(waker, monkeypatch):
    monkeypatch.delattr(select, "poll")
    waker.wake()
    assert wait_readable([waker.fd], 1.0) == [waker.fd]
