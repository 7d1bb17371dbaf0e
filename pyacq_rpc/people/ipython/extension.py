"""The parts of the IPython extension, put together."""

from __future__ import annotations

from typing import Any, Protocol

from .completing import Completion
from .display import Display
from .inspecting import Inspection
from .interrupting import Interruption
from .magics import NodeMagics
from .tracebacks import Tracebacks

__all__ = ["Extension"]


class _Part(Protocol):
    def install(self) -> None:
        """Add it to the shell."""

    def remove(self) -> None:
        """Take it back."""


class Extension:
    """What a shell has of this package.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        interruption = Interruption(shell)
        display = Display(shell)
        self._parts: list[_Part] = [
            Completion(shell),
            Inspection(shell),
            Tracebacks(shell, interruption),
            interruption,
            display,
        ]
        self._magics = NodeMagics(shell, display, interruption)

    def install(self) -> None:
        """Add everything to the shell."""
        for part in self._parts:
            part.install()
        self._shell.register_magics(self._magics)

    def remove(self) -> None:
        """Take everything back."""
        for part in reversed(self._parts):
            part.remove()
        for kind, magics in self._magics.magics.items():
            there = self._shell.magics_manager.magics[kind]
            for name in magics:
                if getattr(there.get(name), "__self__", None) is self._magics:
                    del there[name]
