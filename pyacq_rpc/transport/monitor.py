"""Learns from libzmq which connections come and go."""

from __future__ import annotations

import collections
import time
from collections.abc import Iterator

import zmq

from .monitor_events import parse_monitor_message
from .sockets import FrameSocket, endpoint

__all__ = ["Monitor", "source_descriptor"]

UNBIND_TIMEOUT = 1000
"""Milliseconds to wait for the address to be free."""

QUICK = 5.0
"""Seconds within which who is refused in a handshake is. It needs Python to be let in, and
somebody may keep that from running; libzmq gives up the handshake after 30 s, and begins anew."""

_FAILURES = frozenset(
    {
        zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
        zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
        zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    }
)


_UNTOLD = _FAILURES | {zmq.EVENT_CONNECTED, zmq.EVENT_CLOSED}


class Monitor:
    """The connection events of one socket.

    Parameters
    ----------
    socket : zmq.Socket
        What to monitor, before it connects or listens: what has happened by then
        is never told. Close the monitor before the socket.

    Attributes
    ----------
    fd : int
        Readable when there may be events. It is edge-triggered: there is no
        edge before `events` has been called once.
    failures : collections.Counter
        How many handshakes have failed, by the number of the event; not one of which nothing is
        known but that it took long.
    accepted : bool
        Of a socket that connects: whether somebody has accepted that, who may still have to
        say more. A process that is kept from that by what it does has done so all the same.
    """

    _EVENTS = (
        zmq.EVENT_ACCEPTED
        | zmq.EVENT_CONNECTED
        | zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH
        | zmq.EVENT_DISCONNECTED
        | zmq.EVENT_CLOSED
    )

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self._socket = socket
        self._events = socket.get_monitor_socket(self._EVENTS)
        self._events.linger = 0
        self._frames = FrameSocket(self._events)
        self.fd = int(self._events.fd)
        self.failures: collections.Counter[int] = collections.Counter()
        self.accepted = False
        self._last = time.monotonic()  # when there was an event

    def events(self) -> Iterator[tuple[bool, int]]:
        """Yield what has happened since: (connected or not, descriptor).

        To a side that has connected, instead of being connected to, libzmq
        does not tell the descriptor. What an interrupt keeps from being seen to comes once more.
        """
        now = time.monotonic()
        is_quick = now - self._last < QUICK
        while True:
            frames = self._frames.take()  # all of them, whatever interrupts that
            if frames is None:
                break
            event = parse_monitor_message([frame.bytes for frame in frames])
            kind = event["event"]
            if kind not in _UNTOLD:
                yield kind != zmq.EVENT_DISCONNECTED, int(event["value"])
            has_failed = kind in _FAILURES
            if kind == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                has_failed = is_quick
            failures = self.failures[kind] + has_failed
            # No call between these: all of them happen, or none.
            self._last = now
            self.accepted = kind in (zmq.EVENT_CONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED)
            if has_failed:
                self.failures[kind] = failures
            del frames[:]

    def wait(self, timeout: int) -> None:
        """Wait until a message or an event is there, `timeout` milliseconds at most."""
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._events, zmq.POLLIN)
        poller.poll(timeout)

    def unbind(self) -> None:
        """Stop listening, and return when the address is free again.

        Closing a socket only asks for that: who listens at the same address
        next would find it taken.
        """
        address = endpoint(self._socket)
        if address.startswith("inproc:"):
            return
        self._socket.unbind(address)
        while self._events.poll(UNBIND_TIMEOUT):
            frames = self._frames.take()
            if frames is None:
                continue
            event = parse_monitor_message([frame.bytes for frame in frames])
            frames.clear()
            if event["event"] == zmq.EVENT_CLOSED:
                return

    def close(self) -> None:
        """Stop monitoring; twice is once."""
        if not self._socket.closed:
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
