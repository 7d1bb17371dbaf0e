"""What is common to whoever gets log records in a thread of its own."""

from __future__ import annotations

import abc
import contextlib
import logging
import threading
from types import TracebackType
from typing import TypeVar

from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.waiting import Waker

from .log_records import NOTES, read_record
from .open_logs import OpenLogs

__all__ = ["LogThread"]

Self = TypeVar("Self", bound="LogThread")  # of `typing` from Python 3.11 on

_log = logging.getLogger(NOTES)


class LogThread(abc.ABC):
    """Gets log records in a thread of its own, until it is closed or this process exits.

    Its thread runs from the beginning: whatever `_run` needs has to be there before.

    Parameters
    ----------
    logger : logging.Logger or None
        Gets all records; without, each goes to the logger of its own name.
    name : str
        Of the thread.

    Attributes
    ----------
    logger : logging.Logger or None
    """

    def __init__(self, logger: logging.Logger | None, name: str) -> None:
        self.logger = logger
        self._closing = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run_and_end, name=name, daemon=True)
        self._thread.start()
        current().attachment(OpenLogs).receivers.add(self)

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop. A log server first hands on everything that has arrived."""
        if self._closing:
            return
        self._closing = True
        self._waker.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def _run_and_end(self) -> None:
        self._run()
        self._waker.close()

    @abc.abstractmethod
    def _run(self) -> None:
        """Get records until it is closing, of which `_waker` tells; then give all back."""

    def _read(self, frames: list[bytes]) -> logging.LogRecord | None:
        """Return the record that a message is; None, and tell, if it is none."""
        try:
            (data,) = frames
            return read_record(data)
        except Exception as error:  # noqa: BLE001  # RecursionError, for one; the rest goes on
            with contextlib.suppress(Exception):  # a handler of ours
                _log.warning("dropped a malformed log record: %s", error)
            return None

    def _handle(self, record: logging.LogRecord) -> None:
        """Give a record to its logger; tell if a handler raises."""
        try:
            (self.logger or logging.getLogger(record.name)).handle(record)
        except Exception as error:  # noqa: BLE001  # whatever it raises, the other records go on
            if record.name == NOTES:
                return  # what is told below may come back here, and must not go on for ever
            with contextlib.suppress(Exception):  # the same one, again
                _log.error("a handler failed on a record", exc_info=error)
