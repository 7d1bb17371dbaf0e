"""RPyC, over a Unix socket, with public attributes allowed."""

from __future__ import annotations

import contextlib
import functools
import socket
import threading
from collections.abc import Iterator
from typing import Any

import rpyc
from rpyc.core.channel import Channel
from rpyc.core.stream import SocketStream
from rpyc.utils.server import ThreadedServer

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Thing, random_array
from ..weighing import weigh
from .base import Pipelining

__all__ = ["RPyC"]

_CONFIG = {"allow_public_attrs": True, "sync_request_timeout": 60}

_IN_FLIGHT = 200
"""Calls without their results read. More would not end: neither side reads
while it writes, so both wait once their sockets are full."""

_PROXIES = 20_000
"""More would take minutes: each that goes sends a message and waits for answers."""

# Compressing takes longer than sending, on one machine.
Channel.COMPRESSION_THRESHOLD = 1 << 62

# It copies what is left of a message after each chunk: with chunks of 64 kB,
# as they are by default, 64 MB take many seconds.
SocketStream.MAX_IO_CHUNK = 8_000_000


class _Service(rpyc.Service):
    exposed_thing = Thing()


def _server(path: str) -> ThreadedServer:
    server = ThreadedServer(_Service(), socket_path=path, protocol_config=_CONFIG)
    server.listener.listen(server.backlog)  # `start` would, but does not tell when it has
    return server


class RPyC(Pipelining):
    """Network references."""

    name = "RPyC"
    window = _IN_FLIGHT

    @staticmethod
    def serve(address: str) -> None:
        server = _server(address)
        serving.ready()
        server.start()

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        # The library's own way to connect gives the socket a timeout, with which
        # it sends less at a time.
        connecting = socket.socket(socket.AF_UNIX)
        connecting.connect(address)
        stream = SocketStream(connecting)
        with contextlib.closing(rpyc.connect_stream(stream, config=_CONFIG)) as connection:
            yield connection.root.thing

    @functools.cached_property
    def _thread(self) -> Any:
        address = self.new_path()
        server = _server(address)
        threading.Thread(target=server.start, daemon=True).start()
        self.closing.callback(server.close)
        return self.closing.enter_context(self.connected(address))

    def inproc(self) -> None:
        assert self._thread.add(1, 2) == 3

    @staticmethod
    def several(thing: Any, count: int) -> None:
        add = rpyc.async_(thing.add)
        results = [add(1, 2) for _ in range(count)]
        for result in results:
            assert result.value == 3

    def fire(self, count: int) -> None:
        # Answers do come, and have to be read; there is no call without one.
        tick = rpyc.async_(self.thing.tick)
        for begin in range(0, count, _IN_FLIGHT):
            for _ in range(min(_IN_FLIGHT, count - begin)):
                result = tick()
            result.wait()
        assert self.thing.ticks() == count

    def send_array(self, megabytes: int) -> None:
        # The array itself would stay here, and only its length be asked for.
        array = random_array(megabytes)
        assert self.thing.length_of_bytes(array.tobytes()) == array.size

    def get_array(self, megabytes: int) -> None:
        import numpy as np

        array = np.frombuffer(self.thing.array_as_bytes(megabytes))
        assert len(array) == megabytes * FLOATS_PER_MEGABYTE

    def proxies(self, count: int) -> dict[str, float]:
        def make(count: int) -> list[object]:
            found: list[object] = []
            while len(found) < count:
                found += self.thing.items(min(1000, count - len(found)))
            return found

        # Each proxy that goes sends a message, which is answered.
        alive = self.thing.items_alive
        return weigh(self.server.pid, min(count, _PROXIES), make, alive, at_once=_IN_FLIGHT)
