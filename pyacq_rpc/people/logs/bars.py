"""What is above and below the table: the filter, and the search."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from qtpy import QtCore, QtGui, QtWidgets

from ...qt.binding import Signal
from .colours import LevelColours
from .records import RecordFilter

__all__ = ["FilterBar", "FindBar", "button"]

_LEVELS = {
    "All levels": 0,
    "Debug": logging.DEBUG,
    "Info": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
}


def button(text: str, tip: str) -> QtWidgets.QToolButton:
    """Return a button with a text."""
    made = QtWidgets.QToolButton()
    made.setText(text)
    made.setToolTip(tip)
    return made


class FilterBar(QtWidgets.QWidget):
    """Chooses which records are shown.

    Parameters
    ----------
    parent : QWidget, optional

    Attributes
    ----------
    wanted : RecordFilter
        What was chosen; the last one that made sense.
    """

    changed = Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.wanted = RecordFilter()
        self._hidden: set[str] = set()
        self._nodes: set[str] = set()
        self._choosing = False
        self.level = QtWidgets.QComboBox()
        for name, level in _LEVELS.items():
            self.level.addItem(name, level)
        self.level.setToolTip("The lowest level that is shown")
        self.nodes = button("All nodes", "Which nodes are shown")
        self.nodes.setPopupMode(QtWidgets.QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QtWidgets.QMenu(self)
        self._menu.aboutToShow.connect(self._fill_menu)
        self.nodes.setMenu(self._menu)
        self.text = QtWidgets.QLineEdit()
        self.text.setPlaceholderText("Filter: part of the text, the exception or the logger")
        self.text.setClearButtonEnabled(True)
        self.regex = QtWidgets.QCheckBox("Regex")
        self.regex.setToolTip("Whether that is a regular expression")
        self.problem = QtWidgets.QLabel()
        self.problem.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self.problem.hide()
        self.row = QtWidgets.QHBoxLayout()
        for widget in (self.level, self.nodes, self.text, self.regex):
            self.row.addWidget(widget, 1 if widget is self.text else 0)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self.row)
        column.addWidget(self.problem)
        self.level.currentIndexChanged.connect(self._apply)
        self.text.textChanged.connect(self._apply)
        self.regex.toggled.connect(self._apply)

    def add_nodes(self, names: Iterable[str]) -> None:
        """Let the user choose among these nodes too."""
        self._nodes.update(names)
        self._tell_nodes()

    def choose(self, level: int, nodes: Iterable[str] | None, text: str, regex: bool) -> None:
        """Choose everything at once."""
        self._choosing = True
        self.level.setCurrentIndex(self.level.findData(level))
        self.show_nodes(nodes)
        self.text.setText(text)
        self.regex.setChecked(regex)
        self._choosing = False
        self._apply()

    def show_nodes(self, names: Iterable[str] | None) -> None:
        """Show these nodes and those that are new, and no others; None for all."""
        self._hidden = set() if names is None else self._nodes.difference(names)
        self._apply()

    def show_node(self, name: str, shown: bool) -> None:
        """Show a node, or do not."""
        self._hidden = self._hidden - {name} if shown else self._hidden | {name}
        self._apply()

    def _fill_menu(self) -> None:
        self._menu.clear()
        for text, names in (("All", None), ("None", ())):
            action = self._menu.addAction(text)
            assert action is not None
            action.triggered.connect(lambda _=False, names=names: self.show_nodes(names))
        self._menu.addSeparator()
        for name in sorted(self._nodes):
            action = self._menu.addAction(name.replace("&", "&&") or "(no name)")
            assert action is not None
            action.setCheckable(True)
            action.setChecked(name not in self._hidden)
            action.toggled.connect(lambda shown, name=name: self.show_node(name, shown))

    def _tell_nodes(self) -> None:
        shown = sorted(self._nodes - self._hidden)
        text = "All nodes" if not self._hidden else ", ".join(shown) or "No nodes"
        self.nodes.setText(text if len(text) <= 30 else f"{len(shown)} of {len(self._nodes)} nodes")

    def _colour_problem(self) -> None:
        colour = LevelColours(self.palette()).foreground(logging.ERROR)
        palette = self.problem.palette()
        if colour is not None:
            palette.setBrush(QtGui.QPalette.ColorRole.WindowText, colour)
        self.problem.setPalette(palette)

    def _apply(self, *_: object) -> None:
        if self._choosing:
            return
        self._tell_nodes()
        try:
            self.wanted = RecordFilter(
                self.level.currentData(), self._hidden, self.text.text(), self.regex.isChecked()
            )
        except ValueError as error:
            self._colour_problem()
            self.problem.setText(f"{error}; shown is what was before")
            self.problem.show()
            return
        self.problem.hide()
        self.changed.emit()


class FindBar(QtWidgets.QWidget):
    """Asks for a text that is searched for, forwards and backwards.

    Parameters
    ----------
    parent : QWidget, optional
    """

    wanted = Signal(str, bool)
    """The text, and whether backwards."""

    closed = Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QtWidgets.QLineEdit()
        self.text.setPlaceholderText("Find among the records that are shown")
        self.text.setClearButtonEnabled(True)
        self.previous = button("Previous", "Shift+F3, or Shift+Return")
        self.next = button("Next", "F3, or Return")
        self.result = QtWidgets.QLabel()
        self.result.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        self._close = button("✕", "Esc")
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(QtWidgets.QLabel("Find:"))
        for widget in (self.text, self.previous, self.next, self.result, self._close):
            row.addWidget(widget, 1 if widget is self.text else 0)
        self.previous.clicked.connect(lambda: self.ask(True))
        self.next.clicked.connect(lambda: self.ask(False))
        self._close.clicked.connect(self.leave)
        for keys, act in (
            ("Return", lambda: self.ask(False)),
            ("Shift+Return", lambda: self.ask(True)),
            ("Esc", self.leave),
        ):
            shortcut = QtWidgets.QShortcut(QtGui.QKeySequence(keys), self)
            shortcut.setContext(QtCore.Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(act)
        self.hide()

    def open(self) -> None:
        """Let the user write what to search for."""
        self.show()
        self.text.setFocus()
        self.text.selectAll()

    def leave(self) -> None:
        """Let the user go on without it."""
        self.hide()
        self.closed.emit()

    def ask(self, backwards: bool) -> None:
        """Ask for the next place, or the previous one."""
        if self.text.text():
            self.wanted.emit(self.text.text(), backwards)
        else:
            self.open()
