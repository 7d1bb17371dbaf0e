"""``python -m benchmarks.iterating``: items of another process, next to one call for each.

* Small items of a range, of a generator, and of a generator with ``async for``.
* The same with no prefetch, which is one round trip for each.
* One call for each: how many times as long that takes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spawner import ProcessSpawner

FEWER = 50
"""Of what takes a round trip for each, this part is done."""


class Stock:
    """Lives in the other process."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    def one(self) -> int:
        return next(self._numbers)

    def generator(self, count: int) -> Iterator[int]:
        yield from range(count)


def count(items: Iterable[object]) -> int:
    return sum(1 for _ in items)


async def count_async(items: Any) -> int:
    found = 0
    async for _ in items:
        found += 1
    return found


def each(act: Callable[[], int]) -> float:
    """Return the seconds for each of what is counted."""
    begun = time.perf_counter()
    found = act()
    return (time.perf_counter() - begun) / found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=100_000, help="how many (default: 100,000)")
    items = parser.parse_args().items
    few = max(1, items // FEWER)
    with ProcessSpawner() as node:
        stock = node._import("benchmarks.iterating").Stock()
        range_ = node._import("builtins").range
        calls = each(lambda: count(stock.one() for _ in range(few)))
        rows: list[tuple[str, Callable[[], int]]] = [
            ("of a range", lambda: count(range_(items, _return_type="proxy"))),
            ("of a generator", lambda: count(stock.generator(items))),
            ("the same, async for", lambda: asyncio.run(count_async(stock.generator(items)))),
            ("the same, no prefetch", lambda: count(stock.generator(few)._iterate(prefetch=0))),
        ]
        print(f"{'one call for each item':24}{calls * 1e6:8.2f} µs")
        for what, act in rows:
            took = each(act)
            print(f"{what:24}{took * 1e6:8.2f} µs{calls / took:8.1f} times as many")


if __name__ == "__main__":
    main()
