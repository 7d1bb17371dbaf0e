from __future__ import annotations

import asyncio

import pytest
from event_loops import came

from pyacq_rpc.loops import deadlines
from pyacq_rpc.loops.deadlines import Deadlines


@pytest.fixture
def kept():
    """Which requests wait, and which have expired."""

    class Kept:
        def __init__(self):
            self.waiting = set(range(1000))
            self.expired = []

        def expire(self, request_id, timeout):
            self.expired.append(request_id)

        def waits(self, request_id):
            return request_id in self.waiting

    return Kept()


def test_they_expire_in_order_of_time(run, kept):
    async def main():
        found = Deadlines(asyncio.get_running_loop(), kept.expire, kept.waits)
        found.add(1, 0.2)
        found.add(2, 0.02)
        found.add(3, 0.1)
        assert await came(lambda: len(kept.expired) == 3)
        assert kept.expired == [2, 3, 1]
        found.add(4, 0.01)  # the timer begins anew
        assert await came(lambda: kept.expired[-1] == 4)

    run(main())


def test_those_that_were_answered_are_not_kept(run, kept):
    async def main():
        found = Deadlines(asyncio.get_running_loop(), kept.expire, kept.waits)
        kept.waiting = set()
        for request_id in range(20 * deadlines._FEW):
            found.add(request_id, 60)
        assert len(found._heap) <= deadlines._FEW + 1
        found.clear()

    run(main())


def test_many_that_wait_are_all_kept(run, kept):
    async def main():
        found = Deadlines(asyncio.get_running_loop(), kept.expire, kept.waits)
        for request_id in range(1000):
            found.add(request_id, 0.05)
        assert await came(lambda: len(kept.expired) == 1000)
        assert kept.expired == [*range(1000)]

    run(main())


def test_nothing_is_called_once_they_are_cleared(run, kept):
    async def main():
        found = Deadlines(asyncio.get_running_loop(), kept.expire, kept.waits)
        found.add(1, 0.01)
        found.clear()
        await asyncio.sleep(0.05)
        assert kept.expired == []

    run(main())
