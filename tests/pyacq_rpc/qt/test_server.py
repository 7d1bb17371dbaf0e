from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from conftest import eventually, open_descriptors
from qtpy import QtCore, QtWidgets

from pyacq_rpc import QtRPCServer, RPCClient, RPCServer, ServerDisconnected
from pyacq_rpc.qt import server as module

from .conftest import turn_until


class Slow:
    def __init__(self):
        self.done = []

    def note(self, value):
        self.done.append(value)
        time.sleep(0.002)
        return threading.get_ident()


class TestRequests:
    def test_are_carried_out_in_the_thread_of_the_event_loop(self, qt_server, elsewhere):
        qt_server["slow"] = Slow()
        assert elsewhere(lambda client: client["slow"].note(1)) == threading.get_ident()

    def test_may_make_and_use_widgets(self, elsewhere):
        def use(client):
            label = client._import("qtpy.QtWidgets").QLabel("one")
            label.setText("two")
            return label.text()

        assert elsewhere(use) == "two"

    def test_are_carried_out_in_order(self, qt_server, elsewhere):
        slow = qt_server["slow"] = Slow()

        def use(client):
            proxy = client["slow"]
            for n in range(50):
                proxy.note(n, _sync="off")
            futures = [proxy.note(n, _sync="async") for n in range(50, 60)]
            for future in futures:
                future.result(10)

        elsewhere(use)
        assert slow.done == list(range(60))

    def test_leave_time_to_the_event_loop(self, qt_server, elsewhere, monkeypatch):
        """After its budget, here that of one request, everything else has its turn."""
        monkeypatch.setattr(module, "BUDGET", 0.0)
        slow = qt_server["slow"] = Slow()
        ticks = []
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: ticks.append(len(slow.done)))

        def use(client):
            futures = [client["slow"].note(n, _sync="async") for n in range(100)]
            for future in futures:
                future.result(10)

        timer.start(1)
        elsewhere(use)
        timer.stop()
        # Two milliseconds each: the timer is due after each of them.
        assert len({tick for tick in ticks if 0 < tick < 100}) > 50

    def test_that_came_before_it_runs_are_carried_out_then(self, app):
        server = QtRPCServer(quit_on_close=False)
        answers = []

        def use():
            client = RPCClient(server.address)
            answers.append(client.ping())
            client.close()

        thread = threading.Thread(target=use)
        thread.start()
        time.sleep(0.05)
        server.run_forever()
        assert turn_until(lambda: answers == ["pong"])
        thread.join(10)
        server.close()

    def test_of_a_callback_reach_the_caller_that_waits(self, qt_server, elsewhere):
        qt_server["apply"] = lambda function, value: function(value)
        assert elsewhere(lambda client: client["apply"](lambda value: value + 1, 1)) == 2

    def test_go_on_within_a_dialog(self, qt_server, elsewhere):
        def ask():
            dialog = qt_server["dialog"] = QtWidgets.QDialog()
            return dialog.exec()

        qt_server["ask"] = ask

        def use(client):
            answer = client["ask"](_sync="async")
            assert eventually(lambda: "dialog" in qt_server)
            client["dialog"].done(7)
            return answer.result(10)

        assert elsewhere(use) == 7

    def test_that_came_along_with_one_that_opens_a_dialog(self, qt_server, elsewhere, monkeypatch):
        """Nothing else would wake the dialog's event loop."""
        monkeypatch.setattr(module, "BUDGET", 0.0)
        qt_server["dialog"] = QtWidgets.QDialog()

        def wait_for_two():
            assert eventually(lambda: qt_server.listener.fill() or len(qt_server._items) == 2)

        qt_server["wait"] = wait_for_two

        def use(client):
            dialog, wait = client["dialog"], client["wait"]
            wait(_sync="off")
            answer = dialog.exec(_sync="async")
            dialog.done(7, _sync="off")
            return answer.result(10)

        assert elsewhere(use) == 7

    def test_may_start_timers(self, qt_server):
        called = []
        timer = qt_server.start_timer(lambda: called.append(time.monotonic()), 0.01)
        assert turn_until(lambda: len(called) >= 5)
        timer.stop()
        assert called[4] - called[0] >= 0.03

    def test_a_turn_that_fails_does_not_end_the_program(self, qt_server, monkeypatch, caplog):
        with monkeypatch.context() as patch:
            patch.setattr(qt_server, "serve_ready", lambda seconds: 1 / 0)
            qt_server._turn()
        assert "a turn failed" in caplog.text
        assert turn_until(qt_server.running)

    def test_ctrl_c_ends_the_event_loop(self, qt_server, monkeypatch, caplog):
        def interrupt(seconds):
            raise KeyboardInterrupt

        ended = []
        app = QtCore.QCoreApplication.instance()
        QtCore.QTimer.singleShot(0, lambda: patch.setattr(qt_server, "serve_ready", interrupt))
        QtCore.QTimer.singleShot(1, qt_server._turn)
        with monkeypatch.context() as patch:
            ended.append(app.exec())
        assert ended == [0]
        assert "interrupted" in caplog.text


