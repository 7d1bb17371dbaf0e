"""Counting what a server does, and asking one for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError
from ..session.stats import ServerStats

if TYPE_CHECKING:
    from .conversation import Conversation
    from .future import Answerer
    from .server import ServerCore

__all__ = ["ServerCounts", "ask_stats", "stats_of", "stats_told"]


class ServerCounts:
    """What a server counts, in its own thread.

    Attributes
    ----------
    done, failed, in_flight : int
        See `ServerStats`.
    since : float
        When the server was made, by `time.monotonic`.
    turn_since : float
        When it has begun with the requests that it is seeing to; 0 if there are none.
    busy : float
        Seconds that it was seeing to others before.
    """

    __slots__ = ("busy", "done", "failed", "in_flight", "since", "turn_since")

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.in_flight = 0
        self.since = time.monotonic()
        self.turn_since = 0.0
        self.busy = 0.0

    def ended(self, error: BaseException | None) -> None:
        """Count a call that has been carried out, or has raised."""
        if error is None:
            self.done += 1
        else:
            self.failed += 1


def stats_of(server: ServerCore) -> ServerStats:
    """Return what a server has done, and what it has; from any thread."""
    counts, connections = server.counts, server.listener.connections
    leases, granted = server.table.held_by_others()
    busy, turn_since, now = counts.busy, counts.turn_since, time.monotonic()
    if turn_since:
        busy += now - turn_since
    return ServerStats(
        done=counts.done,
        failed=counts.failed,
        in_flight=counts.in_flight,
        queue=len(server.listener.inbox.items),
        connections=len(connections),
        processes=connections.count_peers(),
        leases=leases,
        granted=granted,
        published=len(server),
        uptime=now - counts.since,
        busy=busy,
    )


def ask_stats(conversation: Conversation, answerer: Answerer, timeout: float | None) -> ServerStats:
    """Ask a server; see `RPCClient.server_stats`."""
    future = conversation.ask_urgently("stats", answerer)
    try:
        found = future.result(timeout)
    except BaseException:
        conversation.abandon(future.request_id)
        raise
    return stats_told(found, answerer)


def stats_told(found: Any, answerer: Answerer) -> ServerStats:
    """Return the statistics that a server has sent.

    Raises
    ------
    ProtocolError
        If they are none.
    """
    try:
        return ServerStats(*(found[name] for name in ServerStats._fields))
    except (TypeError, LookupError):
        raise ProtocolError(
            f"{answerer.whom()} has sent other statistics than are known here: is it another"
            " version?"
        ) from None
