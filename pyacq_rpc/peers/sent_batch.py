"""A batch on its way, and what is done with the answers."""

from __future__ import annotations

from concurrent.futures import InvalidStateError
from typing import Any

from ..errors import AccessDenied, LimitExceeded, ProtocolError, RemoteCallException, RPCError
from ..late_logging import getLogger
from ..session.remote_errors import rebuild
from ..wire.batches import unpack_frames
from ..wire.codecs import Codec
from ..wire.messages import Failure, Result
from ..wire.values import Resolve, Undecodable
from .exchange import Outgoing
from .future import Future
from .pending import Pending
from .queued_request import QueuedRequest

__all__ = ["SentBatch"]

_log = getLogger(__name__)

_REFUSALS = (AccessDenied, LimitExceeded, ProtocolError)
"""What a server says of a batch that it does not begin with."""


class SentBatch(Pending):
    """One batch on its way; see `Pending`.

    Parameters
    ----------
    requests : list of QueuedRequest
        In the order in which they are carried out.
    outgoing : Outgoing
        What they refer to.

    Attributes
    ----------
    count, off : int
        How many of them want an answer, and how many do not.
    errors : list of Exception
        Of the requests that have no promise, once the answer is here.
    is_sent : bool
        Whether it is on its way.
    """

    __slots__ = ("_requests", "count", "errors", "is_sent", "off")

    is_batch = True

    def __init__(self, requests: list[QueuedRequest], outgoing: Outgoing) -> None:
        super().__init__(None, outgoing, None)
        self._requests = requests
        self.off = sum(request.reply == "off" for request in requests)
        self.count = len(requests) - self.off
        self.errors: list[Exception] = []
        self.is_sent = False

    def unread(self) -> list[int]:
        """Return the ids of the requests whose result need not travel."""
        return [request.number for request in self._requests if request.is_unread()]

    def is_awaited(self) -> bool:
        """Whether somebody has to wait, lest an error be lost."""
        return any(request.is_nobodys() for request in self._requests)

    def read(
        self, value: Any, codec: Codec, resolve: Resolve
    ) -> tuple[list[tuple[Any, Exception | None]] | None, Exception | None]:
        """Return the results and errors that have come, or what is wrong about them all."""
        if type(value) is not list or len(value) > len(self._requests):
            return None, ProtocolError("the answer to a batch is a list of answers")
        return [_read(packed, codec, resolve) for packed in value], None

    def failed_among(self, value: list[tuple[Any, Exception | None]]) -> int:
        """Return how many calls have failed, given what has come of each."""
        left_out = sum(request.reply != "off" for request in self._requests[len(value) :])
        return left_out + sum(error is not None for _, error in value)

    def note_sent(self) -> None:
        """It is on its way, with which what wants no answer has ended."""
        for request in self._requests:
            if request.reply == "off":
                request.end(None)

    def complete(self, value: Any, error: Exception | None) -> None:
        """Give each promise its result; if that was interrupted, once more."""
        if isinstance(error, _REFUSALS):
            self.outgoing.undo()  # nothing of it has been read there
        errors: list[Exception] = []
        for index, request in enumerate(self._requests):
            if error is not None:
                result, failed = None, _copy(error)
            elif index < len(value):
                result, failed = value[index]
            else:
                result, failed = None, _left_out()
            request.end(failed)
            if request.kept is not None:
                _fill(request.kept, result, failed)
            elif failed is not None and request.is_nobodys() and not (error and errors):
                errors.append(failed)
        self.errors = errors
        if self.future is None:
            self._log_errors(errors)
        super().complete(None, None)

    def take_errors(self) -> Exception:
        """Return the first error that nobody would learn of; the others go to the log."""
        first, *others = self.errors
        self.errors = []
        self._log_errors(others)
        return first

    def _log_errors(self, errors: list[Exception]) -> None:
        for error in errors:
            _log.error("a request of a batch failed, and nobody waits for it: %s", error)


def _read(packed: Any, codec: Codec, resolve: Resolve) -> tuple[Any, Exception | None]:
    if packed is None:
        return None, None
    try:
        message = codec.decode(unpack_frames(packed), resolve)
    except Undecodable as undecodable:
        return None, undecodable.error
    except RPCError as error:
        return None, error
    if type(message) is Result:
        return message.value, None
    if type(message) is Failure:
        return None, rebuild(message)
    return None, ProtocolError(f"{type(message).__name__} is no answer to a request")


def _fill(promise: Future[Any], result: Any, error: Exception | None) -> None:
    try:  # there are many of these at a time
        if error is None:
            promise.set_result(result)
        else:
            promise.set_exception(error)
    except InvalidStateError:  # cancelled, or filled before an interrupt
        promise._go_on()


def _copy(error: Exception) -> Exception:
    # Of its own for each, since those who raise it add to its traceback.
    if isinstance(error, RemoteCallException):
        return error
    return type(error)(*error.args)


def _left_out() -> LimitExceeded:
    return LimitExceeded(
        "there was no room for this answer of a batch in the message, not even for that of an"
        " error; what was asked for has been done or has failed (to raise the limit, start the"
        " server with limits=Limits(message=...))"
    )
