"""Futures by themselves; what clients do with them is tested with those."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from interrupting import Everywhere

from pyacq_rpc.peers import future as future_module
from pyacq_rpc.peers.future import Future
from pyacq_rpc.peers.pending import Pending


def test_who_is_interrupted_in_filling_it_leaves_that_to_another_thread():
    everywhere = Everywhere()
    while everywhere.goes_on():
        future = Future(None, 1)
        assert future._condition  # as when somebody waits
        everywhere.run(partial(future.set_result, 1))
        with ThreadPoolExecutor() as pool:
            taken = pool.submit(future._condition.acquire, timeout=5)
            assert taken.result(), everywhere.place


def test_who_is_interrupted_in_filling_it_goes_on_with_its_callbacks():
    everywhere = Everywhere()
    while everywhere.goes_on():
        future, called = Future(None, 1), []
        pending = Pending(future, None, None)
        for _ in range(3):
            future.add_done_callback(called.append)
        everywhere.run(partial(pending.complete, 1, None))
        pending.complete(1, None)  # as it is done once more
        assert called == [future] * 3, everywhere.place
        assert future.result(0) == 1


def test_a_callback_that_fails_keeps_none_from_being_called(caplog):
    future, called = Future(None, 1), []
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(called.append)
    future.set_result(1)
    assert called == [future]
    assert "a callback of a future has failed" in caplog.text


def test_a_finalizer_that_runs_while_somebody_begins_to_wait_may_use_futures(monkeypatch):
    """As garbage is collected when something is made; it may be of the same future."""
    make, future, called = future_module._Condition, Future(None, 1), []

    def collect():
        monkeypatch.setattr(future_module, "_Condition", make)
        for other in (Future(None, 2), future):
            other.add_done_callback(called.append)
        return make()

    monkeypatch.setattr(future_module, "_Condition", collect)
    future.add_done_callback(called.append)
    future.set_result(1)
    assert called == [future] * 2
