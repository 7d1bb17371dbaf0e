from __future__ import annotations

import pytest
from log_making import log_record
from qtpy import QtCore, QtGui, QtTest

from pyacq_rpc.people.logs.model import FOLD, LEVEL, LOGGER, NODE, TEXT, LogModel
from pyacq_rpc.people.logs.records import Record, RecordFilter

pytestmark = pytest.mark.qt


@pytest.fixture
def model(app):
    """Keeps ten records."""
    return LogModel(10, QtGui.QPalette())


def append(model, *texts, **fields):
    model.append([Record(log_record(t, **fields), model.received + n) for n, t in enumerate(texts)])


def shown(model):
    return [model.data(model.index(row, TEXT)) for row in range(model.rowCount())]


class Changes:
    """What the model has told of: all a view goes by."""

    def __init__(self, model):
        self.rows = model.rowCount()
        self.told = []
        model.rowsInserted.connect(lambda _, a, b: self._add("+", a, b))
        model.rowsRemoved.connect(lambda _, a, b: self._add("-", a, b))
        model.modelReset.connect(lambda: self.told.append("reset"))

    def _add(self, sign, first, last):
        self.told.append((sign, first, last))
        self.rows += (last - first + 1) * (1 if sign == "+" else -1)


def test_cells(model):
    append(model, "one\ntwo", level=30)
    cells = [model.data(model.index(0, column)) for column in (FOLD, LEVEL, NODE, LOGGER, TEXT)]
    assert cells == ["▸", "WARNING", "camera", "lens", "one"]
    horizontal, vertical = QtCore.Qt.Orientation.Horizontal, QtCore.Qt.Orientation.Vertical
    assert model.headerData(TEXT, horizontal) == "Text"
    assert model.headerData(0, vertical) is None


def test_what_is_no_text_of_its_own(model):
    append(model, "plain <b>text</b>", level=40)
    index = model.index(0, TEXT)
    role = QtCore.Qt.ItemDataRole
    assert "&lt;b&gt;" in model.data(index, int(role.ToolTipRole))
    assert "/src/lens.py:12" in model.data(index, int(role.ToolTipRole))
    assert model.data(index, int(role.ForegroundRole)) is not None
    assert model.data(index, int(role.BackgroundRole)) is None
    assert model.data(index, int(role.DecorationRole)) is None


def test_a_batch_is_told_once(model):
    changes = Changes(model)
    append(model, "one", "two", "three")
    append(model)
    assert changes.told == [("+", 0, 2)]


def test_the_oldest_are_let_go_of(model):
    changes = Changes(model)
    append(model, *map(str, range(8)))
    append(model, *map(str, range(8, 12)))
    assert shown(model) == [str(n) for n in range(2, 12)]
    assert changes.told == [("+", 0, 7), ("-", 0, 1), ("+", 6, 9)]
    assert (model.kept, model.shown, model.received, model.dropped) == (10, 10, 12, 2)


def test_of_a_batch_that_is_too_large_the_end_is_kept(model):
    append(model, "early")
    append(model, *map(str, range(25)))
    assert shown(model) == [str(n) for n in range(15, 25)]
    assert (model.kept, model.received, model.dropped) == (10, 26, 16)
    assert model.nodes == {"camera": 26}


def test_the_filter_is_for_what_comes_too(model):
    append(model, "one", "two")
    model.set_filter(RecordFilter(text="o", level=20))
    append(model, "three", "four")
    append(model, "for nobody", level=10)
    assert shown(model) == ["one", "two", "four"]
    assert (model.kept, model.shown) == (5, 3)
    model.set_filter(RecordFilter())
    assert shown(model) == ["one", "two", "three", "four", "for nobody"]


def test_what_is_let_go_of_may_not_be_shown(model):
    model.set_filter(RecordFilter(text="x"))
    append(model, "x 1", *"abcdefgh", "x 2")
    changes = Changes(model)
    append(model, "1")
    assert (shown(model), changes.told) == (["x 2"], [("-", 0, 0)])
    append(model, *"2345")
    assert changes.told == [("-", 0, 0)]


