"""An IPython console in a window of a GUI node."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyacq_rpc import RPCClient
    from spawner import ProcessSpawner

__all__ = ["missing_packages", "open_console", "run"]

OPEN_TIMEOUT = 60.0
"""Seconds that the imports and the window may take."""


def missing_packages() -> list[str]:
    """Return which of the packages that a console needs are not installed here."""
    needed = ("qtconsole", "ipykernel")
    return [name for name in needed if importlib.util.find_spec(name) is None]


def open_console(
    node: ProcessSpawner | RPCClient, *, ends_node: bool = False, timeout: float = OPEN_TIMEOUT
) -> Any:
    """Open a console in a GUI node, or bring the one that it has to the front.

    Its kernel runs in the node's GUI thread. There the published names are variables,
    and ``server`` is the `QtRPCServer`: ``server["name"] = value`` publishes a value.

    Parameters
    ----------
    node : ProcessSpawner or RPCClient
        A node that was started with ``qt=True``, or another program with a `QtRPCServer`.
    ends_node : bool
        Whether its application quits when the window is closed.
    timeout : float
        Seconds that the imports and the window may take.

    Returns
    -------
    ObjectProxy
        Of the `window.Console`. It stays open when the proxy is dropped.

    Raises
    ------
    ImportError
        If qtconsole or ipykernel is not installed over there.
    RuntimeError
        If it is no GUI.
    """
    window = node._import("pyacq_rpc.people.console.window", _timeout=timeout)
    return window.show_console(ends_node, _timeout=timeout, _return_type="proxy")


def run() -> int:
    """Open a console in a node of its own, until its window is closed.

    Returns
    -------
    int
        The exit code: the node's, or 1 if packages are missing.
    """
    from spawner import ProcessSpawner

    missing = missing_packages()
    if missing:
        text = f"needs {' and '.join(missing)}: pip install 'pyacq-rpc[console]'"
        print(f"pyacq-rpc console: {text}", file=sys.stderr)
        return 1
    with ProcessSpawner(name="console", qt=True) as node:
        open_console(node, ends_node=True)
        print(f"Console of the node at {node.address}", flush=True)
        return node.wait()
