from __future__ import annotations

import concurrent.futures
import functools
import gc
import logging
import threading
from typing import Any, Protocol

import pytest
from conftest import eventually
from qtpy import QtCore, QtWidgets

from pyacq_rpc import (
    AccessDenied,
    QtRPCServer,
    RPCClient,
    RPCServer,
    SerializationError,
    Service,
    expose,
)
from pyacq_rpc.qt import signals as module
from spawner import ProcessSpawner

from .conftest import turn_until


@pytest.fixture
def gui():
    """A GUI in another process."""
    with ProcessSpawner(name="gui", qt=True, output="capture") as gui:
        yield gui


@pytest.fixture
def button(gui):
    return gui._import("qtpy.QtWidgets").QPushButton("press")


@pytest.fixture
def calls():
    return []


class TestConnecting:
    def test_a_function(self, button, calls):
        button.clicked.connect(lambda: calls.append("clicked"))
        button.click()
        assert eventually(lambda: calls == ["clicked"])

    def test_that_wants_the_arguments(self, gui, calls):
        slider = gui._import("qtpy.QtWidgets").QSlider()
        slider.rangeChanged.connect(lambda low, high: calls.append((low, high)))
        slider.setRange(3, 7)
        assert eventually(lambda: calls == [(3, 7)])

    def test_that_wants_some_of_them(self, gui, calls):
        slider = gui._import("qtpy.QtWidgets").QSlider()
        slider.rangeChanged.connect(lambda low: calls.append(low))
        slider.setRange(3, 7)
        assert eventually(lambda: calls == [3])

    def test_a_method(self, button, calls):
        button.clicked.connect(calls.append)
        button.click()
        assert eventually(lambda: calls == [False])

    def test_a_chosen_overload(self, gui, calls):
        group = gui._import("qtpy.QtWidgets").QSpinBox()
        group.valueChanged["int"].connect(calls.append)
        group.setValue(5)
        assert eventually(lambda: calls == [5])

    def test_does_not_hold_up_the_gui(self, button):
        """The function waits for what the same GUI is asked for only then."""
        called, go_on = threading.Event(), threading.Event()

        def slow():
            called.set()
            go_on.wait(10)

        button.clicked.connect(slow)
        button.click()
        assert called.wait(10)
        assert button.text() == "press"
        go_on.set()

    def test_with_the_gui_waiting(self, button, calls):
        button.clicked.connect(lambda: calls.append(1), sync="sync")
        button.click()
        assert calls == [1]

    def test_in_a_way_that_there_is_not(self, button):
        with pytest.raises(ValueError, match="'off' or 'sync'"):
            button.clicked.connect(print, sync="async")

    @pytest.mark.parametrize("name", ["AutoConnection", "QueuedConnection"])
    def test_by_a_type_that_it_has_anyway(self, button, calls, name):
        button.clicked.connect(calls.append, getattr(QtCore.Qt.ConnectionType, name))
        button.click()
        assert eventually(lambda: calls == [False])

    @pytest.mark.parametrize(
        "name", ["DirectConnection", "BlockingQueuedConnection", "UniqueConnection"]
    )
    def test_by_a_type_that_there_is_not(self, button, name):
        with pytest.raises(TypeError, match=r"as by a QueuedConnection.*sync='sync'"):
            button.clicked.connect(print, getattr(QtCore.Qt.ConnectionType, name))

    def test_by_something_that_is_no_type(self, button):
        with pytest.raises(TypeError, match="not as by 'sync'"):
            button.clicked.connect(print, "sync")

    def test_to_a_function_of_the_gui_itself_by_a_type(self, qt_server):
        """Where it means something: that one is called later."""
        button, edit = QtWidgets.QPushButton("x"), QtWidgets.QLineEdit("x")
        signal = qt_server.dispatcher.look_up(button, "clicked")
        signal.connect(edit.clear, type=QtCore.Qt.ConnectionType.QueuedConnection)
        button.click()
        assert edit.text() == "x"
        assert turn_until(lambda: edit.text() == "")

    def test_to_a_function_of_the_gui_itself(self, gui, button):
        label = gui._import("qtpy.QtWidgets").QLineEdit("x")
        button.clicked.connect(label.clear)
        button.click()
        assert label.text() == ""
        button.clicked.disconnect(label.clear)

    def test_to_another_signal(self, gui, button, calls):
        other = gui._import("qtpy.QtWidgets").QPushButton("other")
        button.clicked.connect(other.clicked)
        other.clicked.connect(lambda: calls.append(1))
        button.click()
        assert eventually(lambda: calls == [1])

    def test_to_a_function_of_a_third_process(self, button, node):
        """Which is called from the GUI: nothing passes through here."""
        found = node._import("builtins").list(_return_type="proxy")
        button.clicked.connect(found.append)
        button.click()
        assert eventually(lambda: found._get_value() == [False])

    def test_from_another_gui(self, qt_server, button, calls):
        """The function is called in that one's thread."""
        button.clicked.connect(lambda: calls.append(threading.get_ident()))
        button.click()
        assert turn_until(lambda: calls == [threading.get_ident()])

    def test_to_a_slot_of_another_gui(self, qt_server, button):
        edit = QtWidgets.QLineEdit("x")
        button.clicked.connect(edit.clear)
        button.click()
        assert turn_until(lambda: edit.text() == "")

    def test_many_emissions_arrive_in_order(self, gui, calls):
        slider = gui._import("qtpy.QtWidgets").QSlider()
        slider.setRange(0, 500)
        slider.valueChanged.connect(calls.append)
        for value in range(1, 301):
            slider.setValue(value, _sync="off")
        assert eventually(lambda: len(calls) == 300)
        assert calls == list(range(1, 301))

    def test_a_signal_tells_what_it_is(self, button):
        assert "RemoteSignal" in repr(button.clicked._undefer())

    def test_emitting(self, gui, calls):
        slider = gui._import("qtpy.QtWidgets").QSlider()
        slider.valueChanged.connect(calls.append)
        slider.valueChanged.emit(7)
        assert eventually(lambda: calls == [7])


