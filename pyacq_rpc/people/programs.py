"""Which program runs in a process, for people."""

from __future__ import annotations

import os

import psutil

__all__ = ["program_of"]

_CHILD = "from spawner."
"""In the command of a process that was spawned; see `spawner.child.BOOT`."""


def program_of(pid: int) -> str:
    """Return what runs in a process: a command, or whose node it is.

    Examples
    --------
    >>> program_of(0x7FFFFFFF)
    ''
    """
    try:
        process = psutil.Process(pid)
        if not _is_node(process):
            return _short(process.cmdline())
        for parent in process.parents():
            if not _is_node(parent):
                return f"node of {_short(parent.cmdline())} ({parent.pid})"
    except psutil.Error:  # it has gone, or may not be looked at
        return ""
    return "node"


def _is_node(process: psutil.Process) -> bool:
    command = process.cmdline()
    return "-c" in command and any(_CHILD in part for part in command)


def _short(command: list[str]) -> str:
    """Return a command without the interpreter and the directories."""
    if not command:
        return ""
    words = [os.path.basename(command[0]), *command[1:]]
    if len(words) > 1 and words[0].startswith("python"):
        words = words[1:]
        if words[0] == "-m" and len(words) > 1:
            words = words[1:]
        elif words[0] == "-c":
            words = ["python -c ..."]
        elif not words[0].startswith("-"):
            words[0] = os.path.basename(words[0])
    return " ".join(" ".join(words).split())[:60]
