from __future__ import annotations

import concurrent.futures
import gc
import threading
import weakref

import pytest
from qtpy import QtCore

from pyacq_rpc.qt import QtFuture

from .conftest import turn_until


@pytest.fixture
def told():
    return []


def test_delivers_the_result_of_a_call(qt_server, node, told):
    future = node._import("operator").add(1, 2, _sync="async")
    QtFuture(future).done.connect(lambda result: told.append((result, threading.get_ident())))
    assert turn_until(lambda: told)
    assert told == [(3, threading.get_ident())]


def test_delivers_the_exception_instead(qt_server, node, told):
    delivery = QtFuture(node._import("operator").truediv(1, 0, _sync="async"))
    delivery.done.connect(told.append)
    delivery.failed.connect(lambda error: told.append(type(error)))
    assert turn_until(lambda: told)
    assert issubclass(told[0], ZeroDivisionError)


def test_the_exception_keeps_no_frame_of_the_event_loop(app, told):
    """Else whatever is used around it would live until it is collected, in whichever thread."""
    future = concurrent.futures.Future()
    QtFuture(future).failed.connect(told.append)
    future.set_exception(ValueError())
    assert turn_until(lambda: told)
    assert told[0].__traceback__ is None


def test_is_never_called_before_it_is_connected(app, told):
    future = concurrent.futures.Future()
    future.set_result(1)
    delivery = QtFuture(future)
    delivery.done.connect(told.append)
    assert told == []
    assert turn_until(lambda: told == [1])


def test_lives_until_it_has_delivered(app, told):
    future = concurrent.futures.Future()
    QtFuture(future).done.connect(told.append)
    gc.collect()
    future.set_result(1)
    assert turn_until(lambda: told == [1])


def test_is_not_collected_while_it_is_about_to_deliver(app, told):
    """When nobody has the future any more, either."""
    future = concurrent.futures.Future()
    QtFuture(future).done.connect(told.append)
    future.set_result(1)
    del future
    gc.collect()
    assert turn_until(lambda: told == [1])


def test_is_collected_when_it_has_delivered(app, told):
    future = concurrent.futures.Future()
    delivery = weakref.ref(QtFuture(future))
    delivery().done.connect(told.append)
    future.set_result(1)
    del future
    assert turn_until(lambda: told == [1])
    gc.collect()
    assert delivery() is None


def test_a_future_that_is_cancelled_has_failed(app, told):
    future = concurrent.futures.Future()
    delivery = QtFuture(future)
    delivery.failed.connect(lambda error: told.append(type(error)))
    future.cancel()
    assert turn_until(lambda: told == [concurrent.futures.CancelledError])


def test_ends_with_its_parent(app, told):
    future = concurrent.futures.Future()
    parent = QtCore.QObject()
    QtFuture(future, parent).done.connect(told.append)
    parent.deleteLater()
    destroyed = []
    parent.destroyed.connect(lambda: destroyed.append(1))
    assert turn_until(lambda: destroyed)
    future.set_result(1)
    QtCore.QCoreApplication.processEvents()
    assert told == []


def test_gives_its_future(app):
    future = concurrent.futures.Future()
    delivery = QtFuture(future)
    assert delivery.future() is future
    future.set_result(1)
    told = []
    delivery.done.connect(told.append)
    assert turn_until(lambda: told)
