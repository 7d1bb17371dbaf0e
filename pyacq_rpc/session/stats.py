"""What clients and servers have counted."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["ClientStats", "ServerStats"]


# No dataclasses: importing those takes longer than a node takes to listen.
class ClientStats(NamedTuple):
    """What a client has sent and got since it was made, or has reconnected.

    Each request that was sent is one of `answered`, `failed`, `off` and `in_flight`.

    Attributes
    ----------
    sent : int
        Requests, in whichever way their answers are waited for.
    answered : int
        Those that got a result.
    failed : int
        Those that got an error instead; or never any answer, since they were withdrawn or the
        server is gone.
    off : int
        Those that wanted no answer.
    in_flight : int
        Those whose answers are to come.
    timed_out : int
        Waits that were given up. The answer may have come later, and is counted then.
    leases : int
        References to objects of the server that came over this connection and are held.
    bytes_sent : int
        Of requests, in bytes.
    bytes_received : int
        Of all messages of the server, in bytes.
    connected_since : float or None
        When the server has answered for the first time, in seconds since 1970; None if it has
        not yet.
    road : {'direct', 'zmq'} or None
        What requests go over: a socket of this host, from thread to thread, or ZeroMQ. None as
        long as the server has not answered.
    """

    sent: int
    answered: int
    failed: int
    off: int
    in_flight: int
    timed_out: int
    leases: int
    bytes_sent: int
    bytes_received: int
    connected_since: float | None
    road: str | None


class ServerStats(NamedTuple):
    """What a server has done since it was made, and what it has now.

    Urgent requests, for the status and for these numbers, are not counted.

    Attributes
    ----------
    done : int
        Requests that were carried out, and whose results were sent if they were wanted.
    failed : int
        Requests that have raised something, or were refused by the policy.
    in_flight : int
        Requests that are being carried out: more than one if one waits for another server, and
        others are seen to meanwhile; or if some go on as tasks of an event loop.
    queue : int
        Messages that have come and wait for their turn, as far as they were read: a server
        that is busy does not read the direct road.
    connections : int
        Clients that are connected: one for each thread that uses the server.
    processes : int
        Processes that those belong to.
    leases : int
        References to objects of this server that other processes hold.
    granted : int
        References that were handed on and not taken up yet.
    published : int
        Names under which something is published.
    uptime : float
        Seconds since the server was made.
    busy : float
        Seconds of those in which it was seeing to requests, their waits included; but not those
        of what goes on as a task.
    """

    done: int
    failed: int
    in_flight: int
    queue: int
    connections: int
    processes: int
    leases: int
    granted: int
    published: int
    uptime: float
    busy: float
