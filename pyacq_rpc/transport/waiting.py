"""Waiting for descriptors, and waking a thread that waits."""

from __future__ import annotations

import math
import os
import select
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["Waker", "wait_readable"]


class Waker:
    """Wakes a thread that waits for descriptors, from any thread or ``__del__``.

    Attributes
    ----------
    fd : int
        Readable from `wake` until `clear`.
    """

    def __init__(self) -> None:
        self._woken = False  # spares `clear` a system call that would find nothing
        if hasattr(os, "eventfd"):
            self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            self._sockets: tuple[socket.socket, ...] = ()
        else:
            import socket

            self._sockets = socket.socketpair()
            for end in self._sockets:
                end.setblocking(False)
            self.fd = self._sockets[0].fileno()

    def wake(self) -> None:
        """Make `fd` readable; never blocks, does nothing once closed."""
        try:
            if self._sockets:
                self._sockets[1].send(b"\0")
            elif self.fd >= 0:
                os.eventfd_write(self.fd, 1)
        except OSError:  # full: it is readable already; closed: nobody waits
            pass
        self._woken = True  # after the writing, which lets other threads run

    def clear(self) -> None:
        """Make `fd` unreadable until the next `wake`."""
        if not self._woken:
            return
        self._woken = False
        try:
            if self._sockets:
                self._sockets[0].recv(4096)
            else:
                os.eventfd_read(self.fd)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give the descriptors back."""
        fd, self.fd = self.fd, -1
        if self._sockets:
            for end in self._sockets:
                end.close()
        elif fd >= 0:
            os.close(fd)


def wait_readable(fds: Sequence[int], timeout: float | None) -> list[int]:
    """Wait until one of the descriptors is readable.

    Parameters
    ----------
    fds : sequence of int
    timeout : float or None
        In seconds; None waits for ever.

    Returns
    -------
    list of int
        The readable ones; empty when the time is over.
    """
    if not hasattr(select, "poll"):
        return select.select(fds, [], [], timeout)[0]
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    # Rounded up: a wait that ends a fraction early would be entered again and
    # again, and spin.
    milliseconds = None if timeout is None else max(0, math.ceil(timeout * 1000))
    return [fd for fd, _ in poller.poll(milliseconds)]
