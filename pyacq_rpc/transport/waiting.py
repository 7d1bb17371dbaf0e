"""Waiting for descriptors, and waking a thread that waits."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import socket

__all__ = ["Poller", "Waker", "make_poll", "wait_in_slices", "wait_readable", "wait_ready"]

SLICE = 1.0
"""Seconds that the main thread sleeps at most before it looks for signals."""

Ready = TypeVar("Ready")


class Waker:
    """Wakes a thread that waits for descriptors, from any thread or ``__del__``.

    Attributes
    ----------
    fd : int
        Readable from `wake` until `clear`.
    woken : bool
        Whether there is something to `clear`.
    """

    def __init__(self) -> None:
        # A descriptor that was closed soon belongs to something else, for which a
        # wake would be fatal: to a socket of zmq, say. So nobody wakes meanwhile.
        self._lock = threading.RLock()  # a collection within may come back here
        self._open = True
        self.woken = False
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
        with self._lock:
            if not self._open:
                return
            try:
                if self._sockets:
                    self._sockets[1].send(b"\0")
                else:
                    os.eventfd_write(self.fd, 1)
            except BlockingIOError:  # full: it is readable already
                pass
            finally:
                # After the writing, which lets other threads run. In any case: what is
                # readable, and not known to be, would never be cleared.
                self.woken = True

    def clear(self) -> None:
        """Make `fd` unreadable until the next `wake`."""
        with self._lock:
            if not (self.woken and self._open):
                return
            self.woken = False
            try:
                if self._sockets:
                    self._sockets[0].recv(4096)
                else:
                    os.eventfd_read(self.fd)
            except BlockingIOError:
                pass

    def close(self) -> None:
        """Give the descriptors back; twice, and from two threads at once, is once."""
        with self._lock:
            if not self._open:
                return
            self._open = False
            fd, self.fd = self.fd, -1
            if self._sockets:
                for end in self._sockets:
                    end.close()
            else:
                os.close(fd)

    def abandon(self) -> None:
        """Close it in the child of a fork, where the threads that used it are not."""
        self._lock = threading.RLock()
        self.close()


class Poller:
    """Descriptors to wait for again and again, together.

    Where there is epoll, waiting for all of them from elsewhere takes one
    descriptor, and the number of those that are not ready costs nothing.

    Attributes
    ----------
    is_one : bool
        Whether `fds` is one descriptor, the same one whatever is added.
    """

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self.is_one = self._epoll is not None
        if self._epoll is not None:
            self.ready = self._epoll.poll  # type: ignore[method-assign]  # spares a call each time

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
        return [(fd, select.POLLIN) for fd in wait_readable(self._fds, timeout)]

    def close(self) -> None:
        """Give the poller's own descriptor back."""
        if self._epoll is not None:
            self._epoll.close()


def wait_in_slices(
    wait: Callable[[float | None], Sequence[Ready]], timeout: float | None
) -> Sequence[Ready]:
    """Wait, and in the main thread look for signals now and then.

    Python handles signals between two instructions of the main thread. One that comes just
    before the system call, or that the system has another thread take, does not end that; and
    on Windows none does.

    Parameters
    ----------
    wait : callable
        Takes the seconds to wait for, None for ever, and returns what is ready.
    timeout : float or None
        In seconds; None waits for ever.

    Returns
    -------
    sequence
        What is ready; empty when the time is over.

    Examples
    --------
    >>> from pyacq_rpc.transport.waiting import wait_in_slices
    >>> def wait(timeout):
    ...     print(f"sleeps for {timeout} s")
    ...     return ["ready"]
    >>> wait_in_slices(wait, None)
    sleeps for 1.0 s
    ['ready']
    """
    if timeout is not None and timeout <= SLICE:
        return wait(timeout)
    # The first slice is for every thread: most waits are over by then, and need not know theirs.
    left = None if timeout is None else timeout - SLICE
    ready = wait(SLICE)
    if ready:
        return ready
    if threading.current_thread() is not threading.main_thread():
        return wait(left)
    end = None if left is None else time.monotonic() + left
    while True:
        ready = wait(SLICE if left is None else min(SLICE, left))
        if ready:
            return ready
        if end is not None:
            left = end - time.monotonic()
            if left <= 0:
                return ready


def make_poll(fds: Sequence[int]) -> Callable[[float | None], Sequence[object]]:
    """Return a function that waits for these descriptors, again and again.

    It takes the seconds to wait for, None for ever, and returns something for
    each descriptor that is readable.
    """
    if not hasattr(select, "poll"):
        return lambda timeout: wait_readable(fds, timeout)
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    poll = poller.poll

    def wait(timeout: float | None) -> Sequence[object]:
        return poll(None if timeout is None else ceil(timeout * 1000))

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

        def selected(seconds: float | None) -> list[int]:
            found = select.select(readable, writable, [], seconds)
            return found[0] + found[1]

        return list(wait_in_slices(selected, timeout))
    poller = select.poll()
    for fd in readable:
        poller.register(fd, select.POLLIN)
    for fd in writable:
        poller.register(fd, select.POLLOUT)

    def polled(seconds: float | None) -> list[tuple[int, int]]:
        # Rounded up: a wait that ends a fraction early would be entered again and
        # again, and spin.
        return poller.poll(None if seconds is None else max(0, ceil(seconds * 1000)))

    return [fd for fd, _ in wait_in_slices(polled, timeout)]
