"""All servers of this user on this host, asked at the same time."""

from __future__ import annotations

import collections
import threading
from typing import Any, NamedTuple

from pyacq_rpc.transport.listed import ListedServer
from pyacq_rpc.transport.waiting import SLICE

from .failing import CommandError
from .probing import Probe, probe
from .programs import program_of
from .reaching import all_listed

__all__ = ["ServerRow", "survey"]

_AT_A_TIME = 32
"""Servers that are asked at the same time: a frozen one takes seconds."""


class ServerRow(NamedTuple):
    """A listed server, and how it is.

    Attributes
    ----------
    listed : ListedServer
    probe : Probe
    program : str
        What runs in its process.
    """

    listed: ListedServer
    probe: Probe
    program: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        listed, found = self.listed, self.probe
        return {
            "name": listed.name,
            "address": listed.address,
            "pid": listed.pid,
            "program": self.program,
            "since": listed.since,
            "state": found.state,
            "doing": found.doing,
            "seconds": found.seconds,
            "published": found.names,
        }


def survey(timeout: float) -> list[ServerRow]:
    """Ask all listed servers how they are, and leave out those that have gone.

    Parameters
    ----------
    timeout : float
        Seconds to wait for each answer.

    Raises
    ------
    CommandError
        If the list is not to be trusted, or the user has no key that can be used.
    """
    listed = all_listed()
    if not listed:
        return []
    probes = _probe_all(listed, timeout)
    rows = [ServerRow(it, found, program_of(it.pid)) for it, found in zip(listed, probes)]
    return [row for row in rows if row.probe.state != "dead"]


def _probe_all(listed: list[ListedServer], timeout: float) -> list[Probe]:
    """Probe servers in threads that nothing waits for after Ctrl-C, as it would for a pool's."""
    todo = collections.deque(enumerate(listed))
    found: dict[int, Probe] = {}
    failed: list[CommandError] = []

    def work() -> None:
        while todo and not failed:
            try:
                number, server = todo.popleft()
            except IndexError:  # another thread took the last one
                return
            try:
                found[number] = probe(server.address, timeout, server.server_id)
            except CommandError as error:
                failed.append(error)

    count = min(_AT_A_TIME, len(listed))
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(SLICE)  # for ever, it might miss a Ctrl-C that comes just before
    if failed:
        raise failed[0]
    return [found[number] for number in range(len(listed))]
