"""`Contender`: what they have in common."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

from .. import crowd, memory, serving
from ..things import IN_FLIGHT

__all__ = ["Contender", "Pipelining"]


class Contender:
    """A way to do the works, between this process and one that it starts.

    A subclass says how a server runs (`serve`) and how a client reaches it
    (`connected`). The works that all can do are here; a subclass has a method
    for each further one that it can do. See `works.PHASES` for their names.

    Parameters
    ----------
    folder : Path
        For sockets; somebody else removes it.
    """

    name: ClassVar[str]
    """Of its column, and its key in `CONTENDERS`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self.closing = contextlib.ExitStack()

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.close()

    # -- for a subclass to say -----------------------------------------------

    @staticmethod
    def serve(address: str) -> None:
        """Serve a `Thing` at `address`; call `serving.ready` once clients may come."""
        raise NotImplementedError

    def connected(self, address: str) -> AbstractContextManager[Any]:
        """Enter to get the served thing, in the way of this contender."""
        raise NotImplementedError

    def node(self) -> AbstractContextManager[serving.Node]:
        """Enter to have a fresh process that serves a `Thing`."""
        return serving.start(self.name, self.new_address())

    def new_address(self) -> str:
        """Return where a server may listen."""
        return self.new_path()

    def new_path(self) -> str:
        """Return a path for a socket, which is short enough for one."""
        return str(self._folder / f"{os.getpid()}-{next(self._numbers)}")

    # -- what the works use ----------------------------------------------------

    @functools.cached_property
    def server(self) -> serving.Node:
        """The node that most works talk to."""
        return self.closing.enter_context(self.node())

    @functools.cached_property
    def thing(self) -> Any:
        """The thing in that node."""
        return self.closing.enter_context(self.connected(self.server.address))

    # -- works -----------------------------------------------------------------

    def call(self) -> None:
        assert self.thing.add(1, 2) == 3

    def bound(self) -> None:
        assert self._bound_add(1, 2) == 3

    @functools.cached_property
    def _bound_add(self) -> Callable[[int, int], int]:
        add: Callable[[int, int], int] = self.thing.add
        return add

    def start(self) -> dict[str, float]:
        """Measure how long it takes until the first answer of a fresh node."""
        begin = time.perf_counter()
        with self.node() as node, self.connected(node.address) as thing:
            assert thing.add(1, 2) == 3
            return {"": time.perf_counter() - begin}

    def memory(self) -> dict[str, float]:
        """Measure a node that has answered one call, and then has nothing to do."""
        with self.node() as node, self.connected(node.address) as thing:
            assert thing.add(1, 2) == 3
            return {"": memory.share(node.pid)}

    def crowd(self, processes: int, clients: int, seconds: float) -> dict[str, float]:
        """Let many clients call one server for a while."""
        with self.node() as node:
            return crowd.watch(self.name, node.address, processes, clients, seconds)

    # -- what a crowd uses -------------------------------------------------------

    @contextlib.contextmanager
    def joined(self, address: str) -> Iterator[Callable[[], int]]:
        """Enter as one client of a crowd, in a thread of its own.

        Yields
        ------
        callable
            Makes some calls and waits for their results; returns how many.
        """
        with self.connected(address) as thing:

            def call() -> int:
                thing.add(1, 2)
                return 1

            yield call

    def spawn(self, target: Callable[[], None], number: int) -> Any:
        """Run `target` beside others; return what has a ``join()``."""
        thread = threading.Thread(target=target, name=f"client {number}", daemon=True)
        thread.start()
        return thread

    def pause(self, seconds: float) -> None:
        """Let the others run for a while."""
        time.sleep(seconds)


class Pipelining(Contender):
    """A contender that can have several calls on their way.

    A subclass says how (`several`), and of how many, at most, that is wise.
    """

    window: ClassVar[int]

    @staticmethod
    def several(thing: Any, count: int) -> None:
        """Make so many calls of a thing at once, then look at their results."""
        raise NotImplementedError

    def pipeline(self, count: int) -> None:
        """Make so many calls."""
        for begin in range(0, count, self.window):
            self.several(self.thing, min(self.window, count - begin))

    @contextlib.contextmanager
    def joined(self, address: str) -> Iterator[Callable[[], int]]:
        """Enter as one client of a crowd, with `IN_FLIGHT` calls on their way."""
        with self.connected(address) as thing:

            def call() -> int:
                self.several(thing, IN_FLIGHT)
                return IN_FLIGHT

            yield call