class TestBusy:
    def test_status_is_told_while_a_slot_takes_long(self, qt_server, node):
        """By the I/O thread, since the event loop does not run meanwhile."""
        other = node._import("pyacq_rpc").RPCClient(qt_server.address)
        assert turn_until(other.ping(_sync="async").done)  # so that they are connected
        asked = other.status(_sync="async")
        assert eventually(asked.done)
        assert asked.result().state == "busy"  # with the test, whose event loop stands still
        other.close()

    def test_status_tells_of_a_slot_that_takes_long(self, qt_server, node):
        other = node._import("pyacq_rpc").RPCClient(qt_server.address)
        assert turn_until(other.ping(_sync="async").done)
        found = []

        def slot():
            deadline = time.monotonic() + 10
            while not (found and found[-1].state == "busy") and time.monotonic() < deadline:
                asked = other.status(_sync="async")
                assert eventually(asked.done)
                found.append(asked.result())

        QtCore.QTimer.singleShot(0, slot)
        assert turn_until(lambda: found and found[-1].state == "busy")
        assert "event loop is held up" in found[-1].doing
        asked = other.status(_sync="async")
        assert turn_until(asked.done)
        assert asked.result().state == "alive"
        other.close()


class TestRunning:
    def test_returns_at_once_and_registers_it(self, qt_server):
        assert QtRPCServer.get_server() is qt_server
        assert qt_server.running()

    def test_twice_is_refused(self, qt_server):
        with pytest.raises(RuntimeError, match="runs already"):
            qt_server.run_forever()

    def test_beside_another_server_is_refused(self, qt_server):
        another = QtRPCServer()
        with pytest.raises(RuntimeError, match="already has a server"):
            another.run_forever()
        another.close()

    def test_once_closed_does_nothing(self, app):
        server = QtRPCServer(quit_on_close=False)
        server.close()
        server.run_forever()
        assert not server.running()

    def test_in_a_thread_without_an_event_loop_is_refused(self, app):
        server = QtRPCServer()
        errors = []

        def run():
            try:
                server.run_forever()
            except RuntimeError as error:
                errors.append(str(error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(10)
        assert "no event loop" in errors[0]
        assert "RPCServer in others" in errors[0]
        server.close()


class TestClosing:
    def test_in_its_thread_is_done_at_once(self, app):
        before = open_descriptors()
        server = QtRPCServer(quit_on_close=False)
        server["thing"] = Slow()
        server.run_forever()
        server.close()
        assert server.listener.closed
        assert not server.keys()
        assert eventually(lambda: open_descriptors().keys() <= before.keys() | _of_the_context())

    def test_lets_go_of_objects_in_its_own_thread(self, app):
        ended_in = []

        class Thing:
            def __del__(self):
                ended_in.append(threading.get_ident())

        server = QtRPCServer(quit_on_close=False)
        server["thing"] = Thing()
        server.run_forever()
        thread = threading.Thread(target=server.close)
        thread.start()
        thread.join(10)
        assert turn_until(lambda: ended_in)
        assert ended_in == [threading.get_ident()]
        assert server.wait_closed(0)

    def test_by_a_client(self, qt_server, elsewhere):
        assert elsewhere(lambda client: client.close_server(timeout=10))
        assert turn_until(lambda: qt_server.listener.closed)

    def test_ends_the_application(self, app):
        server = QtRPCServer()
        server.run_forever()
        thread = threading.Thread(target=server.close)
        QtCore.QTimer.singleShot(0, thread.start)
        assert app.exec() == 0
        thread.join(10)
        assert server.listener.closed

    def test_finishes_a_request_first(self, qt_server, elsewhere):
        def last():
            qt_server.close()
            return qt_server.running()

        qt_server["last"] = last
        assert elsewhere(lambda client: client["last"]()) is False
        assert turn_until(lambda: qt_server.listener.closed)

    def test_ends_a_dialog_that_a_request_has_opened(self, app):
        """With the application, which ends as well."""
        server = QtRPCServer()
        server.run_forever()
        server["dialog"] = QtWidgets.QDialog()
        answers = []

        def use():
            client = RPCClient(server.address)
            dialog = client["dialog"]
            answers.append(dialog.exec(_sync="async", _timeout=None))
            assert eventually(dialog.isVisible)
            client.close_server(timeout=10)

        thread = threading.Thread(target=use)
        QtCore.QTimer.singleShot(0, thread.start)
        assert app.exec() == 0
        thread.join(10)
        assert answers[0].result(10) == 0
        assert server.listener.closed

    def test_waits_for_a_dialog_if_the_application_goes_on(self, qt_server):
        dialog = qt_server["dialog"] = QtWidgets.QDialog()
        answers = []

        def use():
            client = RPCClient(qt_server.address)
            remote = client["dialog"]
            answers.append(remote.exec(_sync="async", _timeout=None))
            assert eventually(remote.isVisible)
            client.close_server(timeout=10)
            answers.append(remote.close(_sync="async"))

        thread = threading.Thread(target=use)
        thread.start()
        assert turn_until(lambda: qt_server.listener.closed)
        assert not dialog.isVisible()
        thread.join(10)

    def test_leaves_no_timer(self, qt_server):
        called = []
        qt_server.start_timer(lambda: called.append(1), 0.01)
        qt_server.close()
        time.sleep(0.02)
        QtCore.QCoreApplication.processEvents()
        assert called == []

    def test_clients_are_told(self, qt_server, elsewhere):
        def use(client):
            proxy = client["slow"]
            client.close_server(timeout=10)
            assert eventually(client.disconnected)
            with pytest.raises(ServerDisconnected):
                proxy.note(1)

        qt_server["slow"] = Slow()
        elsewhere(use)


def _of_the_context():
    """Descriptors that the process keeps for further servers."""
    return {fd for fd, what in open_descriptors().items() if "socket" in what or "event" in what}


ENDINGS = {
    "nothing": "",
    "a running server": "server.run_forever()",
    "an event loop that has ended": "server.run_forever(); timer(0, app.quit); app.exec()",
    "a timer": "server.run_forever(); server.start_timer(print, 10)",
    "a window": "server.run_forever(); w = QtWidgets.QLabel('x'); w.show(); server['w'] = w",
    "no application any more": "server.run_forever(); del app",
    "a client": (
        "server.run_forever(); c = RPCClient(server.address); timer(0, app.quit); app.exec();"
        "print(c.ping())"
    ),
    "a worker thread": (
        "t = QtCore.QThread(); t.start(); server.run_forever(); timer(0, app.quit); app.exec();"
        "t.quit(); t.wait()"
    ),
}


@pytest.mark.parametrize("qt_first", [True, False], ids=["Qt first", "Qt last"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_program_ends_quietly_with(ending, qt_first):
    imports = ["from qtpy import QtCore, QtWidgets", "from pyacq_rpc import *"]
    program = [
        *(imports if qt_first else reversed(imports)),
        "app = QtWidgets.QApplication([])",
        "timer = QtCore.QTimer.singleShot",
        "server = QtRPCServer()",
        ENDINGS[ending],
    ]
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", "\n".join(program)],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "XDG_RUNTIME_DIR" not in line] == []


def test_a_plain_server_beside_it_is_refused(qt_server):
    another = RPCServer()
    with pytest.raises(RuntimeError, match="already has a server"):
        another.run_lazy()
    another.close()


def test_needs_qt_only_when_it_is_asked_for():
    program = (
        "import sys, pyacq_rpc, spawner;"
        "assert not [m for m in sys.modules if m.startswith(('PyQt', 'PySide', 'qtpy'))]"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=25)


def test_says_what_to_install_without_qt():
    program = (
        "import sys; sys.modules['qtpy'] = None\n"
        "try: from pyacq_rpc import QtRPCServer\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=25
    )
    assert "pip install 'pyacq-rpc[qt]'" in done.stdout
