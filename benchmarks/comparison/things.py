"""The object that every project serves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["Item", "OwnError", "Thing"]


class OwnError(ValueError):
    """Of a class that is not one of Python's own."""


class Item:
    """It has no value form, and is counted."""

    alive = 0

    def __init__(self) -> None:
        Item.alive += 1

    def __del__(self) -> None:
        Item.alive -= 1


class Thing:
    """What lives in the other process."""

    def __init__(self) -> None:
        self._given = 0

    def kind(self, value: object) -> str:
        return type(value).__name__

    def pair(self) -> tuple[int, int]:
        return 1, 2

    def array(self) -> Any:
        import numpy as np

        return np.arange(3)

    def fail(self) -> None:
        raise ValueError("an exposure takes time")

    def fail_in_its_own_way(self) -> None:
        raise OwnError("the shutter is stuck")

    def sleep(self, seconds: float) -> str:
        time.sleep(seconds)
        return "slept"

    def call(self, function: Callable[[int], int]) -> int:
        return function(20) + 1

    def count(self, stop: int) -> Iterator[int]:
        for number in range(stop):
            self._given += 1
            yield number

    def given(self) -> int:
        return self._given

    def item(self) -> Item:
        return Item()

    def items_alive(self) -> int:
        return Item.alive

    def pid(self) -> int:
        return os.getpid()
