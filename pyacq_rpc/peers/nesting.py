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
from typing import TYPE_CHECKING

from ..late_logging import getLogger

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
    has_looked : bool
        Whether there is something to `forget`.
    stuck : int
        How many of the waits within each other have lasted long while others were put off.
    """

    def __init__(self, listener: Listener, running: Running) -> None:
        self._listener = listener
        self._running = running
        self._has_told = False
        self.has_looked = False
        self.stuck = 0

    def admits(self) -> bool:
        """Whether something may be begun now, within a request; that is the next item then."""
        if not _exceeds(_HALF):
            return True
        if self.stuck and not _exceeds(_FULL):
            return True
        self.has_looked = True
        with self._listener.lock:
            if self._listener.inbox.bring_forward(self._running.depth):
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

    def forget(self) -> None:
        """Nothing is within anything any more."""
        self.has_looked = False
        self._listener.inbox.forget_looks()

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
