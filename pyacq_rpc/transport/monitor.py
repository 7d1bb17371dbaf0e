"""Learns from libzmq which connections come and go."""

from __future__ import annotations

from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

__all__ = ["Monitor", "source_descriptor"]


class Monitor:
    """The connection events of one socket.

    Parameters
    ----------
    socket : zmq.Socket
        What to monitor. Close the monitor before the socket.

    Attributes
    ----------
    fd : int
        Readable when there may be events; edge-triggered, so `events` must be
        read to its end before one waits on it.
    """

    _EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._events = socket.get_monitor_socket(self._EVENTS)
        self._events.linger = 0
        self.fd = int(self._events.fd)

    def events(self) -> list[tuple[bool, int]]:
        """Return what has happened since: (connected or not, descriptor)."""
        found: list[tuple[bool, int]] = []
        while True:
            try:
                parts = self._events.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return found
            event: dict[str, Any] = parse_monitor_message(parts)  # type: ignore[assignment]  # a TypedDict
            found.append((event["event"] != zmq.EVENT_DISCONNECTED, int(event["value"])))

    def close(self) -> None:
        """Stop monitoring."""
        self._socket.disable_monitor()
        self._events.close(linger=0)


def source_descriptor(frame: zmq.Frame) -> int | None:
    """Return the descriptor of the connection that a frame came over.

    It is what the monitor calls that connection; None for ``inproc``.
    libzmq calls this property deprecated; it is the only one that tells which
    of a ROUTER's peers a monitor event is about.
    """
    try:
        return int(frame.get(zmq.SRCFD))
    except zmq.ZMQError:
        return None