class TestFolding:
    @pytest.fixture
    def model(self, model):
        append(model, "before")
        append(model, "failed", exc_text="Traceback:\nKeyError")
        append(model, "after")
        return model

    def test_open_and_shut(self, model):
        changes = Changes(model)
        model.set_unfolded(1, True)
        assert shown(model) == ["before", "failed", "Traceback:", "KeyError", "after"]
        assert model.data(model.index(1, FOLD)) == "▾"
        assert (model.shown, model.is_unfolded(3)) == (3, True)
        model.set_unfolded(3, False)  # from a line within
        assert shown(model) == ["before", "failed", "after"]
        assert changes.told == [("+", 2, 3), ("-", 2, 3)]

    def test_of_a_single_line_is_nothing(self, model):
        model.set_unfolded(0, True)
        assert model.rowCount() == 3
        assert model.data(model.index(0, FOLD)) is None

    def test_outlives_the_filter(self, model):
        model.set_unfolded(1, True)
        model.set_filter(RecordFilter(text="after"))
        assert (shown(model), model.shown) == (["after"], 1)
        model.set_filter(RecordFilter(text="failed"))
        assert (shown(model), model.shown) == (["failed", "Traceback:", "KeyError"], 1)

    def test_lines_go_with_their_record(self, model):
        model.set_unfolded(1, True)
        changes = Changes(model)
        append(model, *map(str, range(9)))
        assert shown(model) == ["after", *map(str, range(9))]
        assert changes.rows == model.rowCount() == model.shown

    def test_lines_belong_to_their_record(self, model):
        model.set_unfolded(1, True)
        assert [model.record(row).text for row in range(5)] == [
            "before",
            *["failed"] * 3,
            "after",
        ]
        assert [r.text for r in model.records()] == ["before", "failed", "after"]
        assert (model.row_of(1), model.row_of(2), model.row_of(7)) == (1, 4, None)
        assert model.line(3) == "KeyError"
        assert model.line(0).split("\t")[1:] == ["INFO", "camera", "lens", "before"]


class TestFinding:
    def test_forwards_backwards_and_round(self, model):
        append(model, "Red", "green", "red", "blue")
        assert model.find("RED", 0) == 0
        assert model.find("red", 1) == 2
        assert model.find("red", 3) == 0
        assert model.find("red", 1, backwards=True) == 0
        assert model.find("red", -1, backwards=True) == 2
        assert model.find("white", 0) is None

    def test_in_nothing(self, model):
        assert model.find("red", 0) is None


def test_clear(model):
    append(model, *map(str, range(12)))
    model.clear()
    assert (model.rowCount(), model.kept, model.received, model.dropped) == (0, 0, 12, 2)
    append(model, "again")
    assert shown(model) == ["again"]


def test_at_least_one_is_kept():
    with pytest.raises(ValueError, match="at least one record"):
        LogModel(0, QtGui.QPalette())


def test_qt_finds_nothing_wrong_with_it(app):
    """Qt's own examination of models, while this one does all that it does."""
    told = []
    handler = QtCore.qInstallMessageHandler(lambda kind, context, text: told.append(text))
    model = LogModel(10, QtGui.QPalette())
    mode = QtTest.QAbstractItemModelTester.FailureReportingMode.Warning
    tester = QtTest.QAbstractItemModelTester(model, mode)
    append(model, "one\ntwo", "three", exc_text="Traceback:\nKeyError")
    model.set_unfolded(0, True)
    append(model, *map(str, range(8)))
    model.set_unfolded(0, False)
    model.set_filter(RecordFilter(text="t"))
    append(model, *map(str, range(100)))
    model.clear()
    QtCore.qInstallMessageHandler(handler)
    del tester
    assert told == []
