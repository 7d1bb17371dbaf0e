"""Watches servers: each from a thread of its own, so that none waits for another."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, NamedTuple

import psutil

from pyacq_rpc.transport.addresses import host_of, is_here
from pyacq_rpc.transport.listed import ListedServer

from .failing import CommandError
from .probing import Probe, probe
from .reaching import all_listed

__all__ = ["Sample", "Watch", "Watches"]

FAREWELL = 5.0
"""Seconds for which a server that has ended is still shown."""

PATIENCE = 2.0
"""Seconds to wait for each answer of a server."""


class Sample(NamedTuple):
    """How a server was when it was last asked.

    Attributes
    ----------
    probe : Probe
    rate : float or None
        Requests carried out in a second, if the server counts them.
    cpu : float or None
        Of its process: the percentage of one core, if that is on this host.
    memory : int or None
        Bytes that its process has in memory, likewise.
    """

    probe: Probe
    rate: float | None = None
    cpu: float | None = None
    memory: int | None = None


class Watch:
    """Asks one server again and again.

    Parameters
    ----------
    listed : ListedServer
        One that is not listed has no ``pid`` and no ``server_id``: 0 and an empty one.
    interval : float
        Seconds from one time to the next.

    Attributes
    ----------
    sample : Sample or None
        The last one.
    count : int
        How many there were.
    ended : float or None
        When it was found dead, by `time.monotonic`.
    failed : CommandError or None
        Why nothing can be asked.
    """

    def __init__(self, listed: ListedServer, interval: float) -> None:
        self.listed = listed
        self.sample: Sample | None = None
        self.count = 0
        self.ended: float | None = None
        self.failed: CommandError | None = None
        self._interval = interval
        self._stopped = threading.Event()
        self._requests: tuple[float, int] | None = None
        self._process: psutil.Process | None = None
        if listed.pid:
            with contextlib.suppress(psutil.Error):
                self._process = psutil.Process(listed.pid)
                self._process.cpu_percent()  # from here on
        self._thread = threading.Thread(target=self._run, name=f"watch {listed.name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                found = probe(self.listed.address, PATIENCE, self.listed.server_id or None)
            except CommandError as error:
                self.failed = error
                return
            self.sample = Sample(found, self._rate(found.requests), *self._resources())
            self.count += 1
            if found.state == "dead":
                self.ended = self.ended or time.monotonic()
            else:
                self.ended = None
            self._stopped.wait(self._interval)

    def _rate(self, requests: int | None) -> float | None:
        before, self._requests = self._requests, None
        if requests is None:
            return None
        now = time.monotonic()
        self._requests = (now, requests)
        if before is None or requests < before[1]:
            return None
        return (requests - before[1]) / (now - before[0])

    def _resources(self) -> tuple[float | None, int | None]:
        if self._process is not None:
            with contextlib.suppress(psutil.Error):
                return self._process.cpu_percent(), self._process.memory_info().rss
        return None, None

    def stop(self) -> None:
        """Ask no more; does not wait for an answer that is to come."""
        self._stopped.set()

    def join(self, timeout: float) -> None:
        """Wait until nothing is asked any more."""
        self._thread.join(timeout)

    def as_dict(self) -> dict[str, Any]:
        """Return what is known as plain values, for JSON."""
        listed, sample = self.listed, self.sample
        found = Probe("unknown") if sample is None else sample.probe
        return {
            "name": listed.name,
            "address": listed.address,
            "pid": listed.pid or None,
            "state": found.state,
            "doing": found.doing,
            "seconds": found.seconds,
            "latency": found.latency,
            "rate": sample and sample.rate,
            "cpu": sample and sample.cpu,
            "memory": sample and sample.memory,
        }


class Watches:
    """Watches the servers at some addresses; or all that are listed, those that come too.

    Parameters
    ----------
    addresses : list of str
        None stands for all that are listed.
    interval : float
        Seconds from one time that each is asked to the next.
    """

    def __init__(self, addresses: list[str], interval: float) -> None:
        self._interval = interval
        self._is_fixed = bool(addresses)
        self._watches: dict[str, Watch] = {}
        for address in addresses:
            self._watches[address] = Watch(_at(address), interval)

    def current(self) -> list[Watch]:
        """Return the watches, of servers that have come since, too; not of those long gone.

        Raises
        ------
        CommandError
            If nothing can be asked, or the list is not to be trusted.
        """
        if not self._is_fixed:
            for listed in all_listed():
                if listed.server_id not in self._watches:
                    self._watches[listed.server_id] = Watch(listed, self._interval)
            now = time.monotonic()
            for key, watch in list(self._watches.items()):
                if watch.ended is not None and now - watch.ended > FAREWELL:
                    watch.stop()
                    del self._watches[key]
        watches = list(self._watches.values())
        for watch in watches:
            if watch.failed is not None:
                raise watch.failed
        return watches

    def close(self) -> None:
        """Stop them all."""
        watches = list(self._watches.values())
        for watch in watches:
            watch.stop()
        deadline = time.monotonic() + PATIENCE
        for watch in watches:
            watch.join(max(0.0, deadline - time.monotonic()))

    def __enter__(self) -> Watches:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _at(address: str) -> ListedServer:
    """Return what is listed at an address, or what stands for it."""
    if is_here(host_of(address)):
        for listed in all_listed():
            if listed.address == address:
                return listed._replace(server_id="")  # whichever is there
    return ListedServer(address, address, 0, "", 0.0)
