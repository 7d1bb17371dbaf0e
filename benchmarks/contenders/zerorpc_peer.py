"""zerorpc, over a Unix socket and without heartbeats.

Threads are no use to it: it runs on the greenlets of gevent, which is one of
the reasons why every contender's client has a process of its own. It has no
proxies, and no call without an answer; what it can push goes another way, and
in no order with its calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import zerorpc

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Thing, random_array
from .base import Pipelining

__all__ = ["ZeroRPC"]


_IN_FLIGHT = 500
"""Calls without their results read. Of many more, answers get lost: its sockets
have the default high-water mark."""


class ZeroRPC(Pipelining):
    """Calls of functions by name."""

    name = "zerorpc"
    window = _IN_FLIGHT

    @staticmethod
    def serve(address: str) -> None:
        server = zerorpc.Server(Thing(), heartbeat=None)
        server.bind(address)
        serving.ready()
        server.run()

    def new_address(self) -> str:
        return "ipc://" + self.new_path()

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        client = zerorpc.Client(address, heartbeat=None, timeout=60)
        with contextlib.closing(client):
            yield client

    @staticmethod
    def several(thing: Any, count: int) -> None:
        results = [thing.add(1, 2, **{"async": True}) for _ in range(count)]
        for result in results:
            assert result.get() == 3

    def send_array(self, megabytes: int) -> None:
        array = random_array(megabytes)
        assert self.thing.length_of_bytes(array.data.cast("B")) == array.size

    def get_array(self, megabytes: int) -> None:
        import numpy as np

        array = np.frombuffer(self.thing.array_as_bytes(megabytes))
        assert len(array) == megabytes * FLOATS_PER_MEGABYTE

    def spawn(self, target: Callable[[], None], number: int) -> Any:
        return gevent.spawn(target)

    def pause(self, seconds: float) -> None:
        gevent.sleep(seconds)
