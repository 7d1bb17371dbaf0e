from __future__ import annotations

import os
import signal
import sys

import pytest
from event_loop import turn_until
from qtpy import QtCore, QtWidgets

from pyacq_rpc.people.logs import window as module
from pyacq_rpc.people.logs.window import LogWindow
from spawner import LogServer, LogWatcher, ProcessSpawner

pytestmark = pytest.mark.qt


@pytest.fixture
def user(monkeypatch):
    """Does something with the window of `run` when it is there, then closes it."""
    windows, failures = [], []

    class Watched(LogWindow):
        def __init__(self, *args):
            super().__init__(*args)
            windows.append(self)

    monkeypatch.setattr(module, "LogWindow", Watched)

    def act(deed):
        def when_it_is_there():
            try:
                deed(windows[0])
            except BaseException as error:  # noqa: BLE001  # raised again below
                failures.append(error)
            windows[0].close()

        QtCore.QTimer.singleShot(0, when_it_is_there)

    yield act
    if failures:
        raise failures[0]


def test_it_shows_what_nodes_send_to_it(user, capsys):
    def deed(window):
        address = window.address.text()
        assert address in window.windowTitle()
        window.copy_address()
        assert QtWidgets.QApplication.clipboard().text() == address
        with ProcessSpawner(name="camera", log_addr=address) as node:
            node._import("logging").getLogger("lens").warning("dusty")
        records = window.viewer.model.records
        assert turn_until(lambda: "dusty" in [record.text for record in records()])

    user(deed)
    assert module.run() == 0
    assert capsys.readouterr().out.startswith("Listening: log_addr = ipc://")


def test_event_loops_run_after_it(user):
    user(lambda window: None)
    assert module.run() == 0
    ran = []
    QtCore.QTimer.singleShot(0, lambda: ran.append(True))
    assert turn_until(lambda: ran, 5.0)


def test_it_listens_where_it_is_told_to(user):
    user(lambda window: window.address.text().index("tcp://127.0.0.1:"))
    assert module.run(listen="tcp://127.0.0.1:*", max_records=5) == 0


def test_it_shows_what_comes_to_the_log_server_of_a_program(user, capsys, caplog):
    def deed(window):
        assert turn_until(lambda: "nobody answers" not in window.viewer.status())
        with ProcessSpawner(name="camera", log_addr=log_server.address) as node:
            node._import("logging").getLogger("lens").warning("dusty")
        records = window.viewer.model.records
        assert turn_until(lambda: "dusty" in [record.text for record in records()])

    user(deed)
    with LogServer() as log_server:
        assert module.run(log_server.address) == 0
        assert capsys.readouterr().out == f"Watching {log_server.address}\n"


def test_ctrl_c_ends_it(user):
    before = signal.getsignal(signal.SIGINT)
    user(lambda window: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        module.run()
    assert signal.getsignal(signal.SIGINT) is before


def test_what_goes_wrong_in_it_is_shown_in_it(user):
    def deed(window):
        timer = QtCore.QTimer()
        timer.timeout.connect(lambda: timer.stop() or 1 / 0)
        timer.start(0)
        records = window.viewer.model.records
        assert turn_until(lambda: any("1 / 0" in record.exception for record in records()))

    before = sys.excepthook
    user(deed)
    assert module.run() == 0
    assert sys.excepthook is before


def test_what_cannot_be_watched_or_listened_at():
    with pytest.raises(ValueError, match="cannot connect"):
        module.run("tcp://no such host:1")
    with pytest.raises(OSError, match="cannot listen"):
        module.run(listen="tcp://192.0.2.1:5000")


def test_its_title_says_which(app):
    with LogServer() as server, LogWatcher(server.address) as watcher:
        for source, title in [(server, "Logs sent to "), (watcher, "Logs of ")]:
            window = LogWindow(source)
            assert window.windowTitle() == title + server.address
            window.close()
