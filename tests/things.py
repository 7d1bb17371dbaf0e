"""Objects that tests put into servers."""

from __future__ import annotations

import threading
import time
from typing import Any


class Thing:
    """Something with methods, attributes and state."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.value = 0
        self.gate = threading.Event()

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def echo(self, value: Any) -> Any:
        return value

    def note(self, value: Any) -> None:
        self.log.append(value)

    def count_that_add(self, a: Any, b: Any, total: Any) -> int:
        """Count the noted things, near or far, that still work."""
        futures = [thing.add(a, b, _sync="async") for thing in self.log]
        return sum(future.result() == total for future in futures)

    def notes(self) -> list[Any]:
        return list(self.log)

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def wait(self) -> bool:
        """Keep the server busy until `gate` is opened."""
        return self.gate.wait(20)

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def call(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def make(self) -> Thing:
        return Thing()

    def me(self) -> Thing:
        return self

    def thread(self) -> int:
        return threading.get_ident()

    def keep(self, value: Any) -> None:
        self.kept = value

    def drop(self) -> None:
        self.kept = None


def open_after_a_moment(gate: threading.Event) -> None:
    """Open a gate when what was sent has arrived at a server that is busy.

    Nobody can tell when that is: a busy server does not read.
    """
    threading.Timer(0.5, gate.set).start()
