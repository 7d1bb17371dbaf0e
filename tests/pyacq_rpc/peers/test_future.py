"""Futures by themselves; what clients do with them is tested with those."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from interrupting import Everywhere

from pyacq_rpc.peers.future import Future


def test_who_is_interrupted_in_filling_it_leaves_that_to_another_thread():
    everywhere = Everywhere()
    while everywhere.goes_on():
        future = Future(None, 1)
        assert future._condition  # as when somebody waits
        everywhere.run(partial(future.set_result, 1))
        with ThreadPoolExecutor() as pool:
            taken = pool.submit(future._condition.acquire, timeout=5)
            assert taken.result(), everywhere.place
