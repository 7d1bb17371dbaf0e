"""One request to one answer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import LimitExceeded, RPCError
from ..late_logging import getLogger
from ..limits import LEAST_MESSAGE
from ..session.batch import EarlierFailure
from ..session.dispatch import GIVES_ITEMS, Dispatcher, UserError
from ..session.feed import IsBusy
from ..session.remote_errors import describe, failure_of_error
from ..wire.messages import MOST_DEPTH, URGENT, Failure, Request, Result, make
from .chunking import Chunk, send_answer
from .connection import Connection
from .exchange import Outgoing, refuse
from .sizes import too_large

if TYPE_CHECKING:
    from .hooks import HookedCall
    from .server import ServerCore

__all__ = ["answer_late", "answer_urgent", "carry_out", "failure_of", "run_request", "told"]

_log = getLogger(__name__)

_NO_CALLS = URGENT | {"batch"}
"""Actions that are neither counted nor told to hooks; the requests of a batch are."""


def run_request(server: ServerCore, connection: Connection, handed: list[Request]) -> None:
    """Carry out a request, and send the client its answer.

    Parameters
    ----------
    server : ServerCore
    connection : Connection
        The client.
    handed : list of Request
        The request. It is taken from there, so that nobody holds its arguments
        any more when the answer goes: their memory goes back along with it.

    Raises
    ------
    KeyboardInterrupt
        If there was one; the client has been told all the same.
    """
    request = handed.pop()
    outgoing = Outgoing(server.runtime, server.state(), None, connection.peer, None)
    chunk = None
    if request.action in GIVES_ITEMS and request.reply in ("auto", "proxy", "value"):
        chunk = Chunk(server, connection, request, outgoing)
    since = server.listener.looked
    frames, failure, interrupt = carry_out(
        server, server.dispatcher, connection, request, outgoing, since, chunk
    )
    if failure is not None and request.reply != "off":
        frames = connection.codec.encode(failure, refuse)
    del request
    if frames is not None:
        send_answer(server, connection, frames, outgoing)
    if chunk is not None:
        if server.listener.unread:
            server.look_again()  # before what may take long
        server.prompter.do_deferred()
    if interrupt is not None:
        raise interrupt


def carry_out(
    server: ServerCore,
    dispatcher: Dispatcher,
    connection: Connection,
    request: Request,
    outgoing: Outgoing,
    since: float,
    chunk: Chunk | None = None,
) -> tuple[list[Any] | None, Failure | None, KeyboardInterrupt | None]:
    """Do what a request asks for, and return what the client is to be told.

    Parameters
    ----------
    server : ServerCore
    dispatcher : Dispatcher
        The server's, or that of a batch.
    connection : Connection
        The client.
    request : Request
    outgoing : Outgoing
        Of the answer.
    since : float
        What time it is, to about a millisecond.
    chunk : Chunk, optional
        Takes the items, where the answer has some.

    Returns
    -------
    list or None
        The answer, if the request has been done and wants one that has not gone early.
    Failure or None
        Why it has failed; what its answer would have given out has been taken back.
    KeyboardInterrupt or None
        What has ended it, if that was not meant for this request alone.
    """
    frames: list[Any] | None = None
    interrupt: KeyboardInterrupt | None = None
    failed: BaseException | None = None
    hooked: HookedCall | None = None
    is_call = request.action not in _NO_CALLS
    goes_on = False  # as a task, which ends it
    running, counts = server.doing, server.counts
    outer, outer_since, waits = running.request, running.since, running.waits
    outer_peer, further_out, outer_depth = running.peer, running.outer, running.depth
    depth = request.depth + (request.depth < MOST_DEPTH)
    if dispatcher is not server.dispatcher and depth < outer_depth:
        depth = outer_depth  # the requests of a batch do not tell it again
    counts.in_flight += is_call
    running.request, running.since, running.waits = request, since, 0
    running.peer = connection.peer
    running.depth = depth
    if outer is not None:
        running.outer = (*further_out, (outer, outer_peer))
    try:
        if running.leaving:
            raise SystemExit
        if is_call and server.runtime.incoming_hooks:
            from .hooks import incoming  # only where there are some

            hooked = incoming(server, dispatcher, connection, request)
            hooked.begin(server.runtime.incoming_hooks)
        if chunk is not None:
            rest: Any = dispatcher.run(request.action, request.options, connection.peer, chunk)
            frames = chunk.finish(rest) if chunk.close() else None
        else:
            result = dispatcher.run(request.action, request.options, connection.peer)
            if request.action == "batch":
                from .answering_batch import answer_batch  # most servers never need it

                result, interrupt = answer_batch(server, connection, request, result, outgoing)
            elif server.tasks is not None:
                if dispatcher is not server.dispatcher:
                    server.tasks.refuse(result)
                ended = partial(_ended_late, server, hooked)
                goes_on = server.tasks.begin(connection, request, result, ended)
            if not goes_on:
                frames = _frames_of_result(server, connection, request, result, outgoing)
        running.request, running.since, running.waits = outer, outer_since, waits
        running.peer, running.outer, running.depth = outer_peer, further_out, outer_depth
    except BaseException as error:  # noqa: BLE001  # user code may raise anything
        running.request, running.since, running.waits = outer, outer_since, waits
        running.peer, running.outer, running.depth = outer_peer, further_out, outer_depth
        failed = error
    counts.in_flight -= is_call and not goes_on
    interrupted = running.wanted is request
    if interrupted:
        # No function may be called before the exception is expected: it may come there.
        try:  # noqa: SIM105
            running.settle(request)
        except KeyboardInterrupt:
            pass
        running.settled(request)
    is_due = chunk is None or chunk.close()
    is_deferred = False
    if isinstance(failed, IsBusy):
        again = partial(run_request, server, connection, [request])
        failed = server.prompter.defer(failed.feed, again)
        is_deferred = failed is None
    raised = failed.error if isinstance(failed, UserError) else failed
    if is_call and not (is_deferred or goes_on):
        counts.ended(failed)
    if hooked is not None and not goes_on:
        try:
            hooked.end(raised)
        except KeyboardInterrupt as error:  # the client is told of its answer all the same
            interrupt = error
    failure: Failure | None = None
    if failed is not None:
        if isinstance(raised, KeyboardInterrupt) and not interrupted:
            interrupt = raised
        if is_due:
            outgoing.undo()
            failure = _failure_to_tell(server, request, failed, interrupt)
        # Its traceback holds this frame, which would hold the exception: a cycle.
        raised = failed = None
    return (frames if is_due else None), failure, interrupt


def _ended_late(server: ServerCore, hooked: HookedCall | None, error: BaseException | None) -> None:
    """Note that a call has ended which went on after its turn."""
    server.counts.in_flight -= 1
    server.counts.ended(error)
    if hooked is not None:
        hooked.end(error)


def answer_late(
    server: ServerCore,
    connection: Connection,
    request: Request,
    result: object,
    failed: BaseException | None,
    ended: Callable[[BaseException | None], object],
) -> None:
    """Send the answer to a request that was still being carried out when its turn was over.

    Parameters
    ----------
    server : ServerCore
    connection : Connection
        The client.
    request : Request
    result : object
    failed : BaseException or None
        What came instead.
    ended : callable
        Called before, with what the call has raised, or None.

    Raises
    ------
    KeyboardInterrupt
        If there was one in a hook; the client has been told all the same.
    """
    outgoing = Outgoing(server.runtime, server.state(), None, connection.peer, None)
    frames = None
    if failed is None:
        try:
            frames = _frames_of_result(server, connection, request, result, outgoing)
        except Exception as error:  # noqa: BLE001  # what encodes a value may be the user's
            failed = error
    try:
        ended(failed.error if isinstance(failed, UserError) else failed)
    finally:
        if failed is not None:
            outgoing.undo()
            failure = _failure_to_tell(server, request, failed, None)
            if request.reply != "off":
                frames = connection.codec.encode(failure, refuse)
            failed = None  # see `carry_out`
        if frames is not None:
            send_answer(server, connection, frames, outgoing)


def answer_urgent(server: ServerCore, connection: Connection, request: Request) -> None:
    """Answer a request that may come while another is being carried out, from any thread."""
    answer: Result | Failure
    try:
        result = server.dispatcher.run(request.action, request.options, connection.peer)
        answer = Result(request.id, result)
    except Exception as error:  # noqa: BLE001  # the policy may be the user's
        answer = told(server, failure_of(request.id, error))
    if request.reply != "off":
        server.listener.tell(connection, answer)


def _frames_of_result(
    server: ServerCore,
    connection: Connection,
    request: Request,
    result: object,
    outgoing: Outgoing,
) -> list[Any] | None:
    reply = request.reply
    if reply == "off":
        return None
    if reply == "ack":
        result = None
    elif reply == "proxy":
        result = outgoing.refer(result)
    refer = refuse if reply == "value" else outgoing.refer
    frames = connection.codec.encode(make(Result, (request.id, result)), refer)
    if len(frames) > 1 or len(frames[0]) > LEAST_MESSAGE:
        too_much = too_large(frames, server.limits)
        if too_much:
            raise LimitExceeded(f"the result {too_much}; what was asked for has been done")
    return frames


def _failure_to_tell(
    server: ServerCore,
    request: Request,
    failed: BaseException,
    interrupt: KeyboardInterrupt | None,
) -> Failure:
    """Return what the client is told; if it wants no answer, it goes to the log."""
    failure = failure_of(request.id, failed)
    if request.reply != "off":
        return told(server, failure)
    raised = failed.error if isinstance(failed, UserError) else failed
    is_over = server.doing.leaving or not server.running()
    ends = isinstance(raised, SystemExit) and is_over
    if interrupt is None and not ends:
        _log.error("%r: a call that wanted no answer failed:\n%s", server, failure.traceback)
    return failure


def failure_of(request_id: int, error: BaseException) -> Failure:
    """Describe why a request has failed: the user's code, or what we say."""
    if isinstance(error, UserError):
        if error.failure is not None:
            return error.failure._replace(id=request_id)
        return describe(request_id, error.error)
    if isinstance(error, RPCError):
        return failure_of_error(request_id, error)
    if isinstance(error, EarlierFailure):
        return error.failure._replace(id=request_id)
    return describe(request_id, error)


def told(server: ServerCore, failure: Failure) -> Failure:
    """Return what a client is told of a failure; what it is not told goes to the log."""
    if not failure.traceback or server.policy.tracebacks:
        return failure
    _log.warning("%r: a call failed:\n%s", server, failure.traceback)
    return failure._replace(traceback="")
