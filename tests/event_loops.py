"""Running coroutines in the event loops that tests are run in."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

LOOPS = ["asyncio", "debug", *(["uvloop"] if sys.platform != "win32" else [])]
"""Those of asyncio, without and with its debug mode, and libuv's."""


def run_in(kind: str, main: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in an event loop of this kind, which must not leave tasks behind."""

    async def checked() -> Any:
        result = await main
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left behind: {left}"
        return result

    if kind == "uvloop":
        import uvloop

        return uvloop.run(checked())
    return asyncio.run(checked(), debug=kind == "debug")


async def came(condition: Callable[[], object], timeout: float = 10.0) -> bool:
    """Wait for a condition, while the event loop goes on."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)
    return True


# What libuv keeps in a process, a pipe for signals, must not seem to be left by a test.
for _kind in LOOPS:
    run_in(_kind, asyncio.sleep(0))
