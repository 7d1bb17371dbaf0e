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
        self.others = 0.0  # seconds that they run when they are let
        self.scarce = False
        monkeypatch.setattr(looking.time, "perf_counter", lambda: self.now)
        monkeypatch.setattr(looking, "_can_look", True)
        monkeypatch.setattr(looking, "_let_others_run", self._let_others_run)
        monkeypatch.setattr(looking, "_are_cores_scarce", lambda: self.scarce)
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

    def _let_others_run(self):
        self.now += self.others

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


def test_where_others_want_its_core_it_sleeps(world):
    world.ask(20, 20e-6)
    world.scarce, world.others = True, 0.003
    assert world.ask(10_000, 20e-6) > 0.99


def test_where_looks_are_in_vain_and_cores_scarce_it_sleeps(world):
    world.ask(20, 20e-6)
    world.scarce = True
    world.ask(10_000, 120e-6)
    assert world.looks < 10_000  # a hundred for each wait, if it went on


def test_where_there_are_cores_it_goes_on(world):
    """The one that is to answer may soon get another one than this."""
    world.ask(20, 20e-6)
    world.ask(10_000, 120e-6)
    assert world.ask(1000, 20e-6) < 0.1


def test_it_finds_out_when_cores_are_scarce_no_more(world):
    world.ask(20, 20e-6)
    world.scarce, world.others = True, 0.003
    world.ask(10_000, 20e-6)
    world.scarce, world.others = False, 0.0
    world.ask(5000, 20e-6)
    assert world.ask(1000, 20e-6) < 0.1


def test_a_few_looks_in_vain_change_nothing(world):
    world.scarce = True
    for _ in range(100):
        world.ask(20, 20e-6)
        world.ask(2, 120e-6)
    assert world.ask(1000, 20e-6) < 0.1


@pytest.mark.parametrize(
    ("told", "scarce"),
    [
        (b"0.20 0.18 0.12 2/80 11206\n", False),
        (b"0.20 0.18 0.12 3/80 11206\n", True),
        (b"", True),
        (b"0.20 0.18 0.12 many/80 11206\n", True),
        (None, True),
    ],
)
def test_cores_are_scarce_where_more_want_to_run(monkeypatch, tmp_path, told, scarce):
    path = tmp_path / "loadavg"
    if told is not None:
        path.write_bytes(told)
    monkeypatch.setattr(looking, "_cores", 2)
    monkeypatch.setattr(looking, "LOAD", str(path))
    assert looking._are_cores_scarce() is scarce


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