class TestDisconnecting:
    def test_a_function(self, button, calls):
        button.clicked.connect(calls.append)
        button.clicked.disconnect(calls.append)
        button.click()
        assert button.text()
        assert calls == []

    def test_one_of_several(self, button, calls):
        def other():
            calls.append("other")

        button.clicked.connect(calls.append)
        button.clicked.connect(other)
        button.clicked.disconnect(calls.append)
        button.click()
        assert eventually(lambda: calls == ["other"])

    def test_what_connect_returned(self, button, calls):
        connection = button.clicked.connect(lambda: calls.append(1))
        button.clicked.disconnect(connection)
        button.click()
        assert button.text()
        assert calls == []

    def test_all(self, button, calls):
        button.clicked.connect(calls.append)
        button.clicked.connect(lambda: calls.append(1))
        button.clicked.disconnect()
        button.click()
        assert button.text()
        assert calls == []

    def test_a_function_of_a_third_process(self, button, node):
        found = node._import("builtins").list(_return_type="proxy")
        button.clicked.connect(found.append)
        button.clicked.disconnect(found.append)
        button.click()
        assert found._get_value() == []

    def test_what_is_not_connected(self, button):
        with pytest.raises(TypeError, match="not connected"):
            button.clicked.disconnect(print)


class TestTheEndOfTheOtherSide:
    def test_its_death(self, qt_server, node, caplog):
        button = QtWidgets.QPushButton("x")
        qt_server["button"] = button
        remote_print = node._import("builtins").print
        qt_server.dispatcher.look_up(button, "clicked").connect(remote_print)
        assert _connections(qt_server) == 1
        node.kill()
        with caplog.at_level(logging.WARNING):
            for _ in range(10):
                button.click()
            assert turn_until(lambda: _connections(qt_server) == 0)
            button.click()
        assert caplog.records == []

    def test_the_deletion_of_its_reference(self, qt_server, other_server, caplog):
        button = QtWidgets.QPushButton("x")
        proxy = other_server.get_proxy(print)
        qt_server.dispatcher.look_up(button, "clicked").connect(proxy)
        proxy._delete()
        with caplog.at_level(logging.WARNING):
            button.click()
            assert turn_until(lambda: _connections(qt_server) == 0)
        assert caplog.records == []

    def test_the_closing_of_its_server(self, qt_server, caplog):
        button = QtWidgets.QPushButton("x")
        server = RPCServer()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        qt_server.dispatcher.look_up(button, "clicked").connect(server.get_proxy(print))
        server.close()
        thread.join(10)
        with caplog.at_level(logging.WARNING):
            button.click()
            assert turn_until(lambda: _connections(qt_server) == 0)
        assert caplog.records == []

    def test_the_end_of_the_sender(self, qt_server, other_server):
        button = QtWidgets.QPushButton("x")
        qt_server.dispatcher.look_up(button, "clicked").connect(other_server.get_proxy(print))
        button.deleteLater()
        del button
        gc.collect()
        assert turn_until(lambda: _connections(qt_server) == 0)

    def test_the_closing_of_the_guis_server(self, qt_server, other_server):
        button = QtWidgets.QPushButton("x")
        qt_server.dispatcher.look_up(button, "clicked").connect(other_server.get_proxy(print))
        qt_server.close()
        assert _connections(qt_server) == 0


