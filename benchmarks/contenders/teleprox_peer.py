"""teleprox, over a Unix socket.

Arrays travel by value. It also has a `SharedNDArray`, for which the caller
copies each array into shared memory by hand, and frees it by hand.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import teleprox
from teleprox.client import RPCClient
from teleprox.server import RPCServer

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Thing, random_array
from ..weighing import weigh
from .base import Pipelining

__all__ = ["Teleprox"]

_IN_FLIGHT = 1000
"""Calls without their results read. Of more, answers may get lost: its sockets
have the default high-water mark."""


_PROXIES = 5000
"""More would take minutes: making and releasing one is a call each."""


class Teleprox(Pipelining):
    """Object proxies; each look-up is deferred."""

    name = "teleprox"
    window = _IN_FLIGHT

    @contextlib.contextmanager
    def node(self) -> Iterator[serving.Node]:
        process = teleprox.start_process(address="ipc://" + self.new_path())
        things = process.client._import("benchmarks.things")
        process.client["thing"] = things.Thing(_return_type="proxy")
        try:
            yield serving.Node(process.pid, process.client.address.decode())
        finally:
            process.stop()
            process.client.close()

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        yield RPCClient.get_client(address)["thing"]

    @contextlib.contextmanager
    def joined(self, address: str) -> Iterator[Callable[[], int]]:
        with super().joined(address) as call:
            yield call
        RPCClient.get_client(address).close()

    @functools.cached_property
    def _builtins(self) -> Any:
        return RPCClient.get_client(self.server.address)._import("builtins")

    @functools.cached_property
    def _thread(self) -> Any:
        server = RPCServer("inproc://" + self.new_path(), run_thread=False)
        server["thing"] = Thing()
        thread = threading.Thread(target=server.run_forever, daemon=True)
        thread.start()
        client = RPCClient.get_client(server.address)
        self.closing.callback(client.close_server)
        return client["thing"]

    def inproc(self) -> None:
        assert self._thread.add(1, 2) == 3

    @staticmethod
    def several(thing: Any, count: int) -> None:
        futures = [thing.add(1, 2, _sync="async") for _ in range(count)]
        for future in futures:
            assert future.result() == 3

    def fire(self, count: int) -> None:
        thing = self.thing
        for _ in range(count):
            thing.tick(_sync="off")
        assert thing.ticks(_timeout=60) == count

    def send_array(self, megabytes: int) -> None:
        array = random_array(megabytes)
        assert self._builtins.len(array) == array.size

    def get_array(self, megabytes: int) -> None:
        assert len(self.thing.array(megabytes)) == megabytes * FLOATS_PER_MEGABYTE

    def proxies(self, count: int) -> dict[str, float]:
        def make(count: int) -> list[object]:
            found: list[object] = []
            while len(found) < count:
                found.append(self.thing.item(_return_type="proxy"))
                found[-1]._set_proxy_options(auto_delete=True)
            return found

        return weigh(self.server.pid, min(count, _PROXIES), make, self.thing.items_alive)
