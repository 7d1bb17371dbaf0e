"""The first lines of a spawned process.

The parent writes one line of JSON to its stdin: how to find the packages, and
what to be. It answers over an inherited pipe with one line of JSON: where it
listens, or why it does not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from . import lifeline

__all__ = ["BOOT", "main", "report", "report_error"]

BOOT = (
    "import sys, json;"
    "c = json.loads(sys.stdin.buffer.readline());"
    "sys.path[:] = c['path'] if c['same_python'] else sys.path + c['path'];"
    "from {module} import main; main(c)"
)
"""What the child's interpreter is started with, when the module is filled in."""


def main(config: dict[str, Any]) -> None:
    """Be the node that `config` describes, until it is asked to close."""
    report_fd: int = config["report_fd"]
    # stdin is done with once the configuration is read, and serves from now on
    # as the pipe that ends with the parent.
    lifeline_fd = os.dup(0)
    try:
        server, run, end = _start(config)
        lifeline.watch(lifeline_fd, server.close)
    except BaseException:  # noqa: BLE001  # whatever it is, the parent waits to hear of it
        report_error(report_fd)
        raise SystemExit(1) from None
    from pyacq_rpc.peers.running import InterruptHandler

    terminated: list[int] = []

    def terminate(signum: int, frame: object) -> None:
        terminated.append(signum)
        end()

    # It may have been ignored where the parent was started.
    signal.signal(signal.SIGINT, InterruptHandler(server.doing))
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, terminate)
    with contextlib.suppress(SystemExit):
        report(report_fd, {"address": server.address, "server_id": server.server_id})
        # While the parent connects, and before the first request: that one may
        # never let go of the GIL.
        if config["parent_pid"] is None:  # forked from a template, whose child it is
            lifeline.ask_kernel_by_pipe(lifeline_fd)
        else:
            lifeline.ask_kernel(config["parent_pid"])
            _trim()
        run()
    if terminated:
        sys.exit(128 + terminated[0])


def _start(config: dict[str, Any]) -> tuple[Any, Callable[[], object], Callable[[], object]]:
    """Make a server; return it, what serves until it is asked to close, and what ends that."""
    import pyacq_rpc
    from pyacq_rpc.peers.runtime import current
    from pyacq_rpc.transport.keys import Key

    *halves, path = config["key"]
    public, secret, servers = map(str.encode, halves)
    current().keys.use(Key(public, secret, servers, path))
    name: str = config["name"]
    if config["log_addr"]:
        from . import logs

        logs.send_to(config["log_addr"], config["log_level"], name)
    elif config["log_level"] is not None:
        import logging

        logging.getLogger().setLevel(config["log_level"])
    server: Any
    if config["qt"]:
        from pyacq_rpc.qt.node import GuiNode

        node = GuiNode(name)
        server = pyacq_rpc.QtRPCServer(config["address"], name=name)
        run, end = partial(node.run, server), partial(node.terminate, server)
    elif config["asyncio"]:
        from pyacq_rpc.loops.async_node import AsyncNode

        loop = AsyncNode()
        server = pyacq_rpc.RPCServer(config["address"], name=name)
        run, end = partial(loop.run, server), partial(loop.terminate, server)
    else:
        server = pyacq_rpc.RPCServer(config["address"], name=name)
        run, end = server.run_forever, partial(_terminate, server)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return server, run, end


def _terminate(server: Any) -> None:
    """End from within a signal handler, out of whatever it is doing."""
    server.close()
    raise SystemExit


def _trim() -> None:
    """Give the system back what was only needed for the imports: a thirtieth of it all."""
    try:
        import ctypes

        ctypes.CDLL(None).malloc_trim(0)
    except (ImportError, OSError, TypeError, AttributeError):
        pass  # another C library than that of GNU


def report(fd: int, fields: dict[str, Any]) -> None:
    """Tell the parent, once."""
    with os.fdopen(fd, "w") as pipe:
        pipe.write(json.dumps(fields) + "\n")


def report_error(fd: int) -> None:
    """Tell the parent the exception that is being handled."""
    import traceback

    report(fd, {"error": traceback.format_exc()})
