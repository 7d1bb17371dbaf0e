"""One batch of requests to the answers of all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import LimitExceeded, ProtocolError, RPCError
from ..late_logging import getLogger
from ..session.batch import BatchDispatcher
from ..session.remote_errors import describe, failure_of_error
from ..wire.batches import PROMISED, cost_of, pack_frames, unpack_frames
from ..wire.messages import Failure, Reference, Request, Target, make
from ..wire.values import Undecodable
from .answering import carry_out, failure_of, told
from .connection import Connection
from .exchange import Outgoing, refuse, resolve

if TYPE_CHECKING:
    from .server import ServerCore

__all__ = ["BatchRequest", "answer_batch"]

_log = getLogger(__name__)

_ENVELOPE = 256
"""Bytes that are kept free for what is around the answers."""


class BatchRequest(Request):
    """A request that came in a batch, whose dispatcher knows what it is about."""

    batch_id: int
    dispatcher: BatchDispatcher


def answer_batch(
    server: ServerCore,
    connection: Connection,
    request: Request,
    dispatcher: Any,
    outgoing: Outgoing,
) -> tuple[list[Any], KeyboardInterrupt | None]:
    """Carry out the requests of a batch, and return their answers.

    Parameters
    ----------
    server : ServerCore
    connection : Connection
        The client.
    request : Request
        The batch.
    dispatcher : BatchDispatcher
        What carries it out.
    outgoing : Outgoing
        Of the answer to the whole.

    Returns
    -------
    list
        For each request, its packed answer, or None; the last are missing if there is
        no room for them.
    KeyboardInterrupt or None
        What has ended the batch, if it was not meant for that alone.

    Raises
    ------
    RPCError
        If it cannot be begun with: nothing of it has been done, or even read.
    """
    requests = request.options["requests"]
    unread = request.options["unread"]
    if not all(type(request_id) is int for request_id in unread):
        raise ProtocolError("what is unread of a batch are the ids of requests, integers")
    if request.reply in ("proxy", "ack"):
        raise ProtocolError(f"a batch is answered by value, or not at all; not {request.reply!r}")
    if len(requests) > server.limits.requests:
        raise LimitExceeded(
            f"a batch has {len(requests)} requests, and the server takes {server.limits.requests}"
            " at most; send several batches (to raise the limit, start the server with"
            " limits=Limits(requests=...))"
        )
    batch = _Batch(server, connection, request, dispatcher, outgoing)
    interrupt = None
    index, count = 0, len(requests)
    while True:
        try:
            while True:
                if index == count:
                    return batch.answers(), interrupt
                interrupt = batch.run(index) or interrupt
                index += 1
        except KeyboardInterrupt as error:  # between two requests
            if index < count:
                batch.was_interrupted(index, error)
                index += 1


class _Batch:
    """One batch while it is carried out."""

    def __init__(
        self,
        server: ServerCore,
        connection: Connection,
        request: Request,
        dispatcher: BatchDispatcher,
        outgoing: Outgoing,
    ) -> None:
        self._server = server
        self._connection = connection
        self._request = request
        self._requests: list[Any] = request.options["requests"]
        self._unread = frozenset(request.options["unread"])
        self._is_answered = request.reply != "off"
        self._dispatcher = dispatcher
        dispatcher.count = len(self._requests)
        self._whole = outgoing
        self._outgoing = self._new_outgoing()
        self._answers: list[Any] = [None] * len(self._requests)
        self._ended: Failure | None = None
        self._room = server.limits.message - _ENVELOPE - len(self._requests)
        self._frames = server.limits.frames - 1
        self._full_at: int | None = None

    def _new_outgoing(self) -> Outgoing:
        server = self._server
        return Outgoing(server.runtime, server.state(), None, self._connection.peer, None)

    def answers(self) -> list[Any]:
        """Return the answers, as far as there was room."""
        return self._answers if self._full_at is None else self._answers[: self._full_at]

    def run(self, index: int) -> KeyboardInterrupt | None:
        """Carry out one request; return what has ended the batch, if anybody else is to know."""
        server, connection, dispatcher = self._server, self._connection, self._dispatcher
        packed, self._requests[index] = self._requests[index], None
        request = self._read(packed, index)
        del packed
        if request is None:
            return None
        outgoing = self._outgoing = self._new_outgoing()
        frames, failure, interrupt = carry_out(
            server, dispatcher, connection, request, outgoing, time.monotonic()
        )
        if failure is not None:
            self._failed(index, failure, request.reply)
        elif frames is not None:
            self._answer(index, request.id, frames)
        if server.doing.wanted is self._request:
            interrupt = None  # it was meant for the batch, though it came within one of these
        return interrupt

    def was_interrupted(self, index: int, error: KeyboardInterrupt) -> None:
        """End the batch: what is left is only read, for the references that are in it."""
        self._outgoing.undo()
        self._answers[index] = None
        self._failed(index, told(self._server, describe(None, error)), "auto")

    def _read(self, packed: Any, index: int) -> BatchRequest | None:
        """Return the next request, or None if its answer is clear already."""
        try:
            frames = unpack_frames(packed)
            message = self._connection.codec.decode(frames, self._resolve)
            if type(message) is not Request:
                raise ProtocolError(f"{type(message).__name__} cannot be part of a batch")
            if self._dispatcher.knows(message.id):
                raise ProtocolError(f"a batch has two requests with the id {message.id}")
        except Undecodable as undecodable:
            partial = undecodable.partial
            if type(partial) is Request:
                failure = told(self._server, failure_of(partial.id, undecodable.error))
                self._unreadable(index, failure, partial.reply)
            else:
                self._unreadable(index, failure_of_error(None, undecodable), "auto")
            return None
        except RPCError as error:
            request_id = getattr(error, "request_id", None)
            self._unreadable(index, failure_of_error(request_id, error), "auto")
            return None
        if self._ended is not None:
            self._failed(index, self._ended._replace(id=message.id), message.reply)
            return None
        self._dispatcher.request_id = message.id
        self._dispatcher.index = index
        if not self._is_answered:
            message = message._replace(reply="off")
        elif message.id in self._unread and message.reply != "off":
            message = message._replace(reply="ack")
        request: BatchRequest = make(BatchRequest, message)
        request.dispatcher = self._dispatcher
        request.batch_id = self._request.id
        return request

    def _unreadable(self, index: int, failure: Failure, reply: str) -> None:
        """A request cannot even be begun with; nor could it otherwise if the batch has ended."""
        if self._ended is not None:
            failure = self._ended._replace(id=failure.id)
        self._failed(index, failure, reply)
        if reply == "off" or not self._is_answered:
            _log.error(
                "%r: a request of a batch that wanted no answer failed: %s",
                self._server,
                failure.message,
            )

    def _resolve(self, reference: Reference) -> object:
        if reference.ref.startswith(PROMISED):
            return self._dispatcher.take_back(Target(reference.ref, reference.attributes))
        server, connection = self._server, self._connection
        return resolve(server.runtime, server, None, connection.peer, connection.host, reference)

    def _failed(self, index: int, failure: Failure, reply: str) -> None:
        self._dispatcher.has_failed(failure)
        if self._ended is None and "KeyboardInterrupt" in failure.bases:
            self._ended = failure
        if reply != "off" and self._is_answered:
            self._put(index, self._connection.codec.encode(failure, refuse), None)

    def _answer(self, index: int, request_id: int, frames: list[Any]) -> None:
        if request_id in self._unread:
            return  # None says that it has been done
        if self._put(index, frames, self._outgoing):
            return
        self._outgoing.undo()
        error = LimitExceeded(
            "the answers to this batch are larger in all than what the server sends in a"
            " message; what was asked for has been done (to raise the limit, start the server"
            " with limits=Limits(message=...))"
        )
        self._failed(index, failure_of_error(request_id, error), "auto")

    def _put(self, index: int, frames: list[Any], outgoing: Outgoing | None) -> bool:
        """Add an answer, if there is room; what has been left out is the end of the list."""
        codec = self._connection.codec
        packed, used = pack_frames(frames, self._frames)
        cost = cost_of(packed, codec.name)
        if self._full_at is None and cost <= self._room:
            self._room -= cost
            self._frames -= used
            self._answers[index] = packed
            if outgoing is not None:
                self._whole.absorb(outgoing)
            return True
        if outgoing is None and self._full_at is None:
            self._full_at = index
        return False
