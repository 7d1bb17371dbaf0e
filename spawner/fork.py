"""Starts the process of a node as a fork of a template."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import tempfile
from typing import Any, Literal

from .forked import ForkedProcess, close_all
from .interpreter import environment, search_path
from .template import NodeTemplate

__all__ = ["Fork"]

_AT_START = ("PYTHON", "LD_", "DYLD_", "MALLOC_")
"""What the names of variables begin with that are read when a process starts."""


class Fork:
    """Starts processes as forks of a template.

    Parameters
    ----------
    template : NodeTemplate
    name : str
        Of the node, for error messages.
    executable : str or None
        The template's; anything else is refused.
    env : dict or None
        Changes of the environment; None for a variable removes it.
    cwd : str or path, optional
        The working directory.

    Raises
    ------
    ValueError
        For what only the template can be given.
    """

    def __init__(
        self,
        template: NodeTemplate,
        name: str,
        executable: str | None,
        env: dict[str, str | None] | None,
        cwd: str | os.PathLike[str] | None,
    ) -> None:
        template.check()
        if executable is not None:
            raise ValueError(
                "the interpreter of a forked node is its template's;"
                " give the executable to NodeTemplate"
            )
        for variable in env or ():
            if variable.startswith(_AT_START):
                raise ValueError(
                    f"{variable} is read when a process starts, and that of a forked node"
                    " has started already; give it to NodeTemplate"
                )
        self._template = template
        self._name = name
        self.how = f"from {template.name}"
        self._config: dict[str, Any] = {
            "same_python": template.same_python,
            "path": search_path(template.same_python),
            "parent_pid": None,
            "env": environment(env or {}),
            "cwd": _directory(cwd),
        }

    def launch(self, config: dict[str, Any], stdout: int | None, report_fd: int) -> ForkedProcess:
        """Start a process; see `Starter.launch`."""
        template = self._template
        told = json.dumps({**self._config, **config}).encode()
        theirs: list[int] = []
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as failed:
            failed.callback(close_all, theirs)
            child_stdin, stdin = _pipe(ours, theirs, "wb")
            child_stderr, stderr = _pipe(ours, theirs, "rb")
            child_stdout, captured = _stdout(stdout, ours, theirs)
            channel, child_channel = socket.socketpair()
            ours.enter_context(channel)
            theirs.append(child_channel.detach())
            # Ours stay open until the template has its own: macOS may lose others.
            theirs.append(os.dup(report_fd))
            # Not over stdin: the kernel tells the node about anything that happens to
            # that pipe, and may still be about to tell of a write when it is asked to.
            with tempfile.TemporaryFile(buffering=0) as file:
                file.write(told)
                file.seek(0)
                theirs.append(os.dup(file.fileno()))
            child_channel_fd, child_report, child_config = theirs[-3:]
            proc = ForkedProcess(
                [self.how],
                stdin,
                captured,
                stderr,
                channel,
                theirs,
                template.node_ended,
            )
            failed.pop_all()
            try:
                template.fork(
                    proc,
                    [
                        child_stdin,
                        child_stdout,
                        child_stderr,
                        child_report,
                        child_config,
                        child_channel_fd,
                    ],
                )
            except BaseException as error:
                proc.give_up()
                proc.close()
                if isinstance(error, OSError):
                    raise template.failure(self._name) from error
                raise
            ours.pop_all()
            return proc

    def settle(self, proc: ForkedProcess, timeout: float) -> None:
        """Return when the node is there; see `Starter.settle`."""
        self._template.await_fork(proc, self._name, timeout)


def _pipe(
    ours: contextlib.ExitStack, theirs: list[int], mode: Literal["rb", "wb"]
) -> tuple[int, io.FileIO]:
    """Return their end of a new pipe, and ours, which is open in this mode."""
    reading, writing = os.pipe()
    mine, yours = (reading, writing) if mode == "rb" else (writing, reading)
    theirs.append(yours)
    return yours, ours.enter_context(open(mine, mode, buffering=0))


def _stdout(
    stdout: int | None, ours: contextlib.ExitStack, theirs: list[int]
) -> tuple[int, io.FileIO | None]:
    """Return what is to be the node's stdout, and our end if that is a pipe."""
    if stdout == subprocess.PIPE:
        return _pipe(ours, theirs, "rb")
    if stdout is None:
        with contextlib.suppress(OSError):  # ours may be closed
            os.fstat(1)
            return 1, None
    null = os.open(os.devnull, os.O_WRONLY)
    theirs.append(null)
    return null, None


def _directory(cwd: str | os.PathLike[str] | None) -> str | None:
    """Return the node's working directory, seen from anywhere."""
    try:
        return os.path.abspath(cwd if cwd is not None else os.getcwd())
    except FileNotFoundError:  # ours was removed
        return None
