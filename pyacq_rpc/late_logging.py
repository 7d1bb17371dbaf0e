"""Loggers that import `logging` when there is something to log.

A node at rest logs nothing, and `logging`, with the traceback, tokenize and
textwrap that it imports, would be a quarter of what it takes beyond zmq.

At exit, what was imported last is closed first. A program that imports
`logging` after this package has its handlers closed before its servers; most
handlers take what is logged meanwhile all the same.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from logging import Logger

__all__ = ["getLogger"]


class _LateLogger:
    """Is to its user the logger of that name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        try:
            import logging
        except OSError as error:
            return partial(_say, self._name, error)
        return getattr(logging.getLogger(self._name), attribute)


def _say(name: str, why: OSError, message: str, *args: object, **_: object) -> None:
    """Stand in for a method of a logger where `logging` cannot be read."""
    # Its user logs that there is no descriptor left, say, and has to go on.
    said = message % args if args else message
    sys.stderr.write(f"{name}: {said} (not logged: {why})\n")


def getLogger(name: str) -> Logger:  # noqa: N802  # as in `logging`
    """Return the logger of this name.

    Examples
    --------
    >>> getLogger("pyacq_rpc.example").name
    'pyacq_rpc.example'
    """
    return cast("Logger", _LateLogger(name))
