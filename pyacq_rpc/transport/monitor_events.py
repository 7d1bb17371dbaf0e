"""What libzmq writes about a connection.

pyzmq reads this too, in ``zmq.utils.monitor``, but importing that imports
asyncio and ssl, which takes as long as importing zmq itself.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TypedDict

__all__ = ["MonitorEvent", "parse_monitor_message"]

_HEAD = struct.Struct("=Hi")  # libzmq writes both as the machine does, without padding


class MonitorEvent(TypedDict):
    """One event of a monitored socket.

    Attributes
    ----------
    event : int
        One of the constants ``zmq.EVENT_...``.
    value : int
        The descriptor of the connection, for the events that have one.
    endpoint : bytes
        Where the socket is bound or connected.
    """

    event: int
    value: int
    endpoint: bytes


def parse_monitor_message(parts: Sequence[bytes]) -> MonitorEvent:
    """Return the event that a message of a monitor socket holds.

    Examples
    --------
    >>> parse_monitor_message([bytes(6), b"tcp://127.0.0.1:5000"])
    {'event': 0, 'value': 0, 'endpoint': b'tcp://127.0.0.1:5000'}
    """
    head, endpoint = parts
    event, value = _HEAD.unpack(head)
    return {"event": event, "value": value, "endpoint": endpoint}
