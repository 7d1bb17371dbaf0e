"""What the tests of iteration iterate over."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np


class Source:
    """Makes generators, and notes how far they were taken."""

    def __init__(self) -> None:
        self.produced = 0
        self.ended = threading.Event()
        self.gate = threading.Event()
        self.threads: list[int] = []
        self.stream = self.numbers()

    def numbers(self, count: int = 10**9) -> Any:
        try:
            for number in range(count):
                self.produced += 1
                yield number
        finally:
            self.threads.append(threading.get_ident())
            self.ended.set()

    @property
    def fresh(self) -> Any:
        """Another generator each time."""
        return self.numbers(5)

    def count(self) -> int:
        return self.produced

    def two_then_wait(self) -> Any:
        yield 1
        yield 2
        until = time.monotonic() + 20
        while time.monotonic() < until and not self.gate.wait(0.02):
            pass  # an interrupt comes between two of these
        yield 3

    def fail_after(self, count: int) -> Any:
        yield from range(count)
        raise ValueError("no light")

    def one_object_for_all(self, count: int) -> Any:
        item = {}
        for number in range(count):
            item["number"] = number
            yield item

    def one_array_for_all(self, count: int, size: int) -> Any:
        item = np.zeros(size)
        for number in range(count):
            item[:] = number
            yield item

    def call_for_each(self, function: Any, count: int) -> Any:
        for number in range(count):
            yield function(number)

    def objects(self, count: int) -> Any:
        return (threading.Event() for _ in range(count))


class Numbers:
    """Iterable, by a generator that tells its end."""

    def __init__(self) -> None:
        self.ended = threading.Event()

    def __iter__(self) -> Any:
        try:
            yield from range(10**9)
        finally:
            self.ended.set()
