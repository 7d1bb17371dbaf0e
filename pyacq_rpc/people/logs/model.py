"""The records that are kept, and the rows that are shown of them."""

from __future__ import annotations

import html
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from qtpy import QtCore, QtGui

from .colours import LevelColours
from .records import Record, RecordFilter

__all__ = ["COLUMNS", "FOLD", "LEVEL", "LOGGER", "NODE", "TEXT", "TIME", "LogModel"]

COLUMNS = ["", "Time", "Level", "Node", "Logger", "Text"]
FOLD, TIME, LEVEL, NODE, LOGGER, TEXT = range(len(COLUMNS))

SHOWN = 1000
"""Characters of a line that are shown; laying out more takes time."""

EXPLAINED = 4000
"""Characters of a record that are shown while the mouse is over it."""

_ROOT = QtCore.QModelIndex()
_DISPLAY = int(QtCore.Qt.ItemDataRole.DisplayRole)
_TOOL_TIP = int(QtCore.Qt.ItemDataRole.ToolTipRole)
_FOREGROUND = int(QtCore.Qt.ItemDataRole.ForegroundRole)
_FONT = int(QtCore.Qt.ItemDataRole.FontRole)
_BACKGROUND = int(QtCore.Qt.ItemDataRole.BackgroundRole)


class _Line:
    """A row below its record's."""

    __slots__ = ("number", "record", "text")

    def __init__(self, record: Record, text: str) -> None:
        self.number = record.number
        self.record = record
        self.text = text


def _number(row: Record | _Line) -> int:
    return row.number


