"""How a server is, at one moment: what ``pyacq-rpc ls`` and ``top`` show of each."""

from __future__ import annotations

import time
from typing import NamedTuple

from pyacq_rpc import AuthenticationError, CallTimeout, RPCClient, RPCError, ServerDisconnected

from ..transport.greeting import greets
from .reaching import client_at

__all__ = ["Probe", "probe"]

_PINGS = 3
"""The fastest counts: others have waited for something else."""


class Probe(NamedTuple):
    """How a server is.

    Attributes
    ----------
    state : str
        That of `pyacq_rpc.Status`, or ``'refused'`` if it does not admit this user.
    doing : str or None
        What a busy one is carrying out, if it can tell.
    seconds : float or None
        For how long.
    latency : float or None
        Seconds from a ping to its answer, if it is not busy.
    names : list of str or None
        What it publishes, if it can tell.
    requests : int or None
        That it has carried out, if it can tell.
    """

    state: str
    doing: str | None = None
    seconds: float | None = None
    latency: float | None = None
    names: list[str] | None = None
    requests: int | None = None


def probe(address: str, timeout: float, server_id: str | None = None) -> Probe:
    """Ask a server how it is.

    Parameters
    ----------
    address : str
    timeout : float
        Seconds to wait for each answer.
    server_id : str, optional
        The incarnation that is meant; another one at the address does not count.

    Raises
    ------
    CommandError
        If the user has no key that can be used.

    Examples
    --------
    >>> server = start_background("example")
    >>> server["answer"] = 42
    >>> probe(server.address, 5.0).names
    ['answer']
    """
    client = client_at(address)
    try:
        if client.server_id is None:  # it would be waited for, though nobody may be there
            greeted = greets(address, timeout)
            if not greeted:
                return Probe("dead" if greeted is None else "unresponsive")
        status = client.status(timeout)
        if status.state == "dead":
            if isinstance(client.channel.gone, AuthenticationError):
                return Probe("refused")
            # A frozen one is taken for dead after some seconds, but may go on.
            return Probe("unresponsive" if greets(address, timeout) is False else "dead")
        if server_id is not None and client.server_id not in (None, server_id):
            return Probe("dead")
        latency = None
        if status.state == "alive":
            try:
                latency = _latency(client, timeout)
            except CallTimeout:  # something else has begun just before
                status = client.status(timeout)
        if client.server_id is None or (latency is None and status.doing is None):
            return Probe(*status)  # it would not answer
        stats = client.server_stats(timeout)
        return Probe(*status, latency, client.keys(timeout), stats.done + stats.failed)
    except ServerDisconnected:
        return Probe("dead")
    except CallTimeout:
        return Probe("busy")
    except RPCError:  # its policy does not let it tell
        return Probe("alive")


def _latency(client: RPCClient, timeout: float) -> float:
    took = []
    for _ in range(_PINGS):
        began = time.perf_counter()
        client.ping(timeout=timeout)
        took.append(time.perf_counter() - began)
    return min(took)
