"""What is common to whoever starts a process and sees to its end."""

from __future__ import annotations

import abc
import subprocess
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from pyacq_rpc.errors import CallTimeout

if TYPE_CHECKING:
    from .forked import ForkedProcess
    from .start import NodeProcess

__all__ = ["ProcessOwner"]

Self = TypeVar("Self", bound="ProcessOwner")  # of `typing` from Python 3.11 on


class ProcessOwner(abc.ABC):
    """Owns a process, which belongs to the process that started it, not to its forks.

    Attributes
    ----------
    name : str
    pid : int
    proc : subprocess.Popen
        Or something like it.
    """

    name: str
    pid: int
    proc: subprocess.Popen[bytes] | ForkedProcess
    _process: NodeProcess

    def __repr__(self) -> str:
        # In a fork it is somebody else's, and asking would say that it has ended.
        code = self.proc.poll() if self._process.is_ours() else self.proc.returncode
        state = "running" if code is None else f"ended with exit code {code}"
        return f"<{type(self).__name__} {self.name}, process {self.pid}, {state}>"

    def poll(self) -> int | None:
        """Return the exit code of the process, or None while it runs."""
        self._check_that_it_is_ours()
        code: int | None = self.proc.poll()
        if code is not None:
            self._give_back()
        return code

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.

        Returns
        -------
        int
            The exit code; negative for the signal that ended it.

        Raises
        ------
        CallTimeout
            If it still runs then.
        """
        self._check_that_it_is_ours()
        try:
            code = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise CallTimeout(f"{self!r} did not end within {timeout} s") from None
        self._give_back()
        return code

    @abc.abstractmethod
    def stop(self, timeout: float = 5.0) -> int | None:
        """End the process in an orderly way, within that many seconds."""

    def kill(self) -> None:
        """End the process at once."""
        self._check_that_it_is_ours()
        self._process.kill()
        self._give_back()

    def abandon(self) -> None:
        """Let go of it in the child of a fork: it is not ours."""
        self._process.abandon()

    @abc.abstractmethod
    def _give_back(self) -> None:
        """Give back what belonged to the process, which has ended."""

    def _check_that_it_is_ours(self) -> None:
        # In a fork the system calls would fail, or say that it has ended.
        if not self._process.is_ours():
            raise RuntimeError(f"{self.name} belongs to the process that started it")

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._process.is_ours():  # a fork may leave the block too
            self.stop()
