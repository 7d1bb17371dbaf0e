"""One request to one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import LimitExceeded, RPCError
from ..late_logging import getLogger
from ..limits import LEAST_MESSAGE
from ..session.dispatch import UserError
from ..session.remote_errors import describe, failure_of_error
from ..wire.messages import Failure, Request, Result, make
from .connection import Connection
from .exchange import Outgoing, refuse
from .sizes import too_large

if TYPE_CHECKING:
    from .server import ServerCore

__all__ = ["answer_urgent", "failure_of", "run_request", "told"]

_log = getLogger(__name__)


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
    frames = None
    failed: BaseException | None = None
    running = server.doing
    outer, since, waits = running.request, running.since, running.waits
    running.request, running.since, running.waits = request, server.listener.looked, 0
    try:
        frames = _frames_of_result(server, connection, request, outgoing)
        running.request, running.since, running.waits = outer, since, waits
    except BaseException as error:  # noqa: BLE001  # user code may raise anything
        running.request, running.since, running.waits = outer, since, waits
        failed = error
    interrupted = running.wanted is request
    if interrupted:
        # No function may be called before the exception is expected: it may come there.
        try:  # noqa: SIM105
            running.settle(request)
        except KeyboardInterrupt:
            pass
        running.settled(request)
    interrupt: KeyboardInterrupt | None = None
    if failed is not None:
        outgoing.undo()
        raised = failed.error if isinstance(failed, UserError) else failed
        if isinstance(raised, KeyboardInterrupt) and not interrupted:
            interrupt = raised
        failure = failure_of(request.id, failed)
        if request.reply != "off":
            frames = connection.codec.encode(told(server, failure), refuse)
        elif interrupt is None and not (isinstance(raised, SystemExit) and not server.running()):
            _log.error("%r: a call that wanted no answer failed:\n%s", server, failure.traceback)
        # Its traceback holds this frame, which would hold the exception: a cycle.
        del raised
        failed = None
    del request
    if frames is not None and server.listener.send(connection, frames):
        connection.handed.extend(outgoing.grants or ())
    elif frames is not None:
        outgoing.undo()
    if interrupt is not None:
        raise interrupt


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
    server: ServerCore, connection: Connection, request: Request, outgoing: Outgoing
) -> list[Any] | None:
    result = server.dispatcher.run(request.action, request.options, connection.peer)
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


def failure_of(request_id: int, error: BaseException) -> Failure:
    """Describe why a request has failed: the user's code, or what we say."""
    if isinstance(error, UserError):
        return describe(request_id, error.error)
    if isinstance(error, RPCError):
        return failure_of_error(request_id, error)
    return describe(request_id, error)


def told(server: ServerCore, failure: Failure) -> Failure:
    """Return what a client is told of a failure; what it is not told goes to the log."""
    if not failure.traceback or server.policy.tracebacks:
        return failure
    _log.warning("%r: a call failed:\n%s", server, failure.traceback)
    return failure._replace(traceback="")
