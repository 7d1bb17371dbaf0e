from __future__ import annotations

import os
import select
import threading
import time

import pytest

from pyacq_rpc.transport.waiting import Waker, wait_readable


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


def test_without_poll_it_selects(waker, monkeypatch):
    monkeypatch.delattr(select, "poll")
    waker.wake()
    assert wait_readable([waker.fd], 1.0) == [waker.fd]
