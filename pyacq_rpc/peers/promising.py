"""What may be done with a promise, which depends on how far its batch is."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ..errors import SerializationError
from ..session.holding import Lease
from ..session.proxy import ObjectProxy
from ..wire.batches import PROMISED
from ..wire.messages import Target

if TYPE_CHECKING:
    from .conversation import Conversation
    from .promise import Promise
    from .queued_request import QueuedRequest
    from .thread_state import ThreadState

__all__ = ["Promising"]


class Promising:
    """The part of `Batch` that promises ask what they are.

    Before they are sent they stand for what is to come. After that, and within the same
    block, they stand for the proxies that have come.
    """

    _conversation: Conversation
    _looked_up: dict[int, weakref.ref[Promise[Any]]]
    _over: str | None
    _requests: dict[int, QueuedRequest]
    _thread: ThreadState

    def is_here(self) -> bool:
        """Whether what is asked for just now is asked for by the block itself."""
        raise NotImplementedError

    def fetch(self, promise: Promise[Any]) -> None:
        """Make a request of an attribute that was looked up: it is read where that was."""
        raise NotImplementedError

    def number_of(self, promise: Promise[Any]) -> int | None:
        """Return the request that a promise in an argument is of; None if that has come as a proxy.

        Raises
        ------
        SerializationError
            If it may be no argument here.
        """
        if promise._batch is not self:
            raise SerializationError("a promise of another batch is no argument of this one")
        try:
            self.what_is(promise)
        except RuntimeError as error:
            raise SerializationError(str(error)) from None
        if not self._is_queued(promise):
            return None
        self.fetch(promise)
        return promise.request_id

    def is_usable(self, promise: Promise[Any]) -> bool:
        """Whether a promise can be used like a proxy."""
        try:
            self.what_is(promise)
        except RuntimeError:
            return False
        return True

    def what_is(self, promise: Promise[Any]) -> tuple[Target, Lease | None]:
        """Return what a promise is about, as long as it may be used like a proxy.

        What has come as a proxy to an earlier part of the block is about that.

        Raises
        ------
        RuntimeError
            If it may not: it has been sent, or cancelled, or is used by another thread.
        """
        if promise._was_cancelled():
            raise RuntimeError("this promise was cancelled, and has no result")
        if self._over is None and not (self._thread.is_current() and self.is_here()):
            raise RuntimeError("a promise is used within the block of its batch, by its thread")
        if self._is_queued(promise):
            about = promise._about or Target(f"{PROMISED}{promise.request_id}", [])
            return about, promise._holding
        if self._has_come(promise):
            result = promise.result()
            if isinstance(result, ObjectProxy) and self._is_of_the_server(result):
                return result._target, result._lease
        raise RuntimeError(
            "this promise has been sent, and is a plain future by now: use its .result()"
        )

    def has_value(self, promise: Promise[Any]) -> bool:
        """Whether a promise has come as a value to an earlier part of the block."""
        return self._has_come(promise) and not isinstance(promise.result(), ObjectProxy)

    def _has_come(self, promise: Promise[Any]) -> bool:
        if self._over is not None or promise._was_cancelled() or not promise.done():
            return False
        return promise.exception() is None

    def _is_of_the_server(self, proxy: ObjectProxy) -> bool:
        return proxy._obj_id.partition(".")[0] == self._conversation.answers.server_id

    def _is_queued(self, promise: Promise[Any]) -> bool:
        return promise.request_id in self._requests or promise.request_id in self._looked_up

    def check_sent(self, promise: Promise[Any]) -> None:
        """See to it that it makes sense to wait for a promise.

        Raises
        ------
        RuntimeError
            If it does not.
        """
        if self._is_queued(promise):
            raise RuntimeError(
                "this promise is part of a batch that has not been sent yet, so waiting for it"
                " would never end; ask for its result after the block"
            )
