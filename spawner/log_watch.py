"""Watching the log server of another program."""

from __future__ import annotations

import logging
import threading

import zmq

from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.monitor import Monitor
from pyacq_rpc.transport.sockets import clean_address, connect, new_dealer
from pyacq_rpc.transport.waiting import wait_readable

from .log_thread import LogThread
from .log_watchers import WATCH

__all__ = ["LogWatcher"]

BATCH = 1000
"""Messages after which it looks whether it is to close."""


class LogWatcher(LogThread):
    """Gets a copy of what comes to a `LogServer` from now on, also one in another program.

    If that program ends, it waits for a log server that listens there again.

    Parameters
    ----------
    address : str
        Of the log server.
    logger : logging.Logger, optional
        Gets all records; by default each goes to the logger of its own name.

    Attributes
    ----------
    address : str
    logger : logging.Logger or None

    Raises
    ------
    ValueError
        If nothing could ever listen there.
    """

    def __init__(self, address: str, logger: logging.Logger | None = None) -> None:
        self.address = clean_address(address)
        self._connected = threading.Event()
        runtime = current()
        with runtime.opening() as context:
            self._socket = new_dealer(context, runtime.keys.for_client(self.address))
        self._monitor = Monitor(self._socket)
        try:
            connect(self._socket, self.address)
        except BaseException:
            self._monitor.close()
            self._socket.close(linger=0)
            raise
        super().__init__(logger, "pyacq-rpc log watch")

    def connected(self) -> bool:
        """Whether the log server sends to it at present."""
        return self._connected.is_set()

    def wait_connected(self, timeout: float | None = None) -> bool:
        """Wait until the log server sends to it.

        Parameters
        ----------
        timeout : float, optional
            In seconds; by default as long as it takes.

        Returns
        -------
        bool
            Whether it does.
        """
        return self._connected.wait(timeout)

    def _run(self) -> None:
        fds = [int(self._socket.fd), self._monitor.fd, self._waker.fd]
        while not self._closing:
            for is_connected, _ in self._monitor.events():
                if is_connected:  # the server knows each connection as somebody else
                    self._socket.send(WATCH)
                else:
                    self._connected.clear()
            if not self._receive():
                wait_readable(fds, None)
        self._monitor.close()
        self._socket.close(linger=0)

    def _receive(self) -> bool:
        """Take what has arrived, a batch at most; whether there may be more."""
        for _ in range(BATCH):
            try:
                frames = self._socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return False
            if frames == [b""]:
                self._connected.set()
            elif (record := self._read(frames)) is not None:
                self._handle(record)
        return True
