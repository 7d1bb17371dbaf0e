"""All the nodes that this process has started, and the thread that starts them."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pyacq_rpc.peers.runtime import Runtime

from .open_logs import close_at_exit

if TYPE_CHECKING:
    from .process import ProcessSpawner
    from .template import NodeTemplate

__all__ = ["Family", "Launcher"]

T = TypeVar("T")
Member = TypeVar("Member", "ProcessSpawner", "NodeTemplate")

_log = logging.getLogger(__name__)

EXIT_TIMEOUT = 3.0
"""Seconds that the nodes have for ending when this process exits: half for closing."""


class Launcher:
    """Starts processes from one thread that lives as long as this process.

    The kernel takes the thread that has started a child for its parent, and
    tells the child when that thread ends (see `spawner.lifeline`).
    """

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._run, name="spawner launcher", daemon=True).start()

    def run(self, start: Callable[[], T]) -> T:
        """Call `start` in the thread; return or raise what it does."""
        answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

        def order() -> None:
            try:
                answers.put((start(), None))
            except BaseException as error:  # noqa: BLE001  # raised again where it was ordered
                answers.put((None, error))

        with self._lock:
            if self._closed:
                raise RuntimeError("nothing can be started any more: this process is ending")
            self._orders.put(order)
        result, error = answers.get()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # None only if T is

    def close(self) -> None:
        """End the thread; whatever it has started must have ended before."""
        with self._lock:
            self._closed = True
            self._orders.put(None)

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            order()


class Family:
    """The running nodes of this process; they are stopped when it exits."""

    def __init__(self, runtime: Runtime) -> None:
        self._numbers = itertools.count(1)
        self._running: set[ProcessSpawner] = set()
        self._templates: set[NodeTemplate] = set()
        self._lock = threading.Lock()
        self._launcher: Launcher | None = None
        close_at_exit(runtime)  # after the nodes, which log until they end
        runtime.at_exit(self.stop)

    @property
    def launcher(self) -> Launcher:
        """The thread that starts processes."""
        with self._lock:
            if self._launcher is None:
                self._launcher = Launcher()
            return self._launcher

    def new_name(self, kind: str = "node") -> str:
        """Return a name for a node or a template that was given none."""
        return f"{kind}-{os.getpid()}-{next(self._numbers)}"

    def add(self, node: ProcessSpawner) -> None:
        """Note a node that has been started."""
        self._running.add(node)

    def discard(self, node: ProcessSpawner) -> None:
        """Forget a node that has ended."""
        self._running.discard(node)

    def running(self) -> list[ProcessSpawner]:
        """Return the nodes that were started, and are not known to have ended."""
        return sorted(self._running, key=lambda node: node.name)

    def add_template(self, template: NodeTemplate) -> None:
        """Note a template that has been started."""
        self._templates.add(template)

    def discard_template(self, template: NodeTemplate) -> None:
        """Forget a template that has ended."""
        self._templates.discard(template)

    def stop(self) -> None:
        """Stop all nodes at the same time: ask, then terminate, then kill them."""
        deadline = time.monotonic() + EXIT_TIMEOUT
        running = list(self._running)
        self._each(running, "asked to close", lambda node: node.ask_to_close())
        self._wait(running, deadline - EXIT_TIMEOUT / 2)
        busy = [node for node in running if node.proc.poll() is None]
        self._each(busy, "terminated", lambda node: node.proc.terminate())
        self._wait(busy, deadline - EXIT_TIMEOUT / 4)
        self._each(running, "killed", lambda node: node.kill())
        # Last, since they tell how their nodes have ended.
        templates = list(self._templates)
        self._each(templates, "stopped", lambda template: template.stop(EXIT_TIMEOUT / 4))
        self._each(templates, "killed", lambda template: template.kill())
        with self._lock:
            if self._launcher is not None:
                self._launcher.close()

    def _wait(self, nodes: list[ProcessSpawner], deadline: float) -> None:
        def wait(node: ProcessSpawner) -> None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                node.proc.wait(max(0.0, deadline - time.monotonic()))

        self._each(nodes, "waited for", wait)

    def _each(self, nodes: list[Member], done: str, act: Callable[[Member], object]) -> None:
        """Do something to all of these, whatever goes wrong with one of them."""
        for node in nodes:
            try:
                act(node)
            except Exception:  # noqa: BLE001  # the others have to end too
                _log.exception("at exit, %s could not be %s", node.name, done)

    def abandon(self) -> None:
        """In the child of a fork: nodes and templates are the parent's."""
        for node in self._running:
            node.abandon()
        for template in self._templates:
            template.abandon()
