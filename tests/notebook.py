"""A real kernel of Jupyter's, without a browser."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

PATIENCE = 90.0
"""Seconds to wait for a cell, on a machine that does much else."""


class Ran(NamedTuple):
    """What has come of a cell.

    Attributes
    ----------
    status : str
        ``'ok'`` or ``'error'``.
    shown : list of tuple
        What is shown, each with its kind: a stream, or that of the message.
    number : int
        Of the cell.
    paged : list of str
        What a notebook shows in its pager.
    """

    status: str
    shown: list[tuple[str, Any]]
    number: int
    paged: list[str]

    def text(self) -> str:
        """Return all of it as a terminal would show it."""
        lines = list(self.paged)
        for kind, content in self.shown:
            if kind in ("execute_result", "display_data"):
                content = content["text/plain"]
            if kind == "execute_result":
                content = f"Out[{self.number}]: {content}"
            lines.append(content if content.endswith("\n") else content + "\n")
        return re.sub(r"\x1b\[[\d;]*m", "", "".join(lines))


class Notebook:
    """A kernel, and what it shows of each cell."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager = manager
        self.client = client

    async def run(self, code: str, interrupted_at: str = "") -> Ran:
        """Run a cell; press the button with the square as soon as it has printed that."""
        shown: list[tuple[str, Any]] = []
        texts = ""

        def note(message: Any) -> None:
            nonlocal texts
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                shown.append((content["name"], content["text"]))
                texts += content["text"]
            elif kind in ("execute_result", "display_data"):
                shown.append((kind, content["data"]))
            elif kind == "error":
                shown.append((kind, "\n".join(content["traceback"])))

        running = asyncio.ensure_future(
            self.client.execute_interactive(code, timeout=PATIENCE, output_hook=note)
        )
        if interrupted_at:
            while interrupted_at not in texts and not running.done():
                await asyncio.sleep(0.05)
            await self._manager.interrupt_kernel()
        content = (await running)["content"]
        paged = [page["data"]["text/plain"] for page in content.get("payload", ())]
        return Ran(content["status"], shown, content["execution_count"], paged)


@contextlib.asynccontextmanager
async def notebook(env: Mapping[str, str], cwd: object = None) -> AsyncIterator[Notebook]:
    """Start a kernel, and end it."""
    from jupyter_client.manager import AsyncKernelManager

    manager = AsyncKernelManager()
    await manager.start_kernel(env=dict(env), cwd=None if cwd is None else str(cwd))
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=PATIENCE)
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
