"""What is shown of log records: which of them, and as what text. Without Qt."""

from __future__ import annotations

import itertools
import json
import logging
import re
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import TextIO

__all__ = ["Inbox", "Record", "RecordFilter", "write_json_lines", "write_text"]


class Record:
    """One log record, as text.

    Parameters
    ----------
    record : logging.LogRecord
    number : int
        How many have come before it.

    Attributes
    ----------
    number : int
    created : float
        Seconds since the epoch.
    level : int
    level_name, node, logger, text : str
        The node is the ``processName``.
    exception : str
        The traceback, or what was asked for of the stack; empty without.
    host, thread, place : str
        The place is the path and the line in the source.
    process : int
    foldable : bool
        Whether it has more than one line.
    content, folded : str
        What is searched: text, exception and logger, in lines of their own; the
        second regardless of case.
    """

    __slots__ = (
        "content",
        "created",
        "exception",
        "foldable",
        "folded",
        "host",
        "level",
        "level_name",
        "logger",
        "node",
        "number",
        "place",
        "process",
        "text",
        "thread",
    )

    def __init__(self, record: logging.LogRecord, number: int) -> None:
        self.number = number
        self.created = record.created
        self.level = record.levelno
        self.level_name = record.levelname or str(record.levelno)
        self.node = record.processName or ""
        self.logger = record.name
        self.text = record.getMessage()
        self.exception = _exception(record)
        self.host: str = getattr(record, "hostName", None) or ""
        self.thread = record.threadName or ""
        self.place = f"{record.pathname}:{record.lineno}" if record.pathname else ""
        self.process = record.process or 0
        self.foldable = bool(self.exception) or len(self.text.splitlines()) > 1
        parts = (self.text, self.exception, self.logger)
        self.content = "\n".join(part for part in parts if part)
        folded = self.content.casefold()
        self.folded = self.content if folded == self.content else folded

    def lines(self) -> list[str]:
        """Return the lines below the first: of its text, and of its exception."""
        lines = self.text.splitlines()[1:]
        return lines + self.exception.splitlines() if self.exception else lines

    def time(self) -> str:
        """Return the local time, without the date."""
        return _time(self.created, "%H:%M:%S")

    def date_and_time(self) -> str:
        """Return the local time, with the date."""
        return _time(self.created, "%Y-%m-%d %H:%M:%S")


def _exception(record: logging.LogRecord) -> str:
    text = record.exc_text or ""
    if record.exc_info and not text:
        text = logging.Formatter().formatException(record.exc_info)
    return "\n".join(part for part in (text, record.stack_info) if part)


def _time(created: float, form: str) -> str:
    try:
        text = time.strftime(form, time.localtime(created))
    except (OverflowError, ValueError, OSError):  # who has sent it has no clock
        return str(created)
    return f"{text}.{int(created % 1 * 1000):03}"


class RecordFilter:
    """Which records are shown.

    Parameters
    ----------
    level : int
        The lowest that is.
    hidden : iterable of str
        Nodes of which none are.
    text : str
        What text, exception or logger have to contain, in whatever case.
    regex : bool
        Whether that is a regular expression; ``^`` and ``$`` are the ends of a line.

    Raises
    ------
    ValueError
        If it is a wrong one; says why.
    """

    def __init__(
        self, level: int = 0, hidden: Iterable[str] = (), text: str = "", regex: bool = False
    ) -> None:
        self.level = level
        self.hidden = frozenset(hidden)
        self.text = text
        self.regex = regex
        self._pattern: re.Pattern[str] | None = None
        if regex and text:
            try:
                self._pattern = re.compile(text, re.IGNORECASE | re.MULTILINE)
            except (re.error, OverflowError, RecursionError) as error:
                raise ValueError(f"Not a regular expression: {error}") from None

    def select(self, records: Sequence[Record]) -> Sequence[Record]:
        """Return those that are shown."""
        level, hidden = self.level, self.hidden
        if level:
            records = [record for record in records if record.level >= level]
        if hidden:
            records = [record for record in records if record.node not in hidden]
        if self._pattern is not None:
            search = self._pattern.search
            records = [record for record in records if search(record.content)]
        elif self.text:
            text = self.text.casefold()
            records = [record for record in records if text in record.folded]
        return records


class Inbox(logging.Handler):
    """Keeps records, in whatever threads they come, until they are taken.

    Parameters
    ----------
    length : int
        How many it keeps; the oldest are let go of.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        self._numbers = itertools.count()
        self._arrived: deque[Record] = deque(maxlen=length)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record; its message is made here, in the thread that logs."""
        try:
            made = Record(record, 0)
        except Exception:  # noqa: BLE001  # arguments that do not fit its message, say
            self.handleError(record)
            return
        made.number = next(self._numbers)
        self._arrived.append(made)

    def take(self) -> list[Record]:
        """Return what has arrived since, in the order of their numbers."""
        arrived = self._arrived
        return [arrived.popleft() for _ in range(len(arrived))]


def write_text(records: Iterable[Record], file: TextIO) -> None:
    """Write records as lines for people, exceptions below them."""
    for record in records:
        head = f"{record.date_and_time()} {record.level_name:<8} {record.node} {record.logger}: "
        file.write(head + record.text + "\n")
        if record.exception:
            file.write(record.exception.rstrip("\n") + "\n")


def write_json_lines(records: Iterable[Record], file: TextIO) -> None:
    """Write records as lines of JSON, an object each."""
    for record in records:
        fields = {
            "time": record.created,
            "level": record.level,
            "level_name": record.level_name,
            "node": record.node,
            "logger": record.logger,
            "text": record.text,
            "exception": record.exception or None,
            "host": record.host,
            "process": record.process,
            "thread": record.thread,
            "place": record.place,
        }
        file.write(json.dumps(fields) + "\n")
