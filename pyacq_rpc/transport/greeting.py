"""Tells a process that is alive from one that is frozen or gone, without its help.

libzmq's own threads greet whoever connects, whatever the program is doing, even
while it does not let go of the interpreter. A process that has been stopped
greets nobody, though the system takes connections in its name.
"""

from __future__ import annotations

import socket

__all__ = ["greets"]


def greets(address: str, timeout: float) -> bool | None:
    """Return whether who listens at an address greets; None if nobody listens.

    Parameters
    ----------
    address : str
        With the transport ``tcp`` or ``ipc``.
    timeout : float
        Seconds to wait for it.

    Notes
    -----
    What comes first is the signature of ZMTP (ZeroMQ RFC 23).
    """
    transport, _, where = address.partition("://")
    try:
        with _connect(transport, where, timeout) as connection:
            return connection.recv(1) == b"\xff"
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except OSError:  # no answer in time, or the network is down
        return False


def _connect(transport: str, where: str, timeout: float) -> socket.socket:
    if transport == "tcp":
        host, _, port = where.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect("\0" + where[1:] if where.startswith("@") else where)
    except BaseException:
        connection.close()
        raise
    return connection
