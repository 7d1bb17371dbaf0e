"""How a server is, as its clients see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import CallTimeout, ServerDisconnected
from ..transport.greeting import greets

if TYPE_CHECKING:
    from .conversation import Conversation
    from .future import Answerer

__all__ = ["Status", "ask_status"]


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
    if conversation.channel.closed:
        return Status("dead")
    future = conversation.ask_urgently("status", answerer)
    try:
        found = future.result(timeout)
    except ServerDisconnected:
        return Status("dead")
    except CallTimeout:
        conversation.abandon(future.request_id)
        if conversation.address.startswith("inproc:"):
            return Status("busy")  # in this very process
        greeted = greets(conversation.address, timeout)
        if greeted is None:
            return Status("dead")
        return Status("busy" if greeted else "unresponsive")
    state = "alive" if found["doing"] is None else "busy"
    return Status(state, found["doing"], found["seconds"])
