"""Has an event loop read what arrives for a client, in its own thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from ..transport.waiting import Poller

if TYPE_CHECKING:
    from ..peers.channel import Channel

__all__ = ["LoopReader"]


class LoopReader:
    """Reads a channel when its descriptors are readable.

    The event loop is told of one descriptor only, that of a poller: the channel's own
    change, and may be closed by the I/O thread, which must not remove them from the
    loop, and after which they would belong to something else.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The running one.
    channel : Channel

    Raises
    ------
    NotImplementedError
        If this loop, or this system, cannot do that.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, channel: Channel) -> None:
        self._loop = loop
        self._channel = channel
        self._thread = threading.get_ident()
        self._fds: list[int] = []
        self._poller = Poller()
        self._closed = False
        if not self._poller.is_one:
            raise NotImplementedError("the descriptors of a channel may be closed at any time")
        try:
            (self._fd,) = self._poller.fds()
            self._follow()
            loop.add_reader(self._fd, self.read)
        except BaseException:
            self._poller.close()
            raise
        # A socket that nobody has tried to read yet does not signal.
        loop.call_soon(self.read)

    def read(self) -> None:
        """Deliver what has arrived; called by the event loop."""
        if self._closed:
            return
        channel = self._channel
        try:
            channel.pump()
        except BaseException:
            self.interrupted()
            raise
        if channel.roads.fds is not self._fds:
            self._follow()

    def interrupted(self) -> None:
        """An interrupt may have left something there that does not signal: look again soon."""
        if not self._loop.is_closed():
            self._loop.call_soon(self.read)

    def look(self) -> None:
        """Somebody has read the channel, from any thread: look whether it is read otherwise now."""
        if self._channel.roads.fds is self._fds or self._closed:
            return
        if threading.get_ident() == self._thread:
            self._follow()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.read)

    def _follow(self) -> None:
        """Watch the descriptors that are the channel's by now."""
        if self._closed or self._channel.closed:
            return
        fds = self._channel.roads.fds
        with contextlib.suppress(OSError):  # the I/O thread has just closed the channel
            for fd in set(self._fds) - set(fds):
                self._poller.remove(fd)
            for fd in set(fds) - set(self._fds):
                self._poller.add(fd)
        self._fds = fds

    def close(self) -> None:
        """Read no more; from any thread."""
        if self._closed:
            return
        if threading.get_ident() == self._thread or self._loop.is_closed():
            self._close()
        else:
            try:
                self._loop.call_soon_threadsafe(self._close)
            except RuntimeError:  # closed since
                self._close()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._poller.close()
