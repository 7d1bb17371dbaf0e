from __future__ import annotations

import threading

import pytest
from qtpy import QtWidgets

from pyacq_rpc.qt.dialogs import innermost_dialog, reject


@pytest.fixture
def dialog(app):
    dialog = QtWidgets.QDialog()
    dialog.open()
    yield dialog
    dialog.close()


def test_there_may_be_none(app):
    assert innermost_dialog() is None


def test_one_that_is_modal(dialog):
    assert innermost_dialog() is dialog


def test_the_last_of_several(dialog):
    other = QtWidgets.QDialog(dialog)
    other.open()
    assert innermost_dialog() is other
    other.close()
    assert innermost_dialog() is dialog


def test_a_menu_above_it(dialog):
    menu = QtWidgets.QMenu(dialog)
    menu.addAction("one")
    menu.popup(dialog.pos())
    assert innermost_dialog() is menu
    reject(menu)
    assert innermost_dialog() is dialog


def test_it_is_rejected_as_by_escape(dialog):
    rejected = []
    dialog.rejected.connect(lambda: rejected.append(1))
    reject(dialog)
    assert rejected == [1]
    assert not dialog.isVisible()


def test_other_threads_have_none(dialog):
    found = []
    thread = threading.Thread(target=lambda: found.append(innermost_dialog()))
    thread.start()
    thread.join(10)
    assert found == [None]
