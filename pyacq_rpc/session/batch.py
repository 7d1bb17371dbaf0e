"""The requests of one batch, of which later ones use what earlier ones have come to."""

from __future__ import annotations

from typing import Any

from ..errors import ProtocolError, ReferenceReleased
from ..wire.batches import PROMISED
from ..wire.messages import URGENT, Failure
from .dispatch import GIVES_ITEMS, Dispatcher, References
from .feed import Taker

__all__ = ["BatchDispatcher", "EarlierFailure"]

_NOT_IN_A_BATCH = {"batch", *GIVES_ITEMS, *URGENT}


class EarlierFailure(Exception):
    """What a request needs has failed; so it fails likewise.

    Attributes
    ----------
    failure : Failure
        Of the earlier request.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Results:
    """What the requests have come to, beside the references that peers hold."""

    def __init__(self, table: References) -> None:
        self._table = table
        self.found: dict[int, object] = {}
        self.failed: dict[int, Failure] = {}

    def get(self, ref: str, peer: str) -> object:
        if not ref.startswith(PROMISED):
            return self._table.get(ref, peer)
        try:
            number = int(ref[len(PROMISED) :])
            failure = self.failed.get(number)
            if failure is None:
                return self.found[number]
        except (ValueError, KeyError):
            raise ReferenceReleased(
                f"{ref!r:.40} is the result of no earlier request of this batch"
            ) from None
        raise EarlierFailure(failure)

    def revoke(self, ref: str, peer: str) -> None:
        self._table.revoke(ref, peer)


class BatchDispatcher(Dispatcher):
    """Carries out the requests of one batch, which is all that knows their results.

    Those are what they are, also where their answer is a copy. They are let go of with
    this object.

    Parameters
    ----------
    whole : Dispatcher
        Of the server.

    Attributes
    ----------
    request_id : int
        Of the request that is carried out next; to be set before each.
    index, count : int
        How many come before that in the batch, and how many there are.
    """

    def __init__(self, whole: Dispatcher) -> None:
        results = _Results(whole._table)
        super().__init__(results, whole._policy, whole._owner)
        self.names = whole.names
        self.look_up = whole.look_up
        self.request_id = 0
        self.index = self.count = 0
        self._results = results

    def run(
        self, action: str, options: dict[str, Any], peer: str, taker: Taker | None = None
    ) -> object:
        """Carry out one request, and keep its result; see `Dispatcher.run`."""
        if action in _NOT_IN_A_BATCH:
            raise ProtocolError(f"a request with the action {action!r} cannot be part of a batch")
        result = super().run(action, options, peer, taker)
        self._results.found[self.request_id] = result
        return result

    def knows(self, request_id: int) -> bool:
        """Whether a request by this id has been carried out, or has failed."""
        return request_id in self._results.found or request_id in self._results.failed

    def has_failed(self, failure: Failure) -> None:
        """Note that a request has failed: those that use its result will, too."""
        if failure.id is not None:
            self._results.found.pop(failure.id, None)
            self._results.failed[failure.id] = failure

    def _name_of(self, ref: str) -> str | None:
        try:
            return super()._name_of(ref)
        except EarlierFailure:  # there is no such object
            return None
