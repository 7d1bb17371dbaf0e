"""Waiting for descriptors, and waking a thread that waits."""

from __future__ import annotations

import math
import os
import select
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["Poller", "Waker", "make_poll", "wait_readable", "wait_ready"]


class Waker:
    """Wakes a thread that waits for descriptors, from any thread or ``__del__``.

    Attributes
    ----------
    fd : int
        Readable from `wake` until `clear`.
    """

    def __init__(self) -> None:
        self._open = [True]
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
        """Give the descriptors back; twice, and from two threads at once, is once."""
        try:
            self._open.pop()
        except IndexError:
            return
        fd, self.fd = self.fd, -1
        if self._sockets:
            for end in self._sockets:
                end.close()
        elif fd >= 0:
            os.close(fd)


class Poller:
    """Descriptors to wait for again and again, together.

    Where there is epoll, waiting for all of them from elsewhere takes one
    descriptor, and the number of those that are not ready costs nothing.
    """

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._epoll = select.epoll() if hasattr(select, "epoll") else None

    def fds(self) -> list[int]:
        """Descriptors of which one is readable when `ready` has something to tell."""
        return list(self._fds) if self._epoll is None else [self._epoll.fileno()]

    def add(self, fd: int) -> None:
        """Wait for this one too, to be readable."""
        self._fds.append(fd)
        if self._epoll is not None:
            self._epoll.register(fd, select.EPOLLIN)

    def remove(self, fd: int) -> None:
        """Do not wait for this one any more; before it is closed."""
        self._fds.remove(fd)
        if self._epoll is not None:
            self._epoll.unregister(fd)

    def ready(self, timeout: float | None) -> list[tuple[int, int]]:
        """Wait `timeout` seconds at most; None waits for ever.

        Returns
        -------
        list of (int, int)
            The descriptors that are readable, each with its events.
        """
        if self._epoll is None:
            return [(fd, select.POLLIN) for fd in wait_readable(self._fds, timeout)]
        return self._epoll.poll(timeout)

    def close(self) -> None:
        """Give the poller's own descriptor back."""
        if self._epoll is not None:
            self._epoll.close()


def make_poll(fds: Sequence[int]) -> Callable[[float | None], list[int]]:
    """Return a function that is `wait_readable` for these descriptors, again and again."""
    if not hasattr(select, "poll"):
        return lambda timeout: wait_readable(fds, timeout)
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    poll = poller.poll

    def wait(timeout: float | None) -> list[int]:
        return [fd for fd, _ in poll(None if timeout is None else math.ceil(timeout * 1000))]

    return wait


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
    return wait_ready(fds, (), timeout)


def wait_ready(
    readable: Sequence[int], writable: Sequence[int], timeout: float | None
) -> list[int]:
    """Wait until one of the first is readable, or one of the second writable.

    Parameters
    ----------
    readable, writable : sequence of int
        Descriptors; none is in both.
    timeout : float or None
        In seconds; None waits for ever.

    Returns
    -------
    list of int
        Those that are; empty when the time is over.
    """
    if not hasattr(select, "poll"):
        found = select.select(readable, writable, [], timeout)
        return found[0] + found[1]
    poller = select.poll()
    for fd in readable:
        poller.register(fd, select.POLLIN)
    for fd in writable:
        poller.register(fd, select.POLLOUT)
    # Rounded up: a wait that ends a fraction early would be entered again and
    # again, and spin.
    milliseconds = None if timeout is None else max(0, math.ceil(timeout * 1000))
    return [fd for fd, _ in poller.poll(milliseconds)]
