from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from conftest import eventually
from signalling import Signal, registered

from pyacq_rpc import RemoteCallException, RPCClient
from spawner import ProcessSpawner, SpawnError

AS_IT_BEGINS = """
import signal
from pyacq_rpc import QtRPCServer
from pyacq_rpc.qt.node import GuiNode
node = GuiNode("gui")
server = QtRPCServer()
begin = node.app.exec
node.app.exec = lambda: ({how}, begin())
node.run(server)
"""


@pytest.fixture
def gui():
    """A GUI in another process."""
    with ProcessSpawner(name="gui", qt=True, output="capture") as gui:
        yield gui


@pytest.fixture
def dialog(gui):
    return gui._import("qtpy.QtWidgets").QDialog()


class TestANode:
    def test_has_an_application(self, gui):
        widgets = gui._import("qtpy.QtWidgets")
        label = widgets.QLabel("hello")
        label.show()
        assert label.isVisible()
        assert widgets.QApplication.instance().applicationName() == "gui"

    def test_serves_in_its_thread(self, gui):
        core = gui._import("qtpy.QtCore")
        thread = core.QCoreApplication.instance().thread()
        assert thread == core.QThread.currentThread()

    def test_outlives_its_windows(self, gui):
        label = gui._import("qtpy.QtWidgets").QLabel("hello")
        label.show()
        label.close()
        assert gui.client.ping() == "pong"

    def test_outlives_a_slot_that_raises(self, gui):
        divide = gui._import("functools").partial(gui._import("operator").truediv, 1, 0)
        gui._import("qtpy.QtCore").QTimer.singleShot(0, divide)
        assert eventually(lambda: "a slot failed" in gui.stderr)
        assert eventually(lambda: "ZeroDivisionError" in gui.stderr)
        assert gui.client.ping() == "pong"

    def test_says_so_when_there_is_no_display(self, monkeypatch):
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(SpawnError, match="there is no display"):
            ProcessSpawner(qt=True)

    def test_may_be_forked_from_a_template(self):
        from spawner import NodeTemplate

        with (
            NodeTemplate(preload=["qtpy.QtWidgets"]) as template,
            ProcessSpawner(qt=True, template=template) as gui,
        ):
            assert gui._import("qtpy.QtWidgets").QLabel("hello").text() == "hello"


