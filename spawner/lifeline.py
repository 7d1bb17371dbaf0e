"""Ends this process when its parent has ended, however that one did.

The child holds the reading end of a pipe whose writing end only the parent
has. When it reads as closed, a thread asks the node to close, and after a
moment ends the process by force.

A thread needs the GIL, which a stuck extension may never give back. On Linux
the kernel therefore keeps watch as well: it sends SIGHUP when the parent dies,
and the handler of that signal is the C function ``alarm`` itself. Called with
the number of the signal, 1, it has the kernel send SIGALRM a second later,
which ends the process, with no Python involved anywhere. A node that was forked
from a template is not a child of its parent; there the kernel sends SIGHUP
when the pipe is closed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["GRACE", "ask_kernel", "ask_kernel_by_pipe", "watch"]

GRACE = 1.0
"""Seconds that a node has for closing after its parent has gone."""

_PR_SET_PDEATHSIG = 1


def watch(fd: int, close: Callable[[], object]) -> None:
    """Watch the parent from now on.

    Parameters
    ----------
    fd : int
        The reading end of the pipe.
    close : callable
        Asks the node to close; called from another thread.
    """
    threading.Thread(target=_watch, args=(fd, close), name="spawner lifeline", daemon=True).start()


def _watch(fd: int, close: Callable[[], object]) -> None:
    while os.read(fd, 1):
        pass
    ended = threading.Timer(GRACE, os._exit, (1,))
    ended.daemon = True
    ended.start()
    close()


def ask_kernel(parent_pid: int) -> None:
    """Have the kernel watch the parent too, where it can.

    Parameters
    ----------
    parent_pid : int
        The process that must live on, whose child this one is.
    """
    libc = _let_alarm_handle_sighup()
    if libc is None:
        return
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGHUP), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we could ask
        libc.alarm(1)


def ask_kernel_by_pipe(fd: int) -> None:
    """Have the kernel watch the parent too, where it can, when this is not its child.

    Parameters
    ----------
    fd : int
        The reading end of the pipe.
    """
    if _let_alarm_handle_sighup() is None:
        return
    import fcntl

    from pyacq_rpc.transport.waiting import wait_readable

    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGHUP)
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    if wait_readable([fd], 0):  # it died before we could ask
        os.kill(os.getpid(), signal.SIGHUP)


def _let_alarm_handle_sighup() -> Any:
    """Return the C library, or None where the kernel cannot be asked."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes  # here only: it takes a millisecond or two
    except ImportError:  # an interpreter built without it
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    libc.signal.restype = ctypes.c_void_p
    libc.signal(signal.SIGHUP, ctypes.cast(libc.alarm, ctypes.c_void_p))
    return libc
