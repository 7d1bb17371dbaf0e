"""`multiprocessing.managers`, over a Unix socket.

The server has a fresh interpreter like everybody else's, where ``start()``
would fork by default before Python 3.14. A call has to wait for its answer.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from multiprocessing.managers import BaseManager
from typing import Any

from .. import serving
from ..things import FLOATS_PER_MEGABYTE, Item, Thing, random_array
from ..weighing import weigh
from .base import Contender

__all__ = ["Managers"]

_KEY = b"no secret: the socket is in a folder of this user's"


@functools.cache
def _thing() -> Thing:
    return Thing()


_PROXIES = 2000
"""More would take minutes: making one takes four connections."""


class _Manager(BaseManager):
    pass


_Manager.register("thing", _thing)
_Manager.register("item", Item, exposed=())


class Managers(Contender):
    """Proxies of registered types, pickled values."""

    name = "managers"

    @staticmethod
    def serve(address: str) -> None:
        server = _Manager(address, _KEY).get_server()
        serving.ready()
        server.serve_forever()

    @contextlib.contextmanager
    def _manager(self, address: str) -> Iterator[Any]:
        manager = _Manager(address, _KEY)
        manager.connect()
        yield manager

    @contextlib.contextmanager
    def connected(self, address: str) -> Iterator[Any]:
        with self._manager(address) as manager:
            yield manager.thing()

    @functools.cached_property
    def _thread(self) -> Any:
        address = self.new_path()
        server = _Manager(address, _KEY).get_server()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return self.closing.enter_context(self.connected(address))

    def inproc(self) -> None:
        assert self._thread.add(1, 2) == 3

    def send_array(self, megabytes: int) -> None:
        array = random_array(megabytes)
        assert self.thing.length(array) == array.size

    def get_array(self, megabytes: int) -> None:
        assert len(self.thing.array(megabytes)) == megabytes * FLOATS_PER_MEGABYTE

    def proxies(self, count: int) -> dict[str, float]:
        manager = _Manager(self.server.address, _KEY)
        manager.connect()
        return weigh(
            self.server.pid,
            min(count, _PROXIES),
            lambda count: [manager.item() for _ in range(count)],
            self.thing.items_alive,
        )
