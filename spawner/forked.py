"""A process that was forked from a template, as its user's process sees it.

It is not a child of this process, so it cannot be waited for as one is. The
template, whose child it is, writes its process id and then its exit code to a
channel of its own. The forked process holds the other end of that channel too,
so that it reads as closed when both have ended: then nobody can tell the code.
"""

from __future__ import annotations

import collections
import contextlib
import io
import math
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from pyacq_rpc.transport.waiting import wait_readable

__all__ = ["DESCRIPTORS", "ORDER", "UNKNOWN_EXIT_CODE", "ForkedProcess", "close_all"]

ORDER = b"f"
"""What a template is told for a fork, together with the descriptors that it is to have."""

_LOOK_INTERVAL = 0.5
"""Seconds after which a wait looks again, lest the channel was closed as it began."""

_END_TIMEOUT = 1.0
"""Seconds that a process may take from the closing of its descriptors to its end."""

DESCRIPTORS = 6
"""How many: stdin, stdout, stderr, the pipe for its report, its configuration, the channel."""

UNKNOWN_EXIT_CODE = 255
"""Of a process whose template had died before it. `multiprocessing` says the same."""


class ForkedProcess:
    """A forked process, with what is used of the interface of `subprocess.Popen`.

    Parameters
    ----------
    args : sequence of str
        What it is called where a command line is asked for.
    stdin : io.FileIO
        The writing end of its stdin.
    stdout, stderr : io.FileIO or None
        The reading ends, of what is a pipe.
    channel : socket.socket
        Where the template tells its process id, then its exit code.
    theirs : list of int
        Our copies of its descriptors, to be closed once it has its own.
    on_end : callable
        Called once, when it is known to have ended.

    Attributes
    ----------
    pid : int
        0 until it is there.
    returncode : int or None
        The exit code, once it was asked for; negative for a signal.
    """

    def __init__(
        self,
        args: Sequence[str],
        stdin: io.FileIO,
        stdout: io.FileIO | None,
        stderr: io.FileIO | None,
        channel: socket.socket,
        theirs: list[int],
        on_end: Callable[[ForkedProcess], object],
    ) -> None:
        self.args = args
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.pid = 0
        self.returncode: int | None = None
        self._channel = channel
        self._theirs = theirs
        self._on_end = on_end
        self._lock = threading.RLock()  # a finalizer that runs meanwhile may stop the node

    def await_pid(self, template_fd: int, timeout: float) -> bool:
        """Return when the process is there; whether it is.

        Parameters
        ----------
        template_fd : int
            Readable when the template has ended.
        timeout : float
            In seconds.

        Raises
        ------
        OSError
            If the template could not fork.
        ConnectionError
            If it has ended.
        """
        deadline = time.monotonic() + timeout
        answer = b""
        while not answer.endswith(b"\n"):
            left = max(0.0, deadline - time.monotonic())
            ready = wait_readable([self._channel.fileno(), template_fd], left)
            if not ready:
                return False
            if self._channel.fileno() not in ready:
                raise ConnectionError
            # By single bytes: the exit code may be there as well.
            answer += self._channel.recv(1) or b"0\n"
        pid = int(answer)
        if pid == 0:
            raise ConnectionError
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        close_all(self._theirs)
        self.pid = pid
        return True

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        with self._lock:
            if self.returncode is not None or self.pid == 0:
                return self.returncode
            try:
                # Only looked at: several threads may wait for it to be there.
                code = self._channel.recv(16, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return None
            except OSError:
                code = b""
            if not code:
                self._see_it_end()
            is_new = self._note(int(code) if code else UNKNOWN_EXIT_CODE)
        if is_new:
            self._on_end(self)
        return self.returncode

    def _note(self, code: int) -> bool:
        """Note the exit code; False if such a finalizer has seen the end meanwhile."""
        is_new = self.returncode is None
        if is_new:
            self.returncode = code
        return is_new

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code once it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            If it still runs after `timeout` seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = math.inf if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0)
            fd = self._channel.fileno()
            if fd >= 0:  # else somebody has just seen the end
                wait_readable([fd], min(left, _LOOK_INTERVAL))
        return code

    def _see_it_end(self) -> None:
        """Wait until a process whose descriptors are closed is gone.

        It closes them a moment before it ends, and its template, which would have
        seen the end, is not there.
        """
        if not hasattr(os, "pidfd_open"):
            return
        with contextlib.suppress(OSError):  # it is gone, or the kernel does not have these
            fd = os.pidfd_open(self.pid)
            try:
                wait_readable([fd], _END_TIMEOUT)
            finally:
                os.close(fd)

    def send_signal(self, signum: int) -> None:
        """Send it a signal, if it still runs."""
        if self.poll() is None and self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def terminate(self) -> None:
        """Send it SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send it SIGKILL; one that is not there yet ends when it will be."""
        if self.pid == 0:
            self.give_up()
        else:
            self.send_signal(signal.SIGKILL)

    def give_up(self) -> None:
        """Do not wait for it to be there; it ends at once if it ever is."""
        with self._lock:
            if self.returncode is not None:
                return
            self.returncode = -signal.SIGKILL
        self._on_end(self)

    def close(self) -> None:
        """Give the channel back; it has ended, or was given up."""
        with self._lock:
            close_all(self._theirs)
            self._channel.close()

    def abandon(self) -> None:
        """Let go of the channel in the child of a fork: the process is not ours."""
        self._channel.close()  # without the lock, which another thread may have had


def close_all(descriptors: list[int]) -> None:
    """Close descriptors, and take them from the list.

    An interrupt leaves each either closed or in the list: Python runs no signal
    handlers within ``map``.
    """
    with contextlib.suppress(IndexError):
        collections.deque(map(os.close, iter(descriptors.pop, None)), maxlen=0)
