"""One request of a batch, from the call to the answer."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wire.batches import promised
from ..wire.messages import Reference
from .exchange import Outgoing
from .promise import Promise

if TYPE_CHECKING:
    from .batch import Batch
    from .hooks import HookedCall

__all__ = ["QueuedRequest"]


class QueuedRequest:
    """One request of a batch.

    Parameters
    ----------
    batch : Batch
    number : int
        Its id.
    reply : str
        How it wants to be answered.
    uses : tuple of int
        Whose results it uses.
    hooked : HookedCall or None
        To be told when it has ended.

    Attributes
    ----------
    frames : list
        As it is written.
    outgoing : Outgoing or None
        What it refers to, if anything.
    promise : callable
        Returns the promise of its result, if there is one and somebody holds it.
    used : bool
        Whether later ones use that, and so fail if this one does.
    kept : Promise or None
        The promise, since it was sent: it gets the answer.
    """

    __slots__ = (
        "_batch",
        "_hooked",
        "frames",
        "kept",
        "number",
        "outgoing",
        "promise",
        "reply",
        "used",
        "uses",
    )

    def __init__(
        self,
        batch: Batch,
        number: int,
        reply: str,
        uses: tuple[int, ...],
        hooked: HookedCall | None,
    ) -> None:
        self._batch = batch
        self._hooked = hooked
        self.number = number
        self.reply = reply
        self.uses = uses
        self.used = False
        self.frames: list[Any] = []
        self.outgoing: Outgoing | None = None
        self.kept: Promise[Any] | None = None
        self.promise: Callable[[], Promise[Any] | None] = _no_promise

    def refer(self, obj: object) -> Reference:
        """Return the reference to send in an object's place."""
        if isinstance(obj, Promise):
            number = self._batch.number_of(obj)
            if number is not None:
                self.uses = (*self.uses, number)
                return promised(number)
            obj = obj.result(0)
        return self.get_outgoing().refer(obj)

    def get_outgoing(self) -> Outgoing:
        """Return what it refers to, to be added to."""
        if self.outgoing is None:
            self.outgoing = self._batch.new_outgoing()
        return self.outgoing

    def is_unread(self) -> bool:
        """Whether it is answered, but its result need not travel."""
        return self.kept is None and self.reply != "off"

    def is_nobodys(self) -> bool:
        """Whether nobody would learn that it has failed, but whoever waits for the batch."""
        return self.is_unread() and not self.used

    def promised(self, promise: Promise[Any]) -> None:
        """Note who is promised the result."""
        self.promise = weakref.ref(promise)
        if self._hooked is not None:
            promise.__dict__["_ended"] = self._hooked.end  # to others it is the remote object's

    def keep(self, promise: Promise[Any]) -> None:
        """Hold the promise, which nobody else has to do any more."""
        self.promise = lambda: promise

    def end(self, error: BaseException | None) -> None:
        """Tell the hooks that it has come to its end."""
        if self._hooked is not None:
            self._hooked.end(error)

    def undo(self, error: BaseException | None = None) -> None:
        """Take back what it gives out: it is not sent, for that error or since it was given up."""
        if self.outgoing is not None:
            self.outgoing.undo()
        if self._hooked is not None:
            self._hooked.end(error or concurrent.futures.CancelledError())


def _no_promise() -> None:
    return None
