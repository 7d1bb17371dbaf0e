from __future__ import annotations

import threading

import pytest
from conftest import eventually
from qtpy import QtCore

from pyacq_rpc import QtRPCServer, RPCClient, RPCServer
from pyacq_rpc.peers.runtime import current

from .conftest import turn_until


class Worker(QtCore.QObject):
    """Does in its thread what it is told to, by a slot that its event loop calls."""

    do = QtCore.Signal(object)

    def __init__(self):
        super().__init__()
        self.done = []
        self.do.connect(self._do)

    @QtCore.Slot(object)  # without it PyQt5 would call it in the main thread
    def _do(self, act):
        try:
            self.done.append(act())
        except Exception as error:  # noqa: BLE001  # the test looks at it
            self.done.append(error)


@pytest.fixture
def worker(app):
    """In a thread that runs Qt's own loop."""
    thread, worker = QtCore.QThread(), Worker()
    worker.moveToThread(thread)
    thread.start()
    worker.qthread = thread

    def run(act):
        worker.done.clear()
        worker.do.emit(act)
        assert turn_until(lambda: worker.done)
        return worker.done[0]

    worker.run = run
    yield worker
    thread.quit()
    assert thread.wait(10_000)


def serve():
    server = QtRPCServer()
    server["thread"] = threading.get_ident
    server.run_forever()
    return server


class TestAThreadWithQtsLoop:
    def test_may_have_a_server(self, worker):
        server = worker.run(serve)
        with_client = RPCClient(server.address)
        assert with_client["thread"]() == worker.run(threading.get_ident)

    def test_whose_server_closes_with_it(self, worker):
        server = worker.run(serve)
        client = RPCClient(server.address)
        assert client.ping() == "pong"
        worker.qthread.quit()
        assert worker.qthread.wait(10_000)
        assert server.listener.closed
        assert eventually(client.disconnected)

    def test_ends_when_its_server_is_closed(self, worker):
        server = worker.run(serve)
        server.close()
        assert worker.qthread.wait(10_000)

    def test_keeps_its_clients_from_slot_to_slot(self, qt_server, worker, node):
        def use():
            return id(node.client), node._import("operator").add(1, 2)

        first, second = worker.run(use), worker.run(use)
        assert first == second == (first[0], 3)

    def test_may_have_others_one_after_the_other(self, qt_server, worker):
        before = len(current()._threads)
        for _ in range(20):
            worker.run(lambda: current().thread())
        assert len(current()._threads) <= before + 1

    def test_serves_while_it_waits(self, worker, node):
        def act():
            serve()
            return list(node._import("builtins").map(lambda n: n + 1, [1, 2]))

        assert worker.run(act) == [2, 3]


def test_many_threads_leave_nothing(qt_server, app):
    for _ in range(20):
        thread, worker = QtCore.QThread(), Worker()
        worker.moveToThread(thread)
        thread.start()
        worker.do.emit(serve)
        assert turn_until(lambda worker=worker: worker.done)
        thread.quit()
        assert thread.wait(10_000)
        assert worker.done[0].listener.closed


class Running(QtCore.QThread):
    """Runs a program of its own."""

    def __init__(self, act):
        super().__init__()
        self._act = act
        self.result = None

    def run(self):
        self.result = self._act()


class TestAThreadWithAProgramOfItsOwn:
    def test_may_have_a_plain_server(self, app):
        servers = []

        def act():
            server = RPCServer()
            server["thread"] = threading.get_ident
            servers.append(server)
            server.run_forever()
            return threading.get_ident()

        thread = Running(act)
        thread.start()
        assert eventually(lambda: servers)
        client = RPCClient(servers[0].address)
        ident = client["thread"]()
        client.close_server(timeout=10)
        assert thread.wait(10_000)
        assert thread.result == ident

    def test_may_have_one_in_an_event_loop(self, app):
        servers = []

        def act():
            servers.append(serve())
            QtCore.QEventLoop().exec()

        thread = Running(act)
        thread.start()
        assert eventually(lambda: servers)
        assert RPCClient(servers[0].address)["thread"]()
        servers[0].close()
        assert thread.wait(10_000)

    def test_of_pythons_may_too(self, app):
        servers = []

        def act():
            loop = QtCore.QEventLoop()
            servers.append(serve())
            loop.exec()

        thread = threading.Thread(target=act)
        thread.start()
        assert eventually(lambda: servers)
        assert RPCClient(servers[0].address)["thread"]()
        servers[0].close()
        thread.join(10)
        assert not thread.is_alive()


def test_a_widget_that_qt_has_deleted_is_told_of(qt_server, elsewhere):
    from qtpy import QtWidgets

    qt_server["label"] = QtWidgets.QLabel("x")

    def use(client):
        label = client["label"]
        label.deleteLater()
        assert eventually(lambda: _is_deleted(label))

    def _is_deleted(label):
        try:
            label.text()
        except RuntimeError as error:
            return "deleted" in str(error)
        return False

    elsewhere(use)
