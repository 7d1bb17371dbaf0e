"""How many items go into one answer, and when that is sent.

An answer is full when it is large, or when producing it has taken a while. But a producer
may give three items at once and then nothing for an hour. So while the server's thread
waits for an item, the I/O thread sends those that are there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import LimitExceeded
from ..session.feed import Feed, Full
from ..wire.messages import Reference, Request
from .connection import Connection
from .exchange import Outgoing, refuse
from .sizes import too_much

if TYPE_CHECKING:
    from .runtime import Runtime
    from .server import ServerCore

__all__ = ["Chunk", "Prompter", "send_answer"]

LONGEST = 0.001
"""Seconds of producing after which no further item is begun for the same answer."""

LARGEST = 1 << 18
"""Bytes beyond which none is."""

PATIENCE = 0.005
"""Seconds after which it is looked whether items wait for one that is long in coming."""

MOST_DEFERRED = 100
"""Requests that may wait for the same item. A client has one, but for those given up by Ctrl-C."""

_HEAD = 1024
"""Bytes that what is around the items may take."""


class Chunk:
    """The items of one answer; see `session.feed.Taker`.

    Parameters
    ----------
    server : ServerCore
    connection : Connection
        The client.
    request : Request
        What it has asked for.
    outgoing : Outgoing
        What the items refer to.
    """

    def __init__(
        self, server: ServerCore, connection: Connection, request: Request, outgoing: Outgoing
    ) -> None:
        self._is_closed = False
        self._went_early = False
        self._server = server
        self._connection = connection
        self._request_id = request.id
        self._by_proxy = request.reply == "proxy"
        self._outgoing = outgoing
        by_value = request.reply == "value"
        refer = partial(_refer_to_feeds, outgoing) if by_value else outgoing.refer
        self._packing = connection.codec.packing(refer)
        # What else is in the other answers is known, and referred to, in the end only.
        self._may_go_early = request.action == "fetch"
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    def add(self, item: object) -> bool:
        """Take an item as it is now; return whether there may be more.

        Raises
        ------
        Full
            If it has to go with the next answer.
        RPCError
            If it cannot be sent at all.
        """
        packing, outgoing = self._packing, self._outgoing
        with self._lock:
            if self._is_closed:
                raise Full
            before = len(packing.parts), len(packing.frames), packing.size
            mark = outgoing.mark()
            try:
                packing.add(outgoing.refer(item) if self._by_proxy else item)
                self._check_size()
            except BaseException:
                packing.take_back(*before)
                outgoing.undo(mark)
                raise
        if packing.size > LARGEST or packing.holds or self._took() > LONGEST:
            return False
        if self._may_go_early and not before[0]:
            self._server.prompter.attend(self)
        return True

    def _check_size(self) -> None:
        packing = self._packing
        excess = too_much(packing.size + _HEAD, len(packing.frames), self._server.limits)
        if excess:
            if len(packing.parts) > 1:
                raise Full
            raise LimitExceeded(f"an item {excess}")

    def _took(self) -> float:
        return time.monotonic() - self._begun

    def is_overdue(self) -> bool:
        """Whether what is there waits for an item that is long in coming."""
        return self._took() > LONGEST

    def send_early(self) -> None:
        """Send what is there, in the I/O thread, unless it has gone."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = self._went_early = True
                frames = self._packing.finish(self._request_id, [False])
                send_answer(self._server, self._connection, frames, self._outgoing)
        if self._server.listener.unread:
            self._server.look_again()

    def close(self) -> bool:
        """Take no more; return whether the answer has not gone early."""
        if self._may_go_early:
            self._server.prompter.forget(self)
        with self._lock:
            self._is_closed = True
            return not self._went_early

    def finish(self, rest: list[object]) -> list[Any]:
        """Return the frames of the answer, with what follows the items."""
        return self._packing.finish(self._request_id, rest)


def _refer_to_feeds(outgoing: Outgoing, obj: object) -> Reference:
    return outgoing.refer(obj) if type(obj) is Feed else refuse(obj)


def send_answer(
    server: ServerCore, connection: Connection, frames: list[Any], outgoing: Outgoing
) -> None:
    """Send a client an answer, or take back what that gives out."""
    # Meanwhile, others may have been served, and this client have gone: it holds nothing then.
    there = server.listener.connections.get(connection.identity) is connection
    if not (there and server.listener.send(connection, frames)):
        outgoing.undo()
    elif outgoing.grants:
        connection.handed.add(outgoing.grants)


class Prompter:
    """Sees to chunks of a server while their next item is long in coming.

    Parameters
    ----------
    runtime : Runtime
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._open: set[Chunk] = set()
        self._is_looking = False
        self._later: list[tuple[Feed, Callable[[], object]]] = []

    def attend(self, chunk: Chunk) -> None:
        """Look after a chunk that has items, in the server's thread."""
        self._open.add(chunk)  # before it looks whether the other thread is about to look
        if not self._is_looking:
            self._look_later()

    def _look_later(self) -> None:
        self._is_looking = True
        try:
            self._runtime.watcher.do(self._look, PATIENCE)
        except RuntimeError:  # there is no I/O thread, which was said when the client came
            self._is_looking = False

    def forget(self, chunk: Chunk) -> None:
        """A chunk is closed."""
        self._open.discard(chunk)

    def defer(self, feed: Feed, function: Callable[[], object]) -> LimitExceeded | None:
        """Keep what has to wait until the feed's next item has come.

        Its last answer went early, and while the item is waited for, others are served.

        Returns
        -------
        LimitExceeded or None
            What is wrong if there is too much of it.
        """
        if sum(other is feed for other, _ in self._later) >= MOST_DEFERRED:
            return LimitExceeded(f"{MOST_DEFERRED} requests wait for {feed!r} already")
        self._later.append((feed, function))
        return None

    def do_deferred(self) -> None:
        """Do what need not wait any more."""
        while True:
            ready = [entry for entry in self._later if not entry[0].is_busy]
            if not ready:
                break
            self._later.remove(ready[0])
            ready[0][1]()

    def _look(self) -> None:
        self._is_looking = False  # before it looks which ones there are
        for chunk in list(self._open):
            if chunk.is_overdue():
                self._open.discard(chunk)
                chunk.send_early()
        if self._open and not self._is_looking:
            self._look_later()