class TestASlotThatRaises:
    def test_is_told_of_and_stays_connected(self, qt_server, other_server, caplog):
        button = QtWidgets.QPushButton("x")
        calls = []

        def divide():
            calls.append(1)
            return 1 / 0

        qt_server.dispatcher.look_up(button, "clicked").connect(other_server.get_proxy(divide))
        button.click()
        assert turn_until(lambda: "ZeroDivisionError" in caplog.text)
        button.click()
        assert turn_until(lambda: len(calls) == 2)
        assert _connections(qt_server) == 1

    def test_while_the_gui_waits(self, qt_server, other_server, caplog):
        button = QtWidgets.QPushButton("x")

        def divide():
            return 1 / 0

        signal = qt_server.dispatcher.look_up(button, "clicked")
        signal.connect(other_server.get_proxy(divide), sync="sync")
        button.click()
        assert "ZeroDivisionError" in caplog.text


class TestASlotThatIsTooSlow:
    @pytest.fixture
    def slider(self, qt_server, other_server, monkeypatch):
        """Connected to a function that notes the value, once it may go on."""
        monkeypatch.setattr(module, "MOST_UNANSWERED", 3)
        monkeypatch.setattr(module, "MOST_WAITING", 4)
        slider = QtWidgets.QSlider()
        slider.setRange(0, 1000)
        slider.go_on = threading.Event()
        slider.values = []

        def slow(value):
            slider.go_on.wait(20)
            slider.values.append(value)

        signal = qt_server.dispatcher.look_up(slider, "valueChanged")
        slider.connection = signal.connect(other_server.get_proxy(slow))
        yield slider
        slider.go_on.set()

    def test_gets_the_first_calls_and_the_last(self, slider, caplog):
        for value in range(1, 21):
            slider.setValue(value)
        assert caplog.text.count("does not keep up") == 1
        slider.go_on.set()
        assert turn_until(lambda: len(slider.values) == 7)
        assert slider.values == [1, 2, 3, 17, 18, 19, 20]

    def test_gets_all_of_those_that_may_wait(self, slider, caplog):
        for value in range(1, 8):
            slider.setValue(value)
        slider.go_on.set()
        assert turn_until(lambda: len(slider.values) == 7)
        assert slider.values == list(range(1, 8))
        assert caplog.records == []

    def test_is_told_of_each_time(self, slider, caplog):
        for first in (1, 101):
            slider.go_on.clear()
            slider.values.clear()
            for value in range(first, first + 20):
                slider.setValue(value)
            slider.go_on.set()
            assert turn_until(lambda: len(slider.values) == 7)
            assert turn_until(lambda: not slider.connection._unanswered)
        assert caplog.text.count("does not keep up") == 2

    def test_gets_no_more_once_it_is_disconnected(self, slider):
        for value in range(1, 8):
            slider.setValue(value)
        slider.connection.disconnect()
        slider.go_on.set()
        assert turn_until(lambda: not slider.connection._unanswered)
        assert slider.values == [1, 2, 3]

    def test_gets_none_twice_and_all_in_order(self, slider, monkeypatch):
        """While answers come in another thread."""
        monkeypatch.setattr(module, "MOST_WAITING", 1000)
        slider.go_on.set()
        for value in range(1, 501):
            slider.setValue(value)
        assert turn_until(lambda: len(slider.values) == 500)
        assert slider.values == list(range(1, 501))


def _connections(server):
    return sum(map(len, server._signals._slots.values()))


class TestWhatMayBeExported:
    def test_not_an_object_of_another_thread(self, qt_server, other_server):
        """Its methods would be called in the wrong one."""
        assert eventually(lambda: not other_server.state().is_current())  # once it runs
        with pytest.raises(SerializationError, match="lives in another thread"):
            other_server.get_proxy(QtWidgets.QLabel("x"))

    def test_nor_a_method_of_one(self, qt_server, other_server):
        assert eventually(lambda: not other_server.state().is_current())
        with pytest.raises(SerializationError, match="run a QtRPCServer"):
            other_server.get_proxy(QtWidgets.QLabel("x").setText)

    def test_nor_what_is_made_of_one(self, qt_server, other_server):
        assert eventually(lambda: not other_server.state().is_current())
        with pytest.raises(SerializationError, match="run a QtRPCServer"):
            other_server.get_proxy(functools.partial(QtWidgets.QLabel("x").setText, "y"))

    def test_nor_as_a_callback_from_a_thread_without_a_server(self, app, node):
        """It would be called in a thread of this package's own."""
        label = QtWidgets.QLabel("x")
        with pytest.raises(SerializationError, match="run a QtRPCServer"):
            node._import("builtins").map(label.setText, ["y"])

    def test_nor_as_a_result(self, app):
        label = QtWidgets.QLabel("x")
        server = RPCServer()
        server["label"] = label
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        from pyacq_rpc import RPCClient

        with pytest.raises(SerializationError, match="lives in another thread"):
            RPCClient(server.address)["label"]
        server.close()
        thread.join(10)

    def test_one_of_its_own_thread(self, app):
        server = RPCServer()
        server.run_lazy()
        assert server.get_proxy(QtWidgets.QLabel("x"))
        server.close()

    def test_one_of_the_thread_of_the_server(self, qt_server):
        assert qt_server.get_proxy(QtCore.QObject())
        assert qt_server.get_proxy(QtWidgets.QLabel("x").setText)


