"""Pyro5, with MessagePack over a Unix socket.

It calls many methods in one message (a batch), but has no call whose result
is read later; and it keeps the objects that it has given away until it is told
to unregister them. Both works stay empty.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from typing import Any

import Pyro5.api
from Pyro5 import config

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Thing, random_array
from .base import Contender

__all__ = ["Pyro5Daemon"]

config.SERIALIZER = "msgpack"
config.SERVERTYPE = "thread"
config.THREADPOOL_SIZE = 300  # a thread for each connection of the crowd

Pyro5.api.oneway(Thing.tick)
Pyro5.api.expose(Thing)


def _daemon(path: str) -> Any:
    daemon = Pyro5.api.Daemon(unixsocket=path)
    daemon.register(Thing(), "thing")
    return daemon


class Pyro5Daemon(Contender):
    """Proxies of registered objects."""

    name = "Pyro5"

    @staticmethod
    def serve(address: str) -> None:
        daemon = _daemon(address)
        serving.ready()
        daemon.requestLoop()

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        with Pyro5.api.Proxy(f"PYRO:thing@./u:{address}") as proxy:
            yield proxy

    @functools.cached_property
    def _thread(self) -> Any:
        address = self.new_path()
        daemon = _daemon(address)
        threading.Thread(target=daemon.requestLoop, daemon=True).start()
        self.closing.callback(daemon.shutdown)
        return self.closing.enter_context(self.connected(address))

    def inproc(self) -> None:
        assert self._thread.add(1, 2) == 3

    def fire(self, count: int) -> None:
        thing = self.thing
        for _ in range(count):
            thing.tick()
        # Each is carried out in a thread of its own, perhaps after the next call.
        ticks = thing.ticks()
        while ticks < count:
            ticks += thing.ticks()

    def send_array(self, megabytes: int) -> None:
        array = random_array(megabytes)
        assert self.thing.length_of_bytes(array.data.cast("B")) == array.size

    def get_array(self, megabytes: int) -> None:
        import numpy as np

        array = np.frombuffer(self.thing.array_as_bytes(megabytes))
        assert len(array) == megabytes * FLOATS_PER_MEGABYTE
