from __future__ import annotations

import pytest

from pyacq_rpc.peers.timers import Timers


@pytest.fixture
def timers():
    return Timers()


class TestDueIn:
    def test_none(self, timers):
        assert timers.due_in() is None
        assert timers.due_in(3.0) == 3.0

    def test_the_next_one(self, timers):
        timers.start(print, 200.0, {})
        timers.start(print, 100.0, {})
        assert 50 < timers.due_in() <= 100
        assert 50 < timers.due_in(150.0) <= 100
        assert timers.due_in(3.0) == 3.0

    def test_one_that_should_have_come(self, timers):
        timers.start(print, 1e-9, {})
        assert timers.due_in() == timers.due_in(3.0) == 0.0

    def test_while_one_runs(self, timers):
        seen = []
        timers.once(1e-9, lambda: seen.append((timers.due_in(), timers.due_in(3.0))))
        timers.start(print, 100.0, {})
        assert timers.run_due()
        assert seen == [(None, 3.0)]