class LogModel(QtCore.QAbstractTableModel):
    """Records in the order in which they came, a row each; an unfolded one has more.

    Parameters
    ----------
    max_records : int
        How many are kept; the oldest are let go of.
    palette : QPalette
        Decides about the colours.
    parent : QObject, optional

    Attributes
    ----------
    max_records : int
    received : int
        How many records have come.
    dropped : int
        How many of them were let go of, to keep no more than that.
    nodes : dict of str to int
        How many of them from each node.
    filter : RecordFilter
    """

    def __init__(
        self,
        max_records: int,
        palette: QtGui.QPalette,
        parent: QtCore.QObject | None = None,
    ) -> None:
        super().__init__(parent)
        if max_records < 1:
            raise ValueError(f"at least one record is kept, not {max_records}")
        self.max_records = max_records
        self.received = self.dropped = 0
        self.nodes: dict[str, int] = {}
        self.filter = RecordFilter()
        self._colours = LevelColours(palette)
        self._fixed = QtGui.QFontDatabase.systemFont(QtGui.QFontDatabase.SystemFont.FixedFont)
        self._records: list[Record] = []
        self._rows: list[Record | _Line] = []
        self._unfolded: set[int] = set()
        self._line_count = 0

    # -- what is in it -------------------------------------------------------------

    @property
    def kept(self) -> int:
        """How many records there are, shown or not."""
        return len(self._records)

    @property
    def shown(self) -> int:
        """How many of them are shown."""
        return len(self._rows) - self._line_count

    def record(self, row: int) -> Record:
        """Return the record that a row belongs to."""
        there = self._rows[row]
        return there.record if isinstance(there, _Line) else there

    def records(self) -> list[Record]:
        """Return those that are shown."""
        return [row for row in self._rows if isinstance(row, Record)]

    def row_of(self, number: int) -> int | None:
        """Return the first row of a record, or None if it is not shown."""
        row = bisect_left(self._rows, number, key=_number)
        return row if row < len(self._rows) and self._rows[row].number == number else None

    def line(self, row: int) -> str:
        """Return a row as text, as it is copied."""
        there = self._rows[row]
        if isinstance(there, _Line):
            return there.text
        cells = (there.date_and_time(), there.level_name, there.node, there.logger)
        return "\t".join([*cells, *there.text.splitlines()[:1]])

    def find(self, text: str, row: int, backwards: bool = False) -> int | None:
        """Return the nearest row whose record contains a text, or None.

        Parameters
        ----------
        text : str
            In whatever case.
        row : int
            Where to begin; behind the last one it goes on with the first.
        backwards : bool
        """
        text = text.casefold()
        rows, count = self._rows, len(self._rows)
        step = -1 if backwards else 1
        for index in range(row, row + step * count, step):
            there = rows[index % count]
            if isinstance(there, Record) and text in there.folded:
                return index % count
        return None

    # -- changing it -----------------------------------------------------------------

    def append(self, records: Sequence[Record]) -> None:
        """Add the records that have come since."""
        if not records:
            return
        self.dropped += records[0].number - self.received  # before they were here
        self.received = records[-1].number + 1
        for record in records:
            self.nodes[record.node] = self.nodes.get(record.node, 0) + 1
        before = len(self._records) + len(records)
        records = records[-self.max_records :]
        self._let_go(len(self._records) + len(records) - self.max_records)
        self.dropped += before - len(self._records) - len(records)
        self._records += records
        shown = self.filter.select(records)
        if shown:
            first = len(self._rows)
            self.beginInsertRows(_ROOT, first, first + len(shown) - 1)
            self._rows += shown
            self.endInsertRows()

    def set_filter(self, wanted: RecordFilter) -> None:
        """Show other records."""
        self.beginResetModel()
        self.filter = wanted
        self._rows = list(wanted.select(self._records))
        self._line_count = 0
        if self._unfolded:
            self._unfold_again()
        self.endResetModel()

    def clear(self) -> None:
        """Let go of all records."""
        self.beginResetModel()
        self._records.clear()
        self._rows.clear()
        self._unfolded.clear()
        self._line_count = 0
        self.endResetModel()

    def is_foldable(self, row: int) -> bool:
        """Whether a row belongs to a record of more than one line."""
        return self.record(row).foldable

    def is_unfolded(self, row: int) -> bool:
        """Whether all lines of the record are shown."""
        return self._rows[row].number in self._unfolded

    def set_unfolded(self, row: int, unfolded: bool) -> None:
        """Show all lines of the record that a row belongs to, or only the first."""
        record = self.record(row)
        if unfolded == self.is_unfolded(row) or not self.is_foldable(row):
            return
        head = self.row_of(record.number)
        assert head is not None
        lines = [_Line(record, line) for line in record.lines()]
        if unfolded:
            self.beginInsertRows(_ROOT, head + 1, head + len(lines))
            self._rows[head + 1 : head + 1] = lines
            self._line_count += len(lines)
            self.endInsertRows()
            self._unfolded.add(record.number)
        else:
            self.beginRemoveRows(_ROOT, head + 1, head + len(lines))
            del self._rows[head + 1 : head + 1 + len(lines)]
            self._line_count -= len(lines)
            self.endRemoveRows()
            self._unfolded.discard(record.number)
        changed = self.index(head, FOLD)
        self.dataChanged.emit(changed, changed)

    def set_palette(self, palette: QtGui.QPalette) -> None:
        """Use the colours that go with a palette."""
        self._colours = LevelColours(palette)

    def _let_go(self, count: int) -> None:
        """Let go of that many records, the oldest."""
        if count <= 0:
            return
        last = self._records[count - 1].number
        del self._records[:count]
        rows = bisect_left(self._rows, last + 1, key=_number)
        if not rows:
            return
        self.beginRemoveRows(_ROOT, 0, rows - 1)
        if self._unfolded:
            self._line_count -= sum(isinstance(row, _Line) for row in self._rows[:rows])
            self._unfolded = {number for number in self._unfolded if number > last}
        del self._rows[:rows]
        self.endRemoveRows()

    def _unfold_again(self) -> None:
        rows: list[Record | _Line] = []
        for row in self._rows:
            assert isinstance(row, Record)
            rows.append(row)
            if row.number in self._unfolded:
                lines = [_Line(row, line) for line in row.lines()]
                self._line_count += len(lines)
                rows += lines
        self._rows = rows

    # -- what Qt asks ------------------------------------------------------------------

    def rowCount(self, parent: QtCore.QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return how many rows there are."""
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: QtCore.QModelIndex = _ROOT) -> int:  # noqa: N802
        """Return how many columns there are."""
        return 0 if parent.isValid() else len(COLUMNS)

    def headerData(  # noqa: N802
        self, section: int, orientation: QtCore.Qt.Orientation, role: int = _DISPLAY
    ) -> Any:
        """Return the name of a column."""
        if role == _DISPLAY and orientation == QtCore.Qt.Orientation.Horizontal:
            return COLUMNS[section]
        return None

    def data(self, index: QtCore.QModelIndex, role: int = _DISPLAY) -> Any:
        """Return the text or the colours of a cell."""
        roles = (_DISPLAY, _FOREGROUND, _BACKGROUND, _FONT, _TOOL_TIP)
        if role not in roles or not index.isValid():
            return None
        row = self._rows[index.row()]
        record = row.record if isinstance(row, _Line) else row
        if role == _FOREGROUND:
            return self._colours.foreground(record.level)
        if role == _BACKGROUND:
            return self._colours.background(record.level)
        if role == _FONT:
            return self._fixed if isinstance(row, _Line) else None
        if role == _TOOL_TIP:
            return _explained(record)
        column = index.column()
        if isinstance(row, _Line):
            return row.text[:SHOWN] if column == TEXT else None
        return self._cell(row, column)

    def _cell(self, record: Record, column: int) -> str | None:
        if column == TIME:
            return record.time()
        if column == LEVEL:
            return record.level_name
        if column == NODE:
            return record.node
        if column == LOGGER:
            return record.logger
        if column == TEXT:
            return (record.text[:SHOWN].splitlines() or [""])[0]
        if record.foldable:
            return "▾" if record.number in self._unfolded else "▸"
        return None


def _explained(record: Record) -> str:
    """Return where a record comes from and what it says, for a tool tip."""
    origin = [record.node, record.process and f"process {record.process}", record.thread]
    lines = [
        record.date_and_time(),
        ", ".join(str(part) for part in [*origin, record.host] if part),
        record.place,
        record.text,
        record.exception,
    ]
    text = "\n".join(line for line in lines if line)
    if len(text) > EXPLAINED:
        text = text[:EXPLAINED] + "…"
    return f"<p style='white-space: pre-wrap'>{html.escape(text)}</p>"  # as it is, no HTML
