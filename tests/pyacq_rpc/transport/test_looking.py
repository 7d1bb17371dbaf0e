from __future__ import annotations

import pytest

from pyacq_rpc.transport import looking
from pyacq_rpc.transport.looking import LOOK_FOR, Looking


class World:
    """A clock, and something to wait for, that comes so many seconds after being asked."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        self.due = 0.0
        self.waking = 50e-6  # what a thread takes to wake up that has been put to sleep
        self.sleeps = 0
        self.looks = 0
        monkeypatch.setattr(looking.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(looking, "_can_look", True)
        self.wait = Looking(self._wait)

    def _wait(self, timeout):
        if timeout == 0:
            self.looks += 1
            self.now += 1e-6
            return [1] if self.now >= self.due else []
        self.sleeps += 1
        if timeout is not None and self.now + timeout < self.due:
            self.now += timeout
            return []
        self.now = max(self.now, self.due) + self.waking
        return [1]

    def ask(self, times, takes):
        self.sleeps = self.looks = 0
        for _ in range(times):
            self.due = self.now + takes
            assert self.wait(None) == [1]
        return self.sleeps / times


@pytest.fixture
def world(monkeypatch):
    return World(monkeypatch)


def test_quick_answers_are_looked_for(world):
    world.ask(20, 20e-6)
    assert world.ask(1000, 20e-6) < 0.1


def test_slow_answers_are_not(world):
    world.ask(100, 20e-6)
    world.ask(2, 0.01)
    assert world.ask(1000, 0.01) == 1
    assert world.looks == 0


def test_after_slow_ones_quick_ones_are_looked_for_again(world):
    world.ask(100, 20e-6)
    world.ask(100, 0.01)
    world.ask(5, 20e-6)
    assert world.ask(1000, 20e-6) < 0.1


def test_where_sleeping_is_faster_it_sleeps(world):
    """As where cores are scarce, and whoever looks keeps the other one from answering."""

    def wait(timeout):
        if timeout == 0:
            world.looks += 1
            world.now += 20e-6
            world.due += 18e-6
            return [1] if world.now >= world.due else []
        world.sleeps += 1
        world.now = max(world.now, world.due) + 5e-6
        return [1]

    world.wait = Looking(wait)
    world.ask(200, 20e-6)
    assert world.ask(10_000, 20e-6) > 0.99


def test_it_finds_out_when_that_changes(world):
    world.waking = 0.0
    world.ask(5000, 20e-6)
    world.waking = 80e-6
    world.ask(20_000, 20e-6)
    assert world.ask(1000, 20e-6) < 0.1


def test_the_time_to_wait_is_kept(world):
    world.ask(20, 20e-6)
    for timeout in (LOOK_FOR / 2, 0.01):
        world.due = world.now + 1.0
        begin = world.now
        assert world.wait(timeout) == []
        assert timeout <= world.now - begin < timeout + 1.1 * LOOK_FOR


def test_on_a_single_core_nobody_looks(world, monkeypatch):
    monkeypatch.setattr(looking, "_can_look", False)
    assert world.ask(100, 20e-6) == 1
    assert world.looks == 0
