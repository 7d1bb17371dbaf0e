"""All the nodes that this process has started, and the thread that starts them."""

from __future__ import annotations

import itertools
import os
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pyacq_rpc.peers.runtime import Runtime

if TYPE_CHECKING:
    from .process import ProcessSpawner

__all__ = ["Family", "Launcher"]

T = TypeVar("T")

EXIT_TIMEOUT = 3.0
"""Seconds that a node may take to close when this process exits."""


class Launcher:
    """Starts processes from one thread that lives as long as this process.

    The kernel takes the thread that has started a child for its parent, and
    tells the child when that thread ends (see `spawner.lifeline`).
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="spawner launcher", daemon=True).start()

    def run(self, start: Callable[[], T]) -> T:
        """Call `start` in the thread; return or raise what it does."""
        answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def order() -> None:
            try:
                answers.put((start(), None))
            except BaseException as error:  # noqa: BLE001  # raised again where it was ordered
                answers.put((None, error))

        self._orders.put(order)
        result, error = answers.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if T is

    def close(self) -> None:
        """End the thread; whatever it has started must have ended before."""
        self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            order()


class Family:
    """The running nodes of this process; they are stopped when it exits."""

    def __init__(self, runtime: Runtime) -> None:
        self._numbers = itertools.count(1)
        self._running: set[ProcessSpawner] = set()
        self._launcher: Launcher | None = None
        runtime.at_exit(self.stop)

    @property
    def launcher(self) -> Launcher:
        """The thread that starts processes."""
        if self._launcher is None:
            self._launcher = Launcher()
        return self._launcher

    def new_name(self) -> str:
        """Return a name for a node that was given none."""
        return f"node-{os.getpid()}-{next(self._numbers)}"

    def add(self, node: ProcessSpawner) -> None:
        """Note a node that has been started."""
        self._running.add(node)

    def discard(self, node: ProcessSpawner) -> None:
        """Forget a node that has ended."""
        self._running.discard(node)

    def stop(self) -> None:
        """Stop all nodes, all at the same time."""
        running = list(self._running)
        for node in running:
            node.ask_to_close()
        for node in running:
            node.stop(EXIT_TIMEOUT)
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None

    def abandon(self) -> None:
        """In the child of a fork: the nodes are the parent's."""
        for node in self._running:
            node.abandon()
