"""What belongs to one thread, and ends with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..transport.waiting import Waker

if TYPE_CHECKING:
    from .client import RPCClient
    from .server import ServerCore

__all__ = ["ThreadEnd", "ThreadState"]


class ThreadState:
    """What one thread has: at most one server, a client for each address."""

    def __init__(self) -> None:
        self.ident = threading.get_ident()
        self.server: ServerCore | None = None
        self.clients: dict[str, RPCClient] = {}
        self.made: set[RPCClient] = set()  # those and others of the same address
        self.waker = Waker()  # wakes this thread while it waits for an answer
        self.ended = False

    def is_current(self) -> bool:
        """Whether this is the state of the calling thread."""
        # The identifiers of threads are used again once they have ended.
        return not self.ended and self.ident == threading.get_ident()

    def depth_of_calls(self) -> int:
        """Return the depth of a request that is made now, in this thread."""
        server = self.server
        return 0 if server is None else server.depth_of_calls()

    def close(self) -> None:
        """Give the descriptors back; the thread is ending."""
        self.ended = True
        self.clients.clear()
        self.made.clear()
        self.waker.close()


class ThreadEnd:
    """Lives in a thread's local storage, and so dies with the thread."""

    def __init__(self, state: ThreadState, ended: Callable[[ThreadState], None]) -> None:
        self.state = state
        self._ended = ended

    def __del__(self) -> None:
        self._ended(self.state)
