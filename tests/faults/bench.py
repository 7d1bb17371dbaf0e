"""What runs in the nodes that meet faults."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

from pyacq_rpc import RPCServer


class Bench:
    """Published as ``bench``; its answers are easy to check."""

    def __init__(self) -> None:
        self._notes: list[int] = []

    def work(self, seconds: float, value: Any) -> Any:
        """Take that long, and return one more than `value`."""
        time.sleep(seconds)
        return value + 1

    def note(self, n: int) -> None:
        self._notes.append(n)

    def noted(self) -> list[int]:
        notes, self._notes = self._notes, []
        return notes

    def call_often(self, function: Any, times: int) -> int:
        return sum(function(n) for n in range(times))

    def numbers(self, count: int) -> Iterator[int]:
        for n in range(count):
            time.sleep(0.002)
            yield n

    def text(self, length: int) -> str:
        return "x" * length

    def hold_gil(self, after: float, seconds: int) -> None:
        """Hold it in another thread, as an extension does that never gives it back."""
        threading.Timer(after, ctypes.PyDLL(None).sleep, [seconds]).start()

    def fork(self) -> int:
        """Make a child that lives on, with all that is open here."""
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        return pid


def publish() -> None:
    """Publish a bench in the node in which this is called."""
    server()["bench"] = Bench()


def server() -> RPCServer:
    found = RPCServer.get_server()
    assert isinstance(found, RPCServer)
    return found


def advertise(address: str) -> None:
    """Have all that this node gives out be reached over there."""
    server().address = address


def books() -> dict[str, int]:
    """What this node keeps for its clients."""
    here = server()
    return {
        "leases": len(here.table),
        "clients": len(here.listener.connections),
        "timers": sum(not timer.stopped() for *_, timer in here.timers.heap if timer.interval < 1),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
    }


def use_up_descriptors() -> list[int]:
    """Let this process open none from now on; return those that it could still open."""
    import resource

    used = max(map(int, os.listdir("/proc/self/fd"))) + 1
    spare = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
    with contextlib.suppress(OSError):
        while True:
            spare.append(os.open(os.devnull, os.O_RDONLY))
    return spare


def give_back(descriptors: list[int]) -> None:
    """Let this process open that many again."""
    for fd in descriptors:
        os.close(fd)


def refuse_segments() -> None:
    """Let this process have no more shared memory."""

    def refuse(*args: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    os.memfd_create = refuse
