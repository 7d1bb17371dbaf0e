"""Tells a process that is alive from one that is frozen or gone, without its help.

libzmq's own threads greet whoever connects, whatever the program is doing, even
while it does not let go of the interpreter. A process that has been stopped
greets nobody, though the system takes connections in its name.
"""

from __future__ import annotations

import socket

__all__ = ["SIGNATURE", "first_byte", "greets"]

SIGNATURE = b"\xff"
"""What comes first: of the signature of ZMTP (ZeroMQ RFC 23)."""


def greets(address: str, timeout: float) -> bool | None:
    """Return whether who listens at an address greets; None if nobody listens.

    Parameters
    ----------
    address : str
        With the transport ``tcp`` or ``ipc``.
    timeout : float
        Seconds to wait for it.
    """
    try:
        return first_byte(address, timeout) == SIGNATURE
    except (ConnectionRefusedError, FileNotFoundError):
        return None
    except OSError:  # no answer in time, or the network is down
        return False


def first_byte(address: str, timeout: float) -> bytes:
    """Return what who listens at an address says first; nothing if it ends the connection.

    Parameters
    ----------
    address : str
        With the transport ``tcp`` or ``ipc``.
    timeout : float
        Seconds to wait for the connection, and again for the byte.

    Raises
    ------
    ConnectionRefusedError, FileNotFoundError
        If nobody listens.
    OSError
        If there is no such host, or no answer in time: a ``TimeoutError`` then.
    """
    transport, _, where = address.partition("://")
    with _connect(transport, where, timeout) as connection:
        return connection.recv(1)


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
