"""How a server is, as its clients see it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import CallTimeout, ServerDisconnected
from ..transport.greeting import greets

if TYPE_CHECKING:
    from .conversation import Conversation
    from .future import Answerer

__all__ = ["Status", "ask_status", "ask_statuses", "status_of", "status_of_silent"]


class Status(NamedTuple):
    """How a server is.

    Attributes
    ----------
    state : {'alive', 'busy', 'unresponsive', 'dead'}
        ``'alive'``: it is carrying out nothing. ``'busy'``: it is carrying out a
        request. ``'unresponsive'``: it gives no sign of life, because it was
        frozen or the network is cut; if it remains so, it counts as dead after
        some seconds. ``'dead'``: it has closed or died, or nobody listens there.
    doing : str or None
        What a busy server is carrying out, such as ``'camera.expose'``; None if
        it cannot tell, since it does not let go of the interpreter.
    seconds : float or None
        For which it has been doing that.
    """

    state: str
    doing: str | None = None
    seconds: float | None = None


def ask_status(conversation: Conversation, answerer: Answerer, timeout: float) -> Status:
    """Find out how a server is; see `RPCClient.status`."""
    return ask_statuses([(conversation, answerer)], timeout)[0]


def ask_statuses(whom: Sequence[tuple[Conversation, Answerer]], timeout: float) -> list[Status]:
    """Find out how several servers are, in the time that one of them takes.

    Parameters
    ----------
    whom : sequence of (Conversation, Answerer)
    timeout : float
        As of `RPCClient.status`.
    """
    asked = [
        None if conversation.channel.closed else conversation.ask_urgently("status", answerer)
        for conversation, answerer in whom
    ]
    deadline = time.monotonic() + timeout
    found: dict[int, Status] = {}
    silent = []
    for number, future in enumerate(asked):
        if future is None:
            found[number] = Status("dead")
            continue
        try:
            found[number] = status_of(future.result(max(0.0, deadline - time.monotonic())))
        except ServerDisconnected:
            found[number] = Status("dead")
        except CallTimeout:
            whom[number][0].abandon(future.request_id)
            silent.append(number)
    addresses = [whom[number][0].address for number in silent]
    found.update(zip(silent, _greeted(addresses, timeout)))
    return [found[number] for number in range(len(whom))]


def _greeted(addresses: list[str], timeout: float) -> list[Status]:
    """Tell by their greeting how servers are that do not answer."""
    if len(addresses) < 2:
        return [status_of_silent(address, timeout) for address in addresses]
    from concurrent.futures import ThreadPoolExecutor  # here: it takes long to import

    with ThreadPoolExecutor(len(addresses)) as pool:
        return list(pool.map(status_of_silent, addresses, [timeout] * len(addresses)))


def status_of(found: dict[str, Any]) -> Status:
    """Return the status of a server that has answered this."""
    state = "alive" if found["doing"] is None else "busy"
    return Status(state, found["doing"], found["seconds"])


def status_of_silent(address: str, timeout: float) -> Status:
    """Return the status of a server that has not answered; waits so long for a sign of life."""
    if address.startswith("inproc:"):
        return Status("busy")  # in this very process
    greeted = greets(address, timeout)
    if greeted is None:
        return Status("dead")
    return Status("busy" if greeted else "unresponsive")