class TestItsEnd:
    def test_when_it_is_asked_to(self, gui):
        assert gui.stop() == 0

    def test_with_its_application(self, gui):
        gui._import("qtpy.QtWidgets").QApplication.quit(_sync="off")
        assert gui.wait(20) == 0

    def test_when_a_client_closes_its_server(self, gui):
        assert RPCClient.get_client(gui.address).close_server(timeout=10)
        assert gui.wait(20) == 0

    def test_by_a_signal(self, gui):
        gui.proc.terminate()
        assert gui.wait(20) == 128 + signal.SIGTERM

    def test_by_a_signal_while_it_begins(self):
        """At any moment: the signal's handler closes the server."""
        for n in range(8):
            with ProcessSpawner(qt=True, output="capture") as gui:
                time.sleep(0.0005 * n)
                gui.proc.terminate()
                assert gui.wait(20) == 128 + signal.SIGTERM, gui.stderr

    def test_with_a_dialog_open(self, gui, dialog):
        answer = dialog.exec(_sync="async", _timeout=None)
        assert eventually(dialog.isVisible)
        assert gui.stop(20) == 0
        assert answer.result(10) == 0

    def test_with_dialogs_within_each_other(self, gui):
        dialogs = [gui._import("qtpy.QtWidgets").QDialog() for _ in range(3)]
        for one in dialogs:
            one.exec(_sync="off")
            assert eventually(one.isVisible)
        assert gui.stop(20) == 0

    def test_with_a_dialog_open_that_a_slot_has_opened(self, gui, dialog):
        gui._import("qtpy.QtCore").QTimer.singleShot(0, dialog.exec)
        assert eventually(dialog.isVisible)
        assert gui.stop(20) == 0

    @pytest.mark.parametrize("method", ["exec", "show"])
    def test_with_one_that_refuses_to_close(self, gui, method):
        box = _stubborn_box(gui)
        getattr(box, method)(_sync="off")
        assert eventually(box.isVisible)
        assert not box.close()
        assert gui.stop(20) == 0

    def test_with_an_event_loop_running(self, gui):
        loop = gui._import("qtpy.QtCore").QEventLoop()
        loop.exec(_sync="off")
        assert eventually(loop.isRunning)
        assert gui.stop(20) == 0

    def test_by_a_signal_with_a_dialog_open(self, gui, dialog):
        dialog.exec(_sync="off")
        assert eventually(dialog.isVisible)
        gui.proc.terminate()
        assert gui.wait(20) == 128 + signal.SIGTERM

    def test_by_a_signal_when_it_waits_for_another_process(self, gui, node):
        sleep = gui._import("operator").methodcaller("sleep", 60)
        slept = sleep(node._import("time"), _sync="async")
        assert eventually(lambda: node.client.status().doing)
        gui.proc.terminate()
        assert gui.wait(20) == 128 + signal.SIGTERM
        assert slept.exception(10)

    def test_by_an_interrupt_with_a_dialog_open(self, gui, dialog):
        dialog.exec(_sync="off")
        assert eventually(dialog.isVisible)
        gui.proc.send_signal(signal.SIGINT)
        assert gui.wait(20) != 0
        assert "KeyboardInterrupt" in gui.stderr

    def test_by_a_signal_when_it_is_busy(self, gui):
        gui._import("signalling").nap(60, _sync="off")
        assert eventually(lambda: gui.client.status().doing == "signalling.nap")
        gui.proc.terminate()
        assert gui.wait(20) == 128 + signal.SIGTERM

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_by_a_signal_when_it_is_about_to_be_busy(self, gui, number):
        """While its thread has taken the request, and not begun with it."""
        signalling = gui._import("signalling")
        signalling.register()
        with registered():
            signalling.nap(60, Signal(number), _sync="off")
        assert gui.wait(20) == (128 + number if number == signal.SIGTERM else -number)
        assert "call that wanted no answer failed" not in gui.stderr

    @pytest.mark.parametrize("how", ["node.terminate(server)", "signal.raise_signal(2)"])
    def test_by_a_signal_when_its_event_loop_is_about_to_begin(self, how):
        done = subprocess.run(
            [sys.executable, "-c", AS_IT_BEGINS.format(how=how)], timeout=20, stderr=subprocess.PIPE
        )
        assert (b"KeyboardInterrupt" in done.stderr) == ("raise" in how)

    def test_by_an_interrupt(self, gui):
        gui.proc.send_signal(signal.SIGINT)
        assert gui.wait(20) != 0
        assert "KeyboardInterrupt" in gui.stderr

    def test_not_by_an_interrupt_of_a_request(self, gui):
        slept = gui._import("time").sleep(60, _sync="async", _timeout=60)
        assert eventually(lambda: gui.client.status().doing)
        assert gui.client.interrupt()
        with pytest.raises(RemoteCallException) as caught:
            slept.result(20)
        assert "KeyboardInterrupt" in str(caught.value.__cause__)
        assert gui.client.ping() == "pong"

    def test_not_by_interrupts_while_a_request_waits(self, gui):
        """They come as exceptions to wherever Python runs: in a slot of Qt's, too."""
        builtins = gui._import("builtins")

        def slow(value):
            time.sleep(0.02)
            return value

        for n in range(20):
            answers = builtins.map(slow, range(4), _return_type="proxy")
            found = builtins.list(answers, _sync="async")
            time.sleep(0.005 * n)
            gui.client.interrupt()
            error = found.exception(20)
            assert error is None or "KeyboardInterrupt" in str(error.__cause__)
        assert gui.client.ping() == "pong"

    def test_not_by_an_interrupt_of_a_dialog(self, gui, dialog):
        answer = dialog.exec(_sync="async", _timeout=None)
        assert eventually(dialog.isVisible)
        assert gui.client.interrupt()
        assert answer.result(20) == 0
        assert not dialog.isVisible()

    def test_nor_by_one_of_a_dialog_that_refuses_to_close(self, gui):
        box = _stubborn_box(gui)
        answer = box.exec(_sync="async", _timeout=None)
        assert eventually(box.isVisible)
        assert gui.client.interrupt()
        answer.result(20)
        assert not box.isVisible()

    def test_nor_by_one_of_a_menu(self, gui):
        menu = gui._import("qtpy.QtWidgets").QMenu()
        menu.addAction("one")
        answer = menu.exec(_sync="async", _timeout=None)
        assert eventually(menu.isVisible)
        assert gui.client.interrupt()
        assert answer.result(20) is None

    def test_an_interrupt_leaves_other_dialogs_open(self, gui, dialog):
        """Those that were open before what it is meant for."""
        dialog.open()
        assert dialog.isVisible()
        loop = gui._import("qtpy.QtCore").QEventLoop()
        answer = loop.exec(_sync="async", _timeout=None)
        assert eventually(loop.isRunning)
        assert gui.client.interrupt()
        loop.quit()
        answer.result(20)
        assert dialog.isVisible()

    def test_with_a_window_open(self, gui):
        gui._import("qtpy.QtWidgets").QLabel("hello").show()
        begun = time.monotonic()
        assert gui.stop(20) == 0
        assert time.monotonic() - begun < 15


def _stubborn_box(gui):
    """It has two buttons, none of which is what Escape means."""
    box = gui._import("qtpy.QtWidgets").QMessageBox()
    for text in "one", "two":
        box.addButton(text, box.ButtonRole.AcceptRole)
    return box


def test_a_flood_of_requests_of_which_each_waits_ends_well():
    with ProcessSpawner(qt=True) as node:
        reduce = node._import("functools").reduce
        node._import("time").sleep(0.5, _sync="off")  # so that they are all there

        def slowly(a, b):
            if b < 100:
                time.sleep(0.02)  # longer than it waits without its event loop
            return a * b

        products = [
            reduce(slowly, [2, number], _sync="async", _timeout=60) for number in range(500)
        ]
        assert [it.result(60) for it in products] == [2 * number for number in range(500)]
