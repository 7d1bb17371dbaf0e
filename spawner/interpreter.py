"""Starts the process of a node as an interpreter of its own.

How a process is started is separate from what it then is: a `Starter` brings
up the process, and hands it the configuration that says what to be.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from .child import BOOT
from .forked import ForkedProcess

__all__ = ["Interpreter", "Starter", "environment", "search_path"]


class Starter(Protocol):
    """A way to start processes.

    Attributes
    ----------
    how : str
        Completes the sentence "cannot start it ...".
    """

    @property
    def how(self) -> str: ...  # noqa: D102  # above

    def launch(
        self, config: dict[str, Any], stdout: int | None, report_fd: int
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        """Start a process, without waiting for anything that it does.

        Parameters
        ----------
        config : dict
            What it is to be.
        stdout : int or None
            As for `subprocess.Popen`. Both stdin and stderr are pipes.
        report_fd : int
            The descriptor over which it shall answer; the caller closes it.

        Raises
        ------
        OSError
            If it cannot be started.
        """

    def settle(self, proc: Any, timeout: float) -> None:
        """Return when the process that was launched is there and knows what to be.

        Raises
        ------
        SpawnError
            If it will never be, or is not within `timeout` seconds.
        """


class Interpreter:
    """Starts processes that are interpreters of their own.

    Parameters
    ----------
    executable : str or None
        Of the interpreter; None for the one that runs this process.
    env : dict or None
        Changes of the environment; None for a variable removes it.
    cwd : str or path, optional
        The working directory.
    module : str
        Whose ``main`` is called with the configuration.
    pass_fds : sequence of int
        Descriptors that it shall have.
    """

    def __init__(
        self,
        executable: str | None,
        env: dict[str, str | None] | None,
        cwd: str | os.PathLike[str] | None,
        module: str = "spawner.child",
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._executable = str(executable or sys.executable)
        self._env = None if env is None else environment(env)
        self._cwd = cwd
        self._boot = BOOT.format(module=module)
        self._pass_fds = pass_fds
        self.how = f"with {self._executable}"
        same_python = executable is None
        self._config = {
            "same_python": same_python,
            "path": search_path(same_python),
            "parent_pid": os.getpid(),
        }

    def launch(
        self, config: dict[str, Any], stdout: int | None, report_fd: int
    ) -> subprocess.Popen[bytes]:
        """Start a process; see `Starter.launch`."""
        self._config.update(config, report_fd=report_fd)
        return subprocess.Popen(  # noqa: S603  # the interpreter is the caller's choice
            [self._executable, "-c", self._boot],
            bufsize=0,  # a fork must find nothing that it could write once more
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=self._env,
            cwd=self._cwd,
            pass_fds=(report_fd, *self._pass_fds),
            start_new_session=True,
        )

    def settle(self, proc: subprocess.Popen[bytes], timeout: float) -> None:
        """Tell the process what to be; see `Starter.settle`."""
        assert proc.stdin is not None
        unsent = memoryview(json.dumps(self._config).encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):  # it died at once; its report will say so
            while True:
                if not unsent:
                    break
                unsent = unsent[proc.stdin.write(unsent) :]


def search_path(same_python: bool) -> list[str]:
    """Return where a node looks for modules.

    The same Python gets the very path of this process. Another one has its
    own, and is only told where these two packages are.
    """
    if same_python:
        return [os.path.abspath(entry) for entry in sys.path]
    return [os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]


def environment(changes: dict[str, str | None]) -> dict[str, str]:
    """Return the environment of this process with some changes."""
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}
