"""The same through `pyacq_rpc`, with its default settings."""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Iterator
from typing import Any

from pyacq_rpc import RPCClient, RPCServer, reset
from spawner import NodeTemplate, ProcessSpawner

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Thing, random_array
from ..weighing import weigh
from . import OURS
from .base import Pipelining

__all__ = ["Ours"]

_CHUNK = 1000
"""Proxies that arrive together: more would take longer than a call may."""


class Ours(Pipelining):
    """Calls of an object in a spawned process."""

    name = OURS
    window = 10_000

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.closing.callback(reset)

    @contextlib.contextmanager
    def node(self) -> Iterator[serving.Node]:
        with ProcessSpawner() as node:
            node["thing"] = node._import("benchmarks.things").Thing()
            yield serving.Node(node.pid, node.address)

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        client = RPCClient.get_client(address)
        assert client is not None
        yield client["thing"]
        client.close()

    @functools.cached_property
    def _builtins(self) -> Any:
        client = RPCClient.get_client(self.server.address)
        assert client is not None
        return client._import("builtins")

    @functools.cached_property
    def _thread(self) -> Any:
        return self.closing.enter_context(self._served_by_thread())

    @contextlib.contextmanager
    def _served_by_thread(self) -> Iterator[Any]:
        server = RPCServer()
        server["thing"] = Thing()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        with self.connected(server.address) as thing:
            yield thing
        server.close()
        thread.join()

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
        assert thing.ticks() == count

    def send_array(self, megabytes: int) -> None:
        array = random_array(megabytes)
        assert self._builtins.len(array) == array.size

    def get_array(self, megabytes: int) -> None:
        assert len(self.thing.array(megabytes)) == megabytes * FLOATS_PER_MEGABYTE

    def start(self) -> dict[str, float]:
        begin = time.perf_counter()
        with ProcessSpawner() as node:
            assert node.client.ping() == "pong"
            return {"": time.perf_counter() - begin}

    @functools.cached_property
    def _template(self) -> NodeTemplate:
        return self.closing.enter_context(NodeTemplate())

    def warm_start(self) -> dict[str, float]:
        """Measure the same of a node that is forked from a template."""
        template = self._template
        begin = time.perf_counter()
        with ProcessSpawner(template=template) as node:
            assert node.client.ping() == "pong"
            return {"": time.perf_counter() - begin}

    def proxies(self, count: int) -> dict[str, float]:
        def make(count: int) -> list[object]:
            found: list[object] = []
            while len(found) < count:
                found += self.thing.items(min(_CHUNK, count - len(found)))
            return found

        return weigh(self.server.pid, count, make, self.thing.items_alive)
