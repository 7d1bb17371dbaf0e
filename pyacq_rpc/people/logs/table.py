"""The table of records: scrolling, folding and copying."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from qtpy import QtCore, QtGui, QtWidgets

from ...qt.binding import Signal
from .model import COLUMNS, FOLD, LEVEL, LOGGER, NODE, TEXT, TIME, LogModel

__all__ = ["LogTable"]

_WIDTHS = {
    FOLD: "▾_",
    TIME: "00:00:00.000__",
    LEVEL: "CRITICAL__",
    NODE: "a node's name",
    LOGGER: "a.logger.of.some",
}
"""What fits into a column at first."""


class LogTable(QtWidgets.QTableView):
    """Shows the end of a `LogModel` as it grows, until the user looks at something else.

    Parameters
    ----------
    model : LogModel
    parent : QWidget, optional
    """

    following_changed = Signal(bool)

    def __init__(self, model: LogModel, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = model
        self._following = True
        self._changing = 0  # above 0 while it is not the user who scrolls
        self.setModel(model)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setCornerButtonEnabled(False)
        self.setTabKeyNavigation(False)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setHorizontalScrollMode(QtWidgets.QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers)
        self._lay_out()
        self._connect()

    def _lay_out(self) -> None:
        metrics = self.fontMetrics()
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        assert rows is not None
        assert columns is not None
        rows.hide()
        rows.setSectionResizeMode(QtWidgets.QHeaderView.ResizeMode.Fixed)  # none is measured
        rows.setMinimumSectionSize(1)
        rows.setDefaultSectionSize(metrics.height() + 4)
        columns.setStretchLastSection(True)
        columns.setHighlightSections(False)
        columns.setMinimumSectionSize(metrics.horizontalAdvance(_WIDTHS[FOLD]))
        columns.setDefaultAlignment(QtCore.Qt.AlignmentFlag.AlignLeft)
        for column, text in _WIDTHS.items():
            self.setColumnWidth(column, metrics.horizontalAdvance(text) + 8)
        assert len(COLUMNS) == len(_WIDTHS) + 1

    def _connect(self) -> None:
        bar = self._bar()
        bar.valueChanged.connect(self._scrolled)
        bar.rangeChanged.connect(self._range_changed)
        self._model.rowsRemoved.connect(self._rows_removed)
        self.clicked.connect(self._clicked)
        self.doubleClicked.connect(self._double_clicked)

    def keyPressEvent(self, event: QtGui.QKeyEvent | None) -> None:  # noqa: N802
        """Do what a key is for in this table."""
        assert event is not None
        key = QtCore.Qt.Key
        acts: dict[int, Callable[[], None]] = {
            key.Key_End: lambda: self.follow(True),
            key.Key_Home: self._go_to_the_beginning,
            key.Key_Right: lambda: self.unfold(True),
            key.Key_Left: lambda: self.unfold(False),
            key.Key_Space: self.toggle,
            key.Key_Return: self.toggle,
            key.Key_Enter: self.toggle,
        }
        act = acts.get(event.key())
        if event.matches(QtGui.QKeySequence.StandardKey.Copy):
            self.copy()
        elif act is not None:
            act()
        else:
            super().keyPressEvent(event)

    def _bar(self) -> QtWidgets.QScrollBar:
        bar = self.verticalScrollBar()
        assert bar is not None
        return bar

    # -- following -------------------------------------------------------------------

    def following(self) -> bool:
        """Whether the end stays in sight."""
        return self._following

    def follow(self, follow: bool) -> None:
        """Keep the end in sight, or what is in sight now."""
        if follow:
            with self.changing():
                self.clearSelection()
                self.setCurrentIndex(QtCore.QModelIndex())
                self.scrollToBottom()
        if follow != self._following:
            self._following = follow
            self.following_changed.emit(follow)

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Not take what happens meanwhile for something that the user does."""
        self._changing += 1
        try:
            yield
        finally:
            self._changing -= 1

    def go_to(self, row: int) -> None:
        """Make a row the current one, and see to it that it is in sight."""
        self.setCurrentIndex(self._model.index(row, TEXT))

    def currentChanged(  # noqa: N802
        self, current: QtCore.QModelIndex, previous: QtCore.QModelIndex
    ) -> None:
        """Stay with a row that the user has gone to."""
        super().currentChanged(current, previous)
        if current.isValid() and not self._changing:
            self.follow(False)

    def _scrolled(self, value: int) -> None:
        if self._changing:
            return
        at_end = value == self._bar().maximum()
        if at_end and self.currentIndex().isValid():
            return  # the user has gone to a row, and stays there
        if at_end != self._following:
            self._following = at_end
            self.following_changed.emit(at_end)

    def _range_changed(self, least: int, most: int) -> None:
        if self._following:
            with self.changing():
                self._bar().setValue(most)

    def _rows_removed(self, parent: QtCore.QModelIndex, first: int, last: int) -> None:
        bar = self._bar()
        if first == 0 and not self._following:  # what is in sight moves along with its rows
            with self.changing():
                bar.setValue(bar.value() - (last - first + 1))

    def _go_to_the_beginning(self) -> None:
        if self._model.rowCount():
            self.go_to(0)

    # -- folding and copying -----------------------------------------------------------

    def unfold(self, unfolded: bool) -> None:
        """Show all lines of the current record, or only the first."""
        index = self.currentIndex()
        if index.isValid():
            self._set_unfolded(index.row(), unfolded)

    def toggle(self) -> None:
        """Fold the current record if it is unfolded, and the other way round."""
        index = self.currentIndex()
        if index.isValid():
            self._set_unfolded(index.row(), not self._model.is_unfolded(index.row()))

    def copy(self) -> None:
        """Put the selected rows on the clipboard, as text."""
        selection, clipboard = self.selectionModel(), QtWidgets.QApplication.clipboard()
        if selection is not None and clipboard is not None and selection.hasSelection():
            rows = sorted(index.row() for index in selection.selectedRows())
            clipboard.setText("\n".join(map(self._model.line, rows)))

    def _set_unfolded(self, row: int, unfolded: bool) -> None:
        record = self._model.record(row)
        self._model.set_unfolded(row, unfolded)
        head = self._model.row_of(record.number)
        if head is not None:
            self.go_to(head)

    def _clicked(self, index: QtCore.QModelIndex) -> None:
        if index.column() == FOLD:
            self.toggle()

    def _double_clicked(self, index: QtCore.QModelIndex) -> None:
        if index.column() != FOLD:
            self.toggle()