class Panel(QtCore.QObject):
    fired = QtCore.Signal(int)
    hidden = QtCore.Signal(int)

    @expose
    def clear(self):
        pass


@expose
class Marked(QtCore.QObject):
    fired = QtCore.Signal(int)


class Fires(Protocol):
    fired: Any


class TestAService:
    """Its clients may connect to signals that it exposes, and that is all."""

    @pytest.fixture
    def service(self, app):
        exposed = {Panel: ["fired"], QtWidgets.QPushButton: ["clicked"]}
        server = QtRPCServer(policy=Service(exposed), quit_on_close=False)
        server["panel"] = Panel()
        server.run_forever()
        yield server
        server.close()

    @pytest.fixture
    def use(self, service):
        """Do something in another thread with a client, while the event loop runs here."""

        def use(act):
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                future = pool.submit(lambda: act(RPCClient(service.address)))
                assert turn_until(future.done)
                return future.result()

        return use

    def test_exposed_by_their_names(self, service, use, calls):
        use(lambda client: client["panel"].fired.connect(calls.append))
        service["panel"].fired.emit(3)
        assert turn_until(lambda: calls == [3])

    def test_of_widgets(self, service, use, calls):
        button = service["button"] = QtWidgets.QPushButton()
        use(lambda client: client["button"].clicked.connect(calls.append))
        button.click()
        assert turn_until(lambda: calls == [False])

    def test_exposed_with_their_class(self, service, use, calls):
        service["marked"] = Marked()
        use(lambda client: client["marked"].fired.connect(calls.append))
        service["marked"].fired.emit(3)
        assert turn_until(lambda: calls == [3])

    def test_exposed_by_an_interface(self, app, calls):
        policy = Service({Panel: Fires})
        panel = Panel()
        panel.fired.connect(calls.append)  # which PySide6 then keeps with the object
        policy.check("getattr", panel, "fired")
        with pytest.raises(AccessDenied):
            policy.check("getattr", panel, "hidden")

    def test_and_disconnect_again(self, service, use, calls):
        def both(client):
            connection = client["panel"].fired.connect(print)
            client["panel"].fired.connect(calls.append)
            client["panel"].fired.disconnect(calls.append)
            connection.disconnect()

        use(both)
        assert _connections(service) == 0

    @pytest.mark.parametrize("name", ["emit", "_sender", "_signal", "_signals", "signal"])
    def test_not_what_else_there_is(self, use, name):
        with pytest.raises(AccessDenied):
            use(lambda client: getattr(client["panel"].fired, name))

    def test_not_others(self, use):
        with pytest.raises(AccessDenied, match=r"'hidden' of .*Panel is not exposed"):
            use(lambda client: client["panel"].hidden.connect(print))

    def test_no_calling(self, use):
        with pytest.raises(AccessDenied, match="may not be called"):
            use(lambda client: client["panel"].fired(3))

    @pytest.mark.parametrize(
        "act",
        [
            lambda panel: panel.fired.connect(print, sync="sync"),
            lambda panel: panel.fired.connect(panel.clear),
            lambda panel: panel.fired.connect(panel.fired),
            lambda panel: panel.fired.disconnect(panel.clear),
            lambda panel: panel.fired.disconnect(),
        ],
        ids=["wait", "connect others", "emit", "disconnect others", "disconnect all"],
    )
    def test_nothing_that_concerns_others(self, service, use, act):
        called = []
        service["panel"].fired.connect(called.append)
        with pytest.raises(PermissionError, match="functions of the client's own"):
            use(lambda client: act(client["panel"]))
        service["panel"].fired.emit(3)
        assert called == [3]

    def test_a_signal_cannot_be_marked_by_itself(self):
        with pytest.raises(TypeError, match="its class"):
            expose(QtCore.Signal(int))
