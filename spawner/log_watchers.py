"""Who gets a copy of what comes to a log server."""

from __future__ import annotations

import zmq

from .log_records import note, write_record

__all__ = ["WATCH", "Watchers"]

WATCH = b"watch"
"""What a watcher sends, and no record is: it gets an empty message, then all records."""


class Watchers:
    """Those who get a copy of every record, over the connection on which they asked.

    None of them holds the others up: who does not keep up is told how many
    records it has missed.

    Parameters
    ----------
    socket : zmq.Socket
        A ROUTER that says so when it cannot send.
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._missed: dict[bytes, int] = {}

    def add(self, identity: bytes) -> None:
        """Pass records on to this one from now on, and tell it so."""
        self._missed.setdefault(identity, 0)
        self._send(identity, b"")

    def pass_on(self, data: bytes) -> None:
        """Send a record to all of them."""
        for identity, missed in list(self._missed.items()):
            if missed:
                text = f"{missed} log records were not passed on here: the watcher did not keep up"
                if not self._send(identity, write_record(note(text), "", "")):
                    continue
                self._missed[identity] = 0
            self._send(identity, data)

    def _send(self, identity: bytes, data: bytes) -> bool:
        try:
            self._socket.send_multipart([identity, data], zmq.DONTWAIT)
        except zmq.Again:
            self._missed[identity] += 1
            return False
        except zmq.ZMQError:  # it has gone
            del self._missed[identity]
            return False
        return True
