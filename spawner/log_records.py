"""Log records as they travel: one object of JSON each, checked on arrival."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

__all__ = ["NOTES", "note", "read_record", "write_record"]

NOTES = "spawner.logs"
"""The logger that is told what happens to records."""

_REQUIRED: dict[str, type] = {"name": str, "msg": str, "levelno": int, "created": float}
"""What every record has, of these very types."""

_OPTIONAL: dict[str, type] = {
    "levelname": str,
    "pathname": str,
    "lineno": int,
    "funcName": str,
    "process": int,
    "processName": str,
    "thread": int,
    "threadName": str,
    "hostName": str,
    "exc_text": str,
}
"""What a record may have besides, or None instead of it; anything else is left out."""

_COPIED = [
    "name",
    "levelno",
    "levelname",
    "pathname",
    "lineno",
    "funcName",
    "created",
    "process",
    "thread",
    "threadName",
]


def write_record(record: logging.LogRecord, host: str, process_name: str | None) -> bytes:
    """Return a record as it travels, its message and its traceback as text.

    Parameters
    ----------
    record : logging.LogRecord
    host, process_name : str
        What it says it comes from.
    """
    fields = {field: getattr(record, field) for field in _COPIED}
    fields["msg"] = record.getMessage()
    fields["hostName"] = host
    fields["processName"] = process_name
    if record.exc_info and not record.exc_text:
        fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
    else:
        fields["exc_text"] = record.exc_text
    return json.dumps(fields).encode("ascii")


def read_record(data: bytes) -> logging.LogRecord:
    """Return the record that has travelled.

    Raises
    ------
    Exception
        Of any class, if it is none.
    """
    return logging.makeLogRecord(_checked(json.loads(data)))


def note(text: str) -> logging.LogRecord:
    """Return a warning about the records themselves."""
    return logging.LogRecord(NOTES, logging.WARNING, __file__, 0, text, (), None)


def _checked(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise TypeError("a record is an object")
    checked: dict[str, Any] = {"args": None}
    for field, kind in _REQUIRED.items():
        checked[field] = fields.get(field)
        if not isinstance(checked[field], kind):
            raise TypeError(f"its {field} is not of type {kind.__name__}")
    for field, kind in _OPTIONAL.items():
        if fields.get(field) is None:
            continue  # as in a record that was made without it
        checked[field] = fields[field]
        if not isinstance(checked[field], kind):
            raise TypeError(f"its {field} is not of type {kind.__name__}")
    if not math.isfinite(checked["created"]):  # it has no place in an order of time
        raise ValueError("its created is not a time")
    checked["msecs"] = checked["created"] % 1 * 1000
    return checked
