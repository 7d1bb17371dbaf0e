"""What is carried out within a request that waits, when there is much of that already.

While a request waits for an answer, its thread carries out others, since the answer may depend
on one of them. Each takes room on Python's stack. When that is half full, only those are begun
that were made within more requests than the one that waits, as each tells of itself. What its
own call leads to is among them. So a flood waits, and nothing waits in a circle: of the calls
that wait for each other, in whatever threads, the one that is the deepest is begun anywhere.

Some depend on others that do not tell how deep they are: what is handed to another thread is as
if nobody had asked for it. So if there is no answer for a while, a few more are begun.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ..late_logging import getLogger
from ..wire.codecs import depth_of, moves

if TYPE_CHECKING:
    from .listener import Listener
    from .running import Running

__all__ = ["PATIENCE", "Nesting"]

_log = getLogger(__name__)

_HALF, _FULL, _SPENT = 0.5, 0.75, 0.875
"""Shares of the stack that are in use when it matters; the rest is for the requests' own calls."""

PATIENCE = 0.5
"""Seconds for which a request waits while others are put off, until some are begun all the same."""


class Nesting:
    """Decides that for one server.

    Parameters
    ----------
    listener : Listener
        The server's.
    running : Running
        What it is carrying out.

    Attributes
    ----------
    looked : dict
        For each depth, the last message up to which there is none of it; to `forget`.
    stuck : int
        How many of the waits within each other have lasted long while others were put off.
    """

    def __init__(self, listener: Listener, running: Running) -> None:
        self._listener = listener
        self._running = running
        self._items = listener.inbox.items
        self._has_told = False
        self._keep_books: set[bytes] = set()  # who had sent something else than requests by then
        self.looked: dict[int, tuple[bytes, list[Any] | None]] = {}
        self.stuck = 0

    def admits(self) -> bool:
        """Whether something may be begun now, within a request; that is the next item then."""
        if not _exceeds(_HALF):
            return True
        if self.stuck and not _exceeds(_FULL):
            return True
        with self._listener.lock:  # the I/O thread may be taking in more
            if self.bring_forward(self._running.depth):
                return True
        if not self._has_told:
            self._has_told = True
            _log.warning(
                "%s: requests have to wait, since so many are carried out within each other, of"
                " which each waits for an answer. A client that was made with reentrant=False"
                " does not begin with others while it waits",
                self._listener.address,
            )
        return False

    def bring_forward(self, depth: int) -> bool:
        """Make the next message one that keeps the books, or leads to a request so deep or deeper.

        All that the same client has sent before comes first; but not before the word that
        it goes on over the direct road, which says nothing about that.

        Returns
        -------
        bool
            Whether there is one.
        """
        place = self._place_of_next(depth)
        if place is None:
            if self._items:
                self.looked[depth] = self._items[-1]
            return False
        item, put = self._items[place], self._items.appendleft
        del self._items[place]
        put(item)  # with no call in between: both happen, or neither
        return True

    def _place_of_next(self, depth: int) -> int | None:
        deep = None
        for place, (who, frames) in self._new(depth):
            found = -1 if frames is None else depth_of(frames)
            if found is None:
                if moves(frames or ()):
                    return place
                self._keep_books.add(who)
            elif found >= depth:
                deep = who
                break
        left = self._keep_books | ({deep} if deep is not None else set())
        for place, (who, frames) in enumerate(self._items):
            if not left:
                break
            if who in left and frames is not None:  # the first one of that client
                if who == deep or depth_of(frames) is None:
                    return place
                left.discard(who)
        self._keep_books -= left  # they have nothing here any more
        return None

    def _new(self, depth: int) -> list[tuple[int, tuple[bytes, list[Any] | None]]]:
        """Return what was not looked at for that depth, and its places."""
        known = {id(item) for at, item in self.looked.items() if at <= depth}
        new = []
        for place, item in zip(range(len(self._items) - 1, -1, -1), reversed(self._items)):
            if id(item) in known:
                break  # as are those before
            new.append((place, item))
        return new[::-1]

    def forget(self) -> None:
        """Let go of the messages that were looked at, which may be large."""
        self.looked.clear()
        self._keep_books.clear()

    def check(self) -> None:
        """Raise `RecursionError` if a request may no longer wait for another answer."""
        if _exceeds(_SPENT):
            raise RecursionError(
                "too many calls wait for each other; do objects call each other for ever? See"
                " 'Reentrancy' in the guide"
            )


def _exceeds(share: float) -> bool:
    """Whether this thread uses more than that share of the stack that Python lets it have."""
    try:
        sys._getframe(int(share * sys.getrecursionlimit()))
    except ValueError:  # there are not that many frames
        return False
    return True
