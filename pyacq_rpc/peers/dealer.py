"""A client's ZeroMQ socket: whom it reaches, how its messages are marked, and its end."""

from __future__ import annotations

import collections
import contextlib
from typing import Any

import zmq

from ..late_logging import getLogger
from ..transport.backlog import AT_ONCE, mark
from ..transport.keys import Key
from ..transport.monitor import Monitor
from ..transport.sockets import ENVELOPE, FrameSocket, connect, new_dealer
from ..transport.stamps import Stamps, new_secret, unstamp
from ..wire.codecs import Codec
from ..wire.messages import Goodbye
from .exchange import refuse
from .reach import Reach

__all__ = ["Dealer"]

_log = getLogger(__name__)


class Dealer:
    """A DEALER socket, which is to `connect`; one thread uses it at a time.

    Parameters
    ----------
    context : zmq.Context
    address : str
        Of the server.
    key : Key or None
        The client's.

    Attributes
    ----------
    socket : zmq.Socket
    fd : int
        Readable when something may have arrived; edge-triggered.
    frames : FrameSocket
        What messages are sent by and taken from.
    monitor : Monitor
    reach : Reach
        Whether the server has been reached.
    """

    def __init__(self, context: zmq.Context[Any], address: str, key: Key | None) -> None:
        self._address = address
        self._within = address.startswith("inproc:")
        # Within a process nobody is in between.
        self._stamps = None if self._within else Stamps(new_secret())
        self._sent = 0  # bytes
        self.socket = new_dealer(
            context, key, None if self._stamps is None else self._stamps.secret
        )

    def connect(self) -> None:
        """Connect, and look from now on what becomes of that."""
        self.monitor = Monitor(self.socket)
        self.reach = Reach(self.monitor, self._within)
        connect(self.socket, self._address)
        self.frames = FrameSocket(self.socket)
        self.fd = int(self.socket.fd)

    def send(self, frames: list[Any]) -> None:
        """Send a message.

        Raises
        ------
        zmq.Again
            If nobody is there: of a server in the same process one knows.
        """
        self._sent += sum(map(len, frames)) + ENVELOPE * len(frames)
        self.frames.send(frames if self._stamps is None else self._stamps.put(frames))

    def take_all(self, inbox: collections.deque[Any]) -> None:
        """Add the messages that are there to an inbox; an interrupt may lose one of them."""
        while True:
            frames = self.frames.take()
            if frames is None:
                break
            opened = self.opened(frames)
            arrived = [] if opened is None else [opened]
            inbox += arrived
            frames.clear()  # with no call in between: both happen, or neither

    def opened(self, frames: list[zmq.Frame]) -> list[Any] | None:
        """Return the buffers of a message that has come, if it is whole."""
        buffers = [frame.buffer for frame in frames]
        if self._stamps is None or unstamp(self._stamps.secret, buffers):
            return buffers
        # Not the end, since it may be an interrupt that has lost a frame: here, or over there.
        _log.warning(
            "the server at %s: dropped a message that was not whole, or not stamped", self._address
        )
        return None

    # -- the end ---------------------------------------------------------------

    def may_hold_back(self) -> bool:
        """Whether it was given more than goes out at once; `send_mark` tells when it is out."""
        return self._stamps is not None and self._sent > AT_ONCE

    def send_mark(self, codec: Codec) -> zmq.MessageTracker | None:
        """Send what tells, when it is out, that all is that was sent before."""
        assert self._stamps is not None
        # What has no meaning any more, behind what is not seen to be out.
        filler, last = (
            self._stamps.put(codec.encode(Goodbye(reason), refuse))
            for reason in (" " * AT_ONCE, "")
        )
        last, tracker = mark(last)
        with contextlib.suppress(zmq.Again):
            self.frames.send(filler)
            self.frames.send(last)
        return tracker

    def drop(self) -> None:
        """Close it, however far it has come."""
        if hasattr(self, "monitor"):
            self.monitor.close()
        else:
            self.socket.disable_monitor()
        self.socket.close(linger=0)
