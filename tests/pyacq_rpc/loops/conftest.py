"""Servers in event loops, and the loops that their clients are run in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Any

import pytest
from event_loops import LOOPS, run_in
from things import Thing

from pyacq_rpc import RPCServer


class AsyncThing(Thing):
    """Something with coroutines."""

    def __init__(self) -> None:
        super().__init__()
        self.running = 0
        self.most = 0

    async def nap(self, seconds: float) -> float:
        self.running += 1
        self.most = max(self.most, self.running)
        self.log.append(f"begun {seconds}")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            self.log.append(f"cancelled {seconds}")
            raise
        finally:
            self.running -= 1
        return seconds

    async def begin(self, value: Any) -> Any:
        self.log.append(value)
        await asyncio.sleep(0)
        return value

    async def fail_later(self, message: str) -> None:
        await asyncio.sleep(0)
        raise ValueError(message)

    async def stubborn(self) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
        return "went on"

    async def raise_it(self, error: str) -> None:
        await asyncio.sleep(0)
        raise {"SystemExit": SystemExit, "CancelledError": asyncio.CancelledError}[error]

    async def call_back(self, function: Any) -> Any:
        return await function(_sync="async")

    def future(self) -> asyncio.Future[str]:
        future = asyncio.get_running_loop().create_future()
        future.get_loop().call_later(0.01, future.set_result, "in time")
        return future


@pytest.fixture(params=LOOPS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of event loop."""
    return request.param


@pytest.fixture
def run(kind: str) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in such a loop."""
    return partial(run_in, kind)


@pytest.fixture
def async_server(kind: str) -> Iterator[RPCServer]:
    """A server in a thread with an event loop, with an `AsyncThing`."""
    server = RPCServer(name="under-test")
    server["thing"] = server.thing = AsyncThing()
    thread = threading.Thread(target=lambda: run_in(kind, server.run_async()))
    thread.start()
    yield server
    server.close()
    server.interrupt()
    thread.join(10)
    assert not thread.is_alive()
