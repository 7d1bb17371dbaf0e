"""The requests of one client that are on their way.

An entry stays until the server has answered, even if nobody waits any more:
what the request refers to must live until it has arrived, and only an answer
tells that it has.
"""

from __future__ import annotations

from concurrent.futures import InvalidStateError
from typing import Any

from ..errors import ServerDisconnected
from ..session.holding import Lease
from .exchange import Handed, Outgoing
from .future import Future

__all__ = ["Pending", "PendingRequests"]


class Pending:
    """One request on its way.

    Attributes
    ----------
    future : Future or None
        Gets the answer, if there is one.
    answered : bool
        Whether the answer is here, though perhaps not yet in its place.
    done, value, error
        Whether it is, and the answer itself, where there is no future.
    outgoing : Outgoing
        What it refers to.
    holding : Lease or None
        Of the object that it is about.
    """

    __slots__ = ("answered", "done", "error", "future", "holding", "outgoing", "value")

    is_batch = False
    """Whether it is a `SentBatch`, whose answer is to be read further."""

    count = 1
    """Calls that it answers; of a batch, those that want an answer."""

    def __init__(
        self, future: Future[Any] | None, outgoing: Outgoing, holding: Lease | None
    ) -> None:
        self.future = future
        self.answered = False
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None
        self.outgoing = outgoing
        self.holding = holding

    def failed_among(self, value: Any) -> int:
        """Return how many calls have failed; of the answer to a batch."""
        raise NotImplementedError

    def complete(self, value: Any, error: Exception | None) -> None:
        """Give the future, or whoever waits, the result or the exception."""
        if self.future is None:
            self.value, self.error = value, error
            self.done = True
            return
        try:
            if error is None:
                self.future.set_result(value)
            else:
                self.future.set_exception(error)
        except InvalidStateError:  # cancelled at this very moment, or filled before an interrupt
            self.future._go_on()

    def is_done(self) -> bool:
        """Whether the answer is in its place, where there is no future."""
        return self.done

    def fail(self, error: Exception) -> None:
        """The request will not be answered: take back what it gave out."""
        self.outgoing.undo()
        self.complete(None, error)


class PendingRequests(dict[int, Pending]):
    """All requests of one client that are on their way, by their id.

    Attributes
    ----------
    handed : Handed
        What the server may still have to claim of those that it has answered.
    sent, answered, failed, off, timed_out : int
        See `ClientStats`.
    """

    # Python changes threads between two instructions only where it looks for signals, which
    # is not within a ``+=``: so these need no lock.

    def __init__(self) -> None:
        super().__init__()
        self.handed = Handed()
        self.sent = 0
        self.answered = 0
        self.failed = 0
        self.off = 0
        self.timed_out = 0

    def begin(self, request_id: int, pending: Pending) -> None:
        """Add a request that is about to be sent, and count it."""
        # No call between these, as wherever an entry and a count change: whoever looks at both
        # finds what adds up.
        self[request_id] = pending
        self.sent += pending.count

    def take_back(self, request_id: int) -> None:
        """Forget a request that was not sent after all."""
        pending = self.get(request_id)
        if pending is not None and request_id in self:
            del self[request_id]
            self.sent -= pending.count

    def note_off(self, count: int) -> None:
        """Count requests that were sent, and want no answer."""
        self.sent += count
        self.off += count

    def abandon(self, request_id: int) -> bool:
        """Nobody waits for this one any more; whether it is still on its way."""
        pending = self.get(request_id)
        if pending is None:
            return False
        pending.future = None
        return True

    def complete(
        self, request_id: int, pending: Pending, value: Any, error: Exception | None
    ) -> None:
        """End a request with its answer; once more, if that was interrupted."""
        failed = 0 if error is None else pending.count
        if pending.is_batch and error is None:
            failed = pending.failed_among(value)
        if request_id in self:
            del self[request_id]
            self.answered += pending.count - failed
            self.failed += failed
        # The claims that went ahead of it have been seen to.
        lease = pending.holding
        if lease is not None and lease.token:
            lease.token = ""
        if pending.outgoing.leases is not None:
            for lease in pending.outgoing.leases:
                lease.token = ""
        if pending.outgoing.grants is not None:
            self.handed.add(pending.outgoing.grants)
        pending.complete(value, error)

    def withdrawn(self, request_id: int) -> None:
        """End a request that the server has not begun with."""
        self._fail(request_id, ServerDisconnected("withdrawn"))

    def fail_all(self, error: ServerDisconnected) -> None:
        """End all that have no answer yet: the server is gone."""
        for request_id, pending in list(self.items()):
            if not pending.answered:
                self._fail(request_id, type(error)(*error.args))

    def _fail(self, request_id: int, error: ServerDisconnected) -> None:
        pending = self.get(request_id)
        if pending is not None:
            pending.fail(error)  # first: if that is interrupted, it is found here once more
            if request_id in self:
                self.failed += pending.count
                del self[request_id]
