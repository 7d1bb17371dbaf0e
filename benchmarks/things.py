"""The object that every contender calls, and what it gives away.

Numpy is imported late: a node that has not seen an array does not need it.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

__all__ = ["FLOATS_PER_MEGABYTE", "IN_FLIGHT", "Item", "Thing", "random_array"]

FLOATS_PER_MEGABYTE = 125_000

IN_FLIGHT = 20
"""Calls that each client of a crowd has on their way, if it can have several."""


@functools.cache
def random_array(megabytes: int) -> np.ndarray:
    """Return float64 noise, which nobody can compress; always the same array."""
    import numpy as np

    return np.random.default_rng(0).random(megabytes * FLOATS_PER_MEGABYTE)


class Item:
    """Next to nothing, so that what a proxy of it costs is the proxy."""

    __slots__ = ("__weakref__",)

    alive = 0

    def __init__(self) -> None:
        Item.alive += 1

    def __del__(self) -> None:
        Item.alive -= 1


class Thing:
    """What lives in the other process."""

    def __init__(self) -> None:
        self._ticks = 0

    def add(self, a: int, b: int) -> int:
        return a + b

    def tick(self) -> None:
        self._ticks += 1

    def ticks(self) -> int:
        """Return the number of ticks since the last time."""
        ticks, self._ticks = self._ticks, 0
        return ticks

    def length(self, array: np.ndarray) -> int:
        return len(array)

    def array(self, megabytes: int) -> np.ndarray:
        return random_array(megabytes)

    # For those to whom an array is no value: its bytes are.

    def length_of_bytes(self, data: bytes) -> int:
        import numpy as np

        return len(np.frombuffer(data))

    def array_as_bytes(self, megabytes: int) -> bytes:
        return self.array(megabytes).tobytes()

    # For those that have proxies.

    def item(self) -> Item:
        return Item()

    def items(self, count: int) -> tuple[Item, ...]:
        return tuple(Item() for _ in range(count))

    def items_alive(self) -> int:
        return Item.alive
