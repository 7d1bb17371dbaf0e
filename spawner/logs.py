"""Log records of many processes, in one place and in order of time.

A `LogServer` runs in one process; the others send it their records. Each
record names its host, process and thread. Both ends queue a bounded number:
when the way is congested a sender waits a little, then drops and says so.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import sys
import threading
import time
from types import TracebackType

import zmq

from pyacq_rpc.peers.runtime import Runtime, current
from pyacq_rpc.transport.keys import be_client, be_server
from pyacq_rpc.transport.sockets import endpoint, listen
from pyacq_rpc.transport.waiting import wait_readable

from .log_records import note, write_record
from .log_thread import LogThread
from .log_watchers import WATCH, Watchers
from .open_logs import OpenLogs

__all__ = [
    "LogSender",
    "LogServer",
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

LINGER = 500
"""Milliseconds for which a closed server goes on passing records to watchers."""

REORDER_DELAY = 0.1
"""Seconds that a record is held back for earlier ones from other processes."""


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
        with current().opening() as context:
            self._socket: zmq.Socket[bytes] | None = context.socket(zmq.DEALER)
        # At once: an open socket keeps the process from exiting.
        current().attachment(OpenLogs).senders.add(self)
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
            text = write_record(record, self._host, self._process_name)
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
            self.emit(
                note(f"{dropped} log records were dropped here: the log server did not keep up")
            )

    def close(self) -> None:
        """Send what is queued, and close."""
        with self.lock or threading.RLock():
            sender, self._socket = self._socket, None
        if sender is not None:
            sender.close()
        super().close()


class LogServer(LogThread):
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
        What the senders have to be told; a `LogWatcher` too.
    logger : logging.Logger or None
        What gets all records.

    Examples
    --------
    >>> with LogServer() as server:
    ...     sender = LogSender(server.address, "example")
    ...     sender.close()
    """

    def __init__(self, logger: logging.Logger | None = None, address: str | None = None) -> None:
        self._directory: str | None = None
        if address is None:
            if zmq.has("ipc"):
                import tempfile

                self._directory = tempfile.mkdtemp(prefix="pyacq-log-")
                address = f"ipc://{self._directory}/log"
            else:
                address = "tcp://127.0.0.1:*"
        with current().opening() as context:
            self._socket = context.socket(zmq.ROUTER)
        self._socket.rcvhwm = self._socket.sndhwm = QUEUE_LENGTH
        self._socket.linger = LINGER
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say so when a watcher is gone or slow
        self._watchers = Watchers(self._socket)
        try:
            key = current().keys.for_server(address)
            if key is not None:
                be_server(self._socket, key)
            listen(self._socket, address)
        except BaseException:
            self._socket.close(linger=0)
            self._remove_directory()
            raise
        self.address = endpoint(self._socket)
        self._order = itertools.count()
        self._held: list[tuple[float, int, logging.LogRecord, bytes]] = []
        super().__init__(logger, "pyacq-rpc logs")

    def _run(self) -> None:
        while not self._closing:
            arrived = self._receive()
            # To pass on what is due may swallow the sign that something has come.
            handed_on = self._hand_on(time.time() - REORDER_DELAY)
            if not (arrived or handed_on):
                timeout = REORDER_DELAY if self._held else None
                wait_readable([int(self._socket.fd), self._waker.fd], timeout)
        self._receive_the_rest()
        self._hand_on(float("inf"))
        self._socket.close()
        self._remove_directory()

    def _remove_directory(self) -> None:
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
                identity, *frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return count > 0
            if frames == [WATCH]:
                self._watchers.add(identity)
            elif (record := self._read(frames)) is not None:
                heapq.heappush(self._held, (record.created, next(self._order), record, frames[0]))
        return True

    def _hand_on(self, until: float) -> bool:
        """Hand on what was made before that time; whether there was something."""
        handed_on = False
        while self._held and self._held[0][0] <= until:
            _, _, record, data = heapq.heappop(self._held)
            self._watchers.pass_on(data)
            self._handle(record)
            handed_on = True
        return handed_on


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
