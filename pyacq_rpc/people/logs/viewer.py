"""`LogViewer`: the log records of all processes, as they come."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from functools import partial

from qtpy import QtCore, QtGui, QtWidgets

from spawner.log_watch import LogWatcher
from spawner.logs import LogServer

from .bars import FilterBar, FindBar, button
from .model import LogModel
from .records import Inbox, write_json_lines, write_text
from .table import LogTable

__all__ = ["MAX_RECORDS", "LogViewer"]

MAX_RECORDS = 200_000
"""Records that are kept by default."""

INTERVAL = 50
"""Milliseconds after which the records that have come meanwhile are shown, together."""

_JSON_LINES = "JSON lines (*.jsonl)"
_TEXT = "Text (*.txt *.log)"


class LogViewer(QtWidgets.QWidget):
    """Shows log records as they come, and lets the user filter, search and export them.

    To be made in the GUI thread. Records may come in any thread, and in any number: they are
    taken in together, many times a second.

    Parameters
    ----------
    source : logging.Logger, LogServer or LogWatcher, optional
        Whose records are shown; by default the root logger's, which are those of this
        process, and of its nodes after `start_log_server`.
    parent : QWidget, optional
    max_records : int
        How many are kept; the oldest are let go of.

    Attributes
    ----------
    model : LogModel
    table : LogTable
    filters : FilterBar
    finder : FindBar
    """

    def __init__(
        self,
        source: logging.Logger | LogServer | LogWatcher | None = None,
        parent: QtWidgets.QWidget | None = None,
        max_records: int = MAX_RECORDS,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Logs")
        self._source = source
        self._logger = _logger_of(source)
        self.model = LogModel(max_records, self.palette(), self)
        self.table = LogTable(self.model)
        self.filters = FilterBar()
        self.finder = FindBar()
        self._status = QtWidgets.QLabel()
        self._status.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._follow = QtWidgets.QCheckBox("Follow")
        self._follow.setToolTip("Keep the end in sight (End)")
        self._follow.setChecked(True)
        self._lay_out()
        self._connect()
        self._inbox = Inbox(max_records)
        self._logger.addHandler(self._inbox)
        # Not a method of what is no more by then.
        self.destroyed.connect(partial(_detach, self._logger, self._inbox))
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.take_in)
        self._timer.start(INTERVAL)
        self._show_status()

    def _lay_out(self) -> None:
        find = button("Find", "Ctrl+F")
        export = button("Export…", "Write what is shown to a file")
        clear = button("Clear", "Let go of all records")
        find.clicked.connect(self.finder.open)
        export.clicked.connect(self._ask_and_export)
        clear.clicked.connect(self.clear)
        for widget in (self._follow, find, export, clear):
            self.filters.row.addWidget(widget)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(4, 4, 4, 4)
        column.setSpacing(4)
        column.addWidget(self.filters)
        column.addWidget(self.table, 1)
        column.addWidget(self.finder)
        column.addWidget(self._status)

    def _connect(self) -> None:
        self.filters.changed.connect(self._filter)
        self.finder.wanted.connect(self.search)
        self.finder.closed.connect(self.table.setFocus)
        self._follow.clicked.connect(self.table.follow)
        self.table.following_changed.connect(self._follow.setChecked)
        self.table.setContextMenuPolicy(QtCore.Qt.ContextMenuPolicy.CustomContextMenu)
        self.table.customContextMenuRequested.connect(self._open_menu)
        for keys, act in (
            ("Ctrl+F", self.finder.open),
            ("F3", lambda: self.finder.ask(False)),
            ("Shift+F3", lambda: self.finder.ask(True)),
        ):
            shortcut = QtWidgets.QShortcut(QtGui.QKeySequence(keys), self)
            shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)

    # -- for programs ------------------------------------------------------------------

    def take_in(self) -> None:
        """Show what has come since; a timer does this."""
        records = self._inbox.take()
        with self.table.changing():
            self.model.append(records)
        if records:
            self.filters.add_nodes(self.model.nodes)
        self._show_status()

    def set_filter(
        self,
        level: int | str | None = None,
        nodes: Iterable[str] | None = None,
        text: str = "",
        regex: bool = False,
    ) -> None:
        """Choose which records are shown, as the user does.

        Parameters
        ----------
        level : int or str, optional
            The lowest; by default all.
        nodes : iterable of str, optional
            Which of those that have sent something by now; by default all.
        text : str
            What text, exception or logger contain, in whatever case.
        regex : bool
            Whether that is a regular expression.

        Raises
        ------
        ValueError
            If there is no such level.
        """
        number = logging.getLevelName(level) if isinstance(level, str) else level or 0
        if self.filters.level.findData(number) < 0:
            raise ValueError(f"there is no level {level!r} to choose")
        self.filters.choose(number, nodes, text, regex)

    def search(self, text: str, backwards: bool = False) -> bool:
        """Go to the next record, among those shown, that contains a text in whatever case.

        Parameters
        ----------
        text : str
        backwards : bool
            Whether the previous one instead.

        Returns
        -------
        bool
            Whether there is one.
        """
        current, step = self.table.currentIndex(), -1 if backwards else 1
        if current.isValid():
            start = current.row() + step
        else:
            start = self.model.rowCount() - 1 if backwards else 0
        row = self.model.find(text, start, backwards)
        if row is None:
            self.finder.result.setText("not found")
            return False
        wrapped = current.isValid() and (row - current.row()) * step <= 0
        self.finder.result.setText("from the other end" if wrapped else "")
        self.table.go_to(row)
        return True

    def export(self, path: str | os.PathLike[str]) -> int:
        """Write the records that are shown to a file.

        Parameters
        ----------
        path : str or path
            JSON lines if it ends with ``.jsonl``, else text.

        Returns
        -------
        int
            How many records.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        records = self.model.records()
        write = write_json_lines if os.fspath(path).endswith(".jsonl") else write_text
        with open(path, "w", encoding="utf-8", errors="backslashreplace") as file:
            write(records, file)
        return len(records)

    def clear(self) -> None:
        """Let go of all records."""
        self.model.clear()
        self.table.follow(True)
        self._show_status()

    def detach(self) -> None:
        """Take in no more records; what is shown stays."""
        _detach(self._logger, self._inbox)

    def status(self) -> str:
        """Return how many records there are, as it is said below the table."""
        parts = [f"{self.model.shown:,} of {self.model.kept:,} records shown"]
        if self.model.dropped:
            parts.append(f"{self.model.dropped:,} older ones let go")
        parts.append(f"at most {self.model.max_records:,} are kept")
        if isinstance(self._source, LogWatcher) and not self._source.connected():
            parts.append(f"nobody answers at {self._source.address}")
        return " · ".join(parts)

    # -- for the user --------------------------------------------------------------------

    def changeEvent(self, event: QtCore.QEvent | None) -> None:  # noqa: N802
        """Change the colours with the palette."""
        super().changeEvent(event)
        if event is not None and event.type() == QtCore.QEvent.Type.PaletteChange:
            self.model.set_palette(self.palette())

    def _show_status(self) -> None:
        text = self.status()
        if text != self._status.text():
            self._status.setText(text)

    def _filter(self) -> None:
        """Show what was chosen; stay with the record that the user has gone to."""
        current = self.table.currentIndex()
        number = self.model.record(current.row()).number if current.isValid() else None
        with self.table.changing():
            self.model.set_filter(self.filters.wanted)
            row = None if number is None else self.model.row_of(number)
            if row is not None:
                self.table.go_to(row)
            elif self.table.following():
                self.table.scrollToBottom()
        self._show_status()

    def _open_menu(self, position: QtCore.QPoint) -> None:
        index = self.table.indexAt(position)
        if not index.isValid():
            return
        node = self.model.record(index.row()).node
        menu = QtWidgets.QMenu(self)
        menu.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, act in (
            ("Copy", self.table.copy),
            ("Fold or unfold", self.table.toggle),
            (f"Show only {node}", lambda: self.filters.show_nodes([node])),
            (f"Hide {node}", lambda: self.filters.show_node(node, False)),
            ("Show all nodes", lambda: self.filters.show_nodes(None)),
        ):
            action = menu.addAction(text.replace("&", "&&"))
            assert action is not None
            action.triggered.connect(lambda _=False, act=act: act())
        viewport = self.table.viewport()
        assert viewport is not None
        menu.popup(viewport.mapToGlobal(position))

    def _ask_and_export(self) -> None:
        path, chosen = QtWidgets.QFileDialog.getSaveFileName(
            self, "Export what is shown", "log.txt", f"{_TEXT};;{_JSON_LINES}"
        )
        if not path:
            return
        if chosen == _JSON_LINES and not path.endswith(".jsonl"):
            path += ".jsonl"
        try:
            self.export(path)
        except OSError as error:
            QtWidgets.QMessageBox.warning(self, "Export", f"Cannot write {path}: {error.strerror}")


def _logger_of(source: object) -> logging.Logger:
    if isinstance(source, (LogServer, LogWatcher)):
        source = source.logger
    if source is None:
        return logging.getLogger()
    if not isinstance(source, logging.Logger):
        raise TypeError(f"a logger, a LogServer or a LogWatcher; not {source!r}")
    return source


def _detach(logger: logging.Logger, inbox: Inbox, *_: object) -> None:
    logger.removeHandler(inbox)
