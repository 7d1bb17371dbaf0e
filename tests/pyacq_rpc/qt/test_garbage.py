"""Who collects the garbage of a program with a GUI."""

from __future__ import annotations

import gc
import threading

import pytest
from qtpy import QtCore

from pyacq_rpc.qt import garbage, garbage_collected_here
from spawner import ProcessSpawner

from .conftest import turn_until


class Circle:
    """Only the collector finds it; it notes in which thread that is."""

    def __init__(self, ends: list[int]) -> None:
        self.itself = self
        self.ends = ends

    def __del__(self) -> None:
        self.ends.append(threading.get_ident())


def make_much(ends: list[int] | None = None) -> None:
    for _ in range(100_000):
        Circle([] if ends is None else ends)


@pytest.fixture
def collecting(app):
    """As Python does it by itself, which other tests with Qt do not have."""
    gc.enable()
    yield
    gc.disable()


@pytest.fixture
def often(monkeypatch):
    monkeypatch.setattr(garbage, "INTERVAL", 0.01)


def in_a_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    thread.join()


@pytest.mark.usefixtures("collecting", "often")
class TestWhere:
    def test_else_in_any_thread(self):
        ends = []
        in_a_thread(make_much, ends)
        assert set(ends) - {threading.get_ident()}  # this one may take part

    def test_in_this_thread(self):
        ends = []
        with garbage_collected_here():
            in_a_thread(make_much, ends)
            assert ends == []
            assert turn_until(lambda: len(ends) == 100_000)
        assert set(ends) == {threading.get_ident()}

    def test_afterwards_as_before(self):
        with garbage_collected_here():
            assert not gc.isenabled()
        assert gc.isenabled()
        gc.disable()
        with garbage_collected_here():
            pass
        assert not gc.isenabled()


@pytest.mark.usefixtures("often")
class TestWhen:
    @pytest.fixture
    def collected(self, app, monkeypatch):
        """The generations that are collected, while the counts are as is said."""
        collected = []
        monkeypatch.setattr(gc, "collect", collected.append)
        monkeypatch.setattr(gc, "get_threshold", lambda: (700, 10, 10))

        def collected_at(*counts):
            monkeypatch.setattr(gc, "get_count", lambda: counts)
            collected.clear()
            with garbage_collected_here():
                seen = []
                QtCore.QTimer.singleShot(50, lambda: seen.append(1))
                assert turn_until(lambda: seen)
            return set(collected)

        return collected_at

    def test_by_the_thresholds_of_python(self, collected):
        assert collected(700, 10, 10) == set()
        assert collected(701, 10, 10) == {0}
        assert collected(701, 11, 10) == {1}
        assert collected(0, 0, 11) == {2}

    def test_never_if_that_is_turned_off(self, collected, monkeypatch):
        monkeypatch.setattr(gc, "get_threshold", lambda: (0, 10, 10))
        assert collected(701, 11, 11) == set()


def lose_timers(number: int) -> QtCore.QObject:
    """Make timers that nobody uses any more, and that go on until they are collected."""
    done = QtCore.QObject()
    for _ in range(number):
        timer = QtCore.QTimer()
        timer.start(1)
        done.timers = [timer, done]
        done = QtCore.QObject()
    return done


def test_a_node_with_a_gui_outlives_timers_that_are_garbage():
    """Those of PySide6 would go on without their object."""
    with ProcessSpawner(qt=True, output="capture") as gui:
        here = gui._import(__name__)
        for _ in range(5):
            here.lose_timers(20)
            here.in_a_thread(here.make_much)
        assert gui.client.ping() == "pong"
        assert gui.poll() is None
