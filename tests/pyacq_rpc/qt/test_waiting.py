from __future__ import annotations

import threading
import time

import pytest
from qtpy import QtCore, QtWidgets

from pyacq_rpc import ApplicationQuit, CallTimeout
from pyacq_rpc.qt.waiting import PATIENCE

from .conftest import turn_until


@pytest.fixture
def there(qt_server, node):
    """The module `time` of another process."""
    return node._import("time")


@pytest.fixture
def ticks(app):
    """A timer of this thread counts them."""
    ticks = []
    timer = QtCore.QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start(5)
    yield ticks
    timer.stop()


def in_a_slot(act):
    """Do something as a slot does it, in the application's event loop; return what comes of it."""
    app = QtCore.QCoreApplication.instance()
    found = []

    def slot():
        try:
            found.append(act())
        except Exception as error:  # noqa: BLE001  # raised again below
            found.append(error)
        app.quit()

    QtCore.QTimer.singleShot(0, slot)
    app.exec()
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]


class TestWhatGoesOn:
    def test_timers(self, there, ticks):
        def act():
            """Nothing else lets the event loop run."""
            before, stop = len(ticks), time.monotonic() + 10
            while len(ticks) < before + 5 and time.monotonic() < stop:
                there.sleep(0.1)
            return len(ticks) - before

        assert in_a_slot(act) >= 5

    def test_timers_during_many_short_calls(self, there, ticks):
        def act():
            before, stop = len(ticks), time.monotonic() + 10
            while len(ticks) < before + 5 and time.monotonic() < stop:
                there.time()
            return len(ticks) - before

        assert in_a_slot(act) >= 5

    def test_repaints(self, there):
        painted = []

        class Widget(QtWidgets.QWidget):
            def paintEvent(self, event):
                painted.append(time.monotonic())

        widget = Widget()
        widget.show()
        assert turn_until(lambda: painted)
        painted.clear()

        def act():
            widget.update()
            there.sleep(0.2)
            return len(painted)

        assert in_a_slot(act) == 1
        widget.close()

    def test_callbacks(self, qt_server, node):
        def double(value):
            assert QtCore.QThread.currentThread() is QtCore.QCoreApplication.instance().thread()
            return 2 * value

        mapped = in_a_slot(lambda: list(node._import("builtins").map(double, [1, 2, 3])))
        assert mapped == [2, 4, 6]

    def test_requests_of_others(self, qt_server, there):
        """They come while a slot waits, and are not kept until it has done."""
        qt_server["value"] = 7
        found = []

        def ask():
            from pyacq_rpc import RPCClient

            client = RPCClient(qt_server.address)
            found.append(client["value"])
            client.close()

        def act():
            thread = threading.Thread(target=ask)
            thread.start()
            while not found:
                there.sleep(0.05)
            thread.join(10)
            return found

        assert in_a_slot(act) == [7]

    def test_outside_of_any_event_loop(self, there, ticks):
        there.sleep(0.2)
        assert ticks


class TestWhatDoesNot:
    def test_nothing_does_during_a_call_that_is_short(self, qt_server, ticks):
        reading, writing = _pipe()
        writing.send(b"x")
        for _ in range(3):
            before = len(ticks)
            qt_server._wait._waited = 0.0
            time.sleep(0.01)  # the timer is due
            qt_server.wait_for([reading.fileno()], 1.0)
            assert len(ticks) == before
        reading.close()
        writing.close()

    def test_patience_is_for_all_calls_together(self, there, ticks):
        """Or the window would freeze during many calls that are all short."""
        for _ in range(40):
            there.sleep(PATIENCE / 3)
        assert ticks


def _pipe():
    import socket

    return socket.socketpair()


class TestEnding:
    def test_by_a_timeout(self, there):
        with pytest.raises(CallTimeout):
            in_a_slot(lambda: there.sleep(1, _timeout=0.1))

    def test_by_the_end_of_the_application(self, there):
        QtCore.QTimer.singleShot(100, QtCore.QCoreApplication.instance().quit)
        begun = time.monotonic()
        with pytest.raises(ApplicationQuit, match="quits"):
            in_a_slot(lambda: there.sleep(20, _timeout=25))
        assert time.monotonic() - begun < 10

    def test_what_is_called_meanwhile_raises_too(self, there):
        def act():
            QtCore.QCoreApplication.instance().quit()
            with pytest.raises(ApplicationQuit):
                there.sleep(20, _timeout=25)
            with pytest.raises(ApplicationQuit):
                there.sleep(20, _timeout=25)

        in_a_slot(act)

    def test_not_by_a_quit_of_what_does_not_run(self, there):
        """PyQt5's event loops then end at once, until one of the application has run."""
        app = QtCore.QCoreApplication.instance()
        app.quit()
        there.sleep(0.1)
        in_a_slot(lambda: there.sleep(0.1))

    def test_the_answer_that_came_too_late_is_dropped(self, there):
        def act():
            QtCore.QTimer.singleShot(0, QtCore.QCoreApplication.instance().quit)
            there.sleep(1)

        with pytest.raises(ApplicationQuit):
            in_a_slot(act)
        assert in_a_slot(lambda: there.sleep(0.1)) is None


class TestNesting:
    def test_of_slots_that_wait_for_the_same_server(self, there):
        """The inner one may take in the answer of the outer one."""
        order = []

        def inner():
            there.sleep(0.2)
            order.append("inner")

        def act():
            QtCore.QTimer.singleShot(30, inner)
            there.sleep(0.1)
            order.append("outer")

        in_a_slot(act)
        assert order == ["inner", "outer"]

    def test_there_and_back_again(self, qt_server, node):
        call = node._import("operator").methodcaller

        def ping(depth):
            return depth and 1 + call("__call__", depth - 1)(proxy)

        proxy = qt_server.get_proxy(ping)
        assert in_a_slot(lambda: ping(10)) == 10

    def test_of_waits_in_other_threads_of_the_process(self, qt_server, node):
        """Each has its own server, or none, and none of this."""
        thread = threading.Thread(target=lambda: node._import("time").sleep(0.2))
        thread.start()
        in_a_slot(lambda: node._import("time").sleep(0.1))
        thread.join(10)
