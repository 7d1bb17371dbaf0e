"""Iteration over what a GUI holds: its event loop has a turn between any two items."""

from __future__ import annotations

import asyncio
import threading
import time

from qtpy import QtCore

from pyacq_rpc.qt import server as module


class Slow:
    def __init__(self):
        self.produced = 0
        self.thread = 0

    def numbers(self, count, seconds):
        for number in range(count):
            time.sleep(seconds)
            self.produced += 1
            self.thread = threading.get_ident()
            yield number


def test_the_event_loop_waits_for_one_item_at_most(qt_server, elsewhere, monkeypatch):
    monkeypatch.setattr(module, "BUDGET", 0.0)
    slow = qt_server["slow"] = Slow()
    ticks = []
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(slow.produced))
    timer.start(1)
    found = elsewhere(lambda client: list(client["slow"].numbers(50, 0.003)))
    timer.stop()
    assert found == list(range(50))
    assert slow.thread == threading.get_ident()
    # Three milliseconds each: the timer is due after each of them.
    assert len({tick for tick in ticks if 0 < tick < 50}) > 25


def test_many_quick_items_are_few_turns(qt_server, elsewhere):
    qt_server["slow"] = Slow()
    found = elsewhere(lambda client: list(client["slow"].numbers(1000, 0)))
    assert found == list(range(1000))


def test_of_widgets(qt_server, elsewhere):
    def use(client):
        widgets = client._import("qtpy.QtWidgets")
        box = widgets.QComboBox()
        box.addItems(["one", "two"])
        texts = client._import("builtins").map(box.itemText, range(box.count()))
        return list(texts)

    assert elsewhere(use) == ["one", "two"]


def test_in_the_gui_its_event_loop_goes_on_while_it_waits(qt_server, node):
    ticks = []
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(1))
    timer.start(5)
    sleep = node._import("time").sleep
    assert list(node._import("builtins").map(sleep, [0.1] * 3)) == [None] * 3
    timer.stop()
    assert len(ticks) > 3


def test_its_generator_ends_in_its_thread(qt_server, elsewhere):
    threads = []

    def numbers():
        try:
            yield 1
            yield 2
        finally:
            threads.append(threading.get_ident())

    qt_server["numbers"] = numbers

    def use(client):
        with client["numbers"]()._iterate(prefetch=0) as items:
            next(items)

        async def collect():
            return [item async for item in client["numbers"]()]

        return asyncio.run(collect())

    assert elsewhere(use) == [1, 2]
    assert threads == [threading.get_ident()] * 2
