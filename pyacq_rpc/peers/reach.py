"""Whether a client has reached a server, or why not, and how it has lost it."""

from __future__ import annotations

import collections

import zmq

from ..transport.monitor import Monitor

__all__ = ["Reach"]

_TRIES = 3
"""Handshakes that may fail without a reason; a server that ends within one gives none."""


class Reach:
    """What libzmq tells of a client's connection.

    Parameters
    ----------
    monitor : Monitor
        Of its socket.
    connected : bool
        Whether there is somebody in any case: within a process.

    Attributes
    ----------
    connected : bool
        Whether somebody has been reached.
    refused : bool
        Whether the connection was refused, for a reason that is known.
    """

    def __init__(self, monitor: Monitor, connected: bool) -> None:
        self.connected = connected
        self.refused = False
        self._monitor = monitor
        self._lost = False
        self._broken = 0  # handshakes, before there was a connection

    def look(self) -> str | None:
        """Return what has become of the server, as the end of a sentence, if it is lost.

        That is empty if nothing more is known. It is the same each time from then on: an
        interrupt may keep something from being done about it.
        """
        failures = self._monitor.failures
        was_connected = self.connected
        if not was_connected:
            self._broken = failures[zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL]
        for connected, _ in self._monitor.events():
            # What ends before it has begun is tried again, by libzmq.
            self._lost = self._lost or (self.connected and not connected)
            self.connected = self.connected or connected
        refused = None if self.connected else _why_refused(failures)
        self.refused = refused is not None
        if refused is not None:
            return refused
        if was_connected and failures[zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL] > self._broken:
            # libzmq reads no more then, but ends the connection only seconds later.
            return "is out of reach: what it has sent was changed on the way"
        return "" if self._lost else None


def _why_refused(failures: collections.Counter[int]) -> str | None:
    """Return why a server cannot be connected to, as the end of a sentence, if that is clear."""
    if zmq.EVENT_HANDSHAKE_FAILED_AUTH in failures:
        return "does not admit your key; ask its owner to"
    if zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL in failures:
        return "does not speak this protocol with a key: it is something else, or an older version"
    if failures[zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL] >= _TRIES:
        return (
            "has another key than you, or is something else. Is it another user's? On another"
            " machine? Then you need a key from there: see 'pyacq-rpc key --help'. If you have it"
            " in another file, say so with key=... or PYACQ_RPC_KEY"
        )
    return None
