"""Keys that are pressed in the terminal while the demo runs."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import Any

__all__ = ["Keys"]


class Keys:
    """Reads single keys, without waiting for Enter and without showing them.

    Where stdin is no terminal, or one that somebody else is using, there are none.
    Ctrl-C remains what it is.

    Attributes
    ----------
    available : bool
        Within ``with``: whether there may be any.
    """

    def __init__(self) -> None:
        self.available = False
        self._before: list[Any] | None = None

    def __enter__(self) -> Keys:
        with contextlib.suppress(ImportError, OSError, ValueError):  # no stdin, no termios
            import termios
            import tty

            self._fd = sys.stdin.fileno()
            if self._is_ours():
                self._before = termios.tcgetattr(self._fd)
                tty.setcbreak(self._fd, termios.TCSANOW)
                self.available = True
        return self

    def __exit__(self, *_: object) -> None:
        self.available = False
        if self._before is not None:
            import termios

            with contextlib.suppress(termios.error):  # the terminal has gone
                termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def pressed(self) -> str:
        """Return what was typed since the last time; do not wait."""
        if not self.available or not self._is_ours():
            return ""
        with contextlib.suppress(OSError):  # the terminal has gone
            if select.select([self._fd], [], [], 0)[0]:
                return os.read(self._fd, 1024).decode(errors="replace")
        return ""

    def _is_ours(self) -> bool:
        """Whether it is a terminal in which this program is in the foreground."""
        if not os.isatty(self._fd):
            return False
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # a terminal without job control
            return True
