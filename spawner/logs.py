"""Log records of many processes, in one place and in order of time.

A `LogServer` runs in one process; the others send it their records. Each
record names its host, process and thread. Both ends queue a bounded number:
when the way is congested a sender waits a little, then drops and says so.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import logging
import math
import sys
import threading
import time
import weakref
from types import TracebackType
from typing import Any

import zmq

from pyacq_rpc.peers.runtime import Runtime, current
from pyacq_rpc.transport.keys import be_client, be_server
from pyacq_rpc.transport.sockets import endpoint, listen
from pyacq_rpc.transport.waiting import Waker, wait_readable

__all__ = [
    "LogSender",
    "LogServer",
    "close_at_exit",
    "get_log_address",
    "send_to",
    "start_log_server",
]

QUEUE_LENGTH = 10_000
"""Records that wait at each end."""

PATIENCE_MS = 1000
"""How long a sender waits for a place in the queue before it drops a record."""

QUIET_TIME = 0.3
"""Seconds without a record after which a server that closes has had them all."""

CLOSING_TIME = 3.0
"""Seconds after which it closes even if records keep coming."""

REORDER_DELAY = 0.1
"""Seconds that a record is held back for earlier ones from other processes."""

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


class _Open:
    """What of this process has to be closed at exit."""

    def __init__(self, runtime: Runtime) -> None:
        self._senders: weakref.WeakSet[LogSender] = weakref.WeakSet()
        self._servers: weakref.WeakSet[LogServer] = weakref.WeakSet()
        runtime.at_exit(self.close)

    def add(self, thing: LogSender | LogServer) -> None:
        """Have it closed at exit, unless it was collected before."""
        if isinstance(thing, LogSender):
            self._senders.add(thing)
        else:
            self._servers.add(thing)

    def close(self) -> None:
        """Close the senders first: they may send to the servers."""
        for sender in list(self._senders):
            sender.close()
        for server in list(self._servers):
            server.close()


def close_at_exit(runtime: Runtime) -> None:
    """Have senders and servers closed after whatever is told to end at exit from now on."""
    runtime.attachment(_Open)


class LogSender(logging.Handler):
    """Sends log records to a `LogServer`, until it is closed or this process exits.

    Parameters
    ----------
    address : str
        Of the log server.
    process_name : str
        What the records say they come from.
    """

    def __init__(self, address: str, process_name: str) -> None:
        super().__init__()
        import socket

        self._host = socket.gethostname()
        self._process_name = process_name
        self._dropped = 0
        self._socket: zmq.Socket[bytes] | None = current().context.socket(zmq.PUSH)
        # At once: an open socket keeps the process from exiting.
        current().attachment(_Open).add(self)
        self._socket.sndhwm = QUEUE_LENGTH
        self._socket.sndtimeo = PATIENCE_MS
        self._socket.linger = 2000
        try:
            key = current().keys.for_client(address)
            if key is not None:
                be_client(self._socket, key)
            self._socket.connect(address)
        except BaseException:
            self.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record; its message and its traceback travel as text."""
        try:
            text = self._serialize(record)
        except Exception:  # noqa: BLE001  # a record whose arguments do not fit its message, say
            self.handleError(record)
            return
        if self._socket is None:
            return
        try:
            self._socket.send(text, zmq.DONTWAIT if self._dropped else 0)
        except zmq.Again:
            self._dropped += 1
            return
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            note = f"{dropped} log records were dropped here: the log server did not keep up"
            self.emit(logging.LogRecord(__name__, logging.WARNING, __file__, 0, note, (), None))

    def close(self) -> None:
        """Send what is queued, and close."""
        with self.lock or threading.RLock():
            sender, self._socket = self._socket, None
        if sender is not None:
            sender.close()
        super().close()

    def _serialize(self, record: logging.LogRecord) -> bytes:
        fields = {field: getattr(record, field) for field in _COPIED}
        fields["msg"] = record.getMessage()
        fields["hostName"] = self._host
        fields["processName"] = self._process_name
        if record.exc_info and not record.exc_text:
            fields["exc_text"] = logging.Formatter().formatException(record.exc_info)
        else:
            fields["exc_text"] = record.exc_text
        return json.dumps(fields).encode("ascii")


class LogServer:
    """Receives log records, and hands them to `logging` in order of time.

    Parameters
    ----------
    logger : logging.Logger, optional
        Gets all records; by default each goes to the logger of its own name.
    address : str, optional
        Where to listen; by default where only this user can send to.

    Attributes
    ----------
    address : str
        What the senders have to be told.

    Examples
    --------
    >>> with LogServer() as server:
    ...     sender = LogSender(server.address, "example")
    ...     sender.close()
    """

    def __init__(self, logger: logging.Logger | None = None, address: str | None = None) -> None:
        self._logger = logger
        self._directory: str | None = None
        if address is None:
            if zmq.has("ipc"):
                import tempfile

                self._directory = tempfile.mkdtemp(prefix="pyacq-log-")
                address = f"ipc://{self._directory}/log"
            else:
                address = "tcp://127.0.0.1:*"
        self._socket = current().context.socket(zmq.PULL)
        self._socket.rcvhwm = QUEUE_LENGTH
        self._socket.linger = 0
        key = current().keys.for_server(address)
        if key is not None:
            be_server(self._socket, key)
        listen(self._socket, address)
        self.address = endpoint(self._socket)
        self._order = itertools.count()
        self._held: list[tuple[float, int, logging.LogRecord]] = []
        self._closing = False
        self._waker = Waker()
        self._thread = threading.Thread(target=self._run, name="pyacq-rpc logs", daemon=True)
        self._thread.start()
        current().attachment(_Open).add(self)

    def __enter__(self) -> LogServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hand on everything that has arrived, and stop."""
        if self._closing:
            return
        self._closing = True
        self._waker.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join(5.0)

    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closing

    def _run(self) -> None:
        while not self._closing:
            arrived = self._receive()
            self._hand_on(time.time() - REORDER_DELAY)
            if not arrived:
                timeout = REORDER_DELAY if self._held else None
                wait_readable([int(self._socket.fd), self._waker.fd], timeout)
        self._receive_the_rest()
        self._hand_on(float("inf"))
        self._socket.close()
        self._waker.close()
        if self._directory is not None:
            import shutil

            shutil.rmtree(self._directory, ignore_errors=True)

    def _receive_the_rest(self) -> None:
        """Take what was sent before and is on its way still, until all is quiet."""
        deadline = time.monotonic() + CLOSING_TIME
        quiet_at = time.monotonic() + QUIET_TIME
        while (left := min(quiet_at, deadline) - time.monotonic()) > 0:
            # A sender that connects makes the descriptor readable, too.
            if self._receive():
                quiet_at = time.monotonic() + QUIET_TIME
            else:
                wait_readable([int(self._socket.fd)], left)

    def _receive(self) -> bool:
        """Take what has arrived, a queue's length at most."""
        for count in range(QUEUE_LENGTH):
            try:
                data = self._socket.recv(zmq.DONTWAIT)
            except zmq.Again:
                return count > 0
            try:
                record = logging.makeLogRecord(_checked(json.loads(data)))
            except Exception as error:  # noqa: BLE001  # RecursionError, for one; the rest goes on
                with contextlib.suppress(Exception):  # a handler of ours
                    logging.getLogger(__name__).warning("dropped a malformed log record: %s", error)
                continue
            heapq.heappush(self._held, (record.created, next(self._order), record))
        return True

    def _hand_on(self, until: float) -> None:
        while self._held and self._held[0][0] <= until:
            record = heapq.heappop(self._held)[2]
            logger = self._logger or logging.getLogger(record.name)
            try:
                logger.handle(record)
            except Exception:  # whatever it raises, the other records go on
                with contextlib.suppress(Exception):  # the same one, again
                    logging.getLogger(__name__).exception("a handler failed on a record")


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


def send_to(address: str, level: int | str | None, process_name: str) -> LogSender:
    """Have all records of this process sent to a log server.

    Exceptions that nobody catches are logged too, in any thread.

    Parameters
    ----------
    address : str
        Of the log server.
    level : int or str, optional
        Of the root logger; unchanged if not given.
    process_name : str
        What the records say they come from.
    """
    sender = LogSender(address, process_name)
    root = logging.getLogger()
    root.addHandler(sender)
    if level is not None:
        root.setLevel(level)
    log = logging.getLogger(process_name)

    def uncaught(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
        log.critical("uncaught exception", exc_info=(kind, error, tb))

    sys.excepthook = uncaught
    threading.excepthook = lambda args: log.critical(
        "uncaught exception in thread %s",
        args.thread.name if args.thread else "?",
        exc_info=(args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value else None,
    )
    return sender


class _Default:
    """The log server of this process, if it was asked to have one."""

    def __init__(self, runtime: Runtime) -> None:
        self.server: LogServer | None = None


def start_log_server(logger: logging.Logger | None = None, address: str | None = None) -> LogServer:
    """Start the log server that nodes spawned from here send to by default.

    Parameters
    ----------
    logger : logging.Logger, optional
        Gets all records; by default each goes to the logger of its own name.
    address : str, optional
        Where to listen; by default where only this user can send to.
    """
    default = current().attachment(_Default)
    if default.server is not None:
        default.server.close()
    default.server = LogServer(logger, address)
    return default.server


def get_log_address() -> str | None:
    """Return the address of the default log server, or None."""
    server = current().attachment(_Default).server
    return None if server is None or server.closed() else server.address
