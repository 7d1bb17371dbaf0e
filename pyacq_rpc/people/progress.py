"""A line on the terminal that says what goes on while something takes long."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TextIO

__all__ = ["Progress"]


class Progress:
    """Shows one line on stderr, which goes away at the end; nothing if that is no terminal.

    Parameters
    ----------
    stream : text stream, optional
        By default stderr.

    Examples
    --------
    >>> with Progress() as progress:
    ...     progress.show("1 of 2")
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = self._stream.isatty()

    def show(self, text: str) -> None:
        """Show that instead of what was shown before."""
        if self._is_terminal:
            # A line that is wrapped could not be taken back.
            self._stream.write(f"\r\x1b[K{text[: self._columns() - 1]}")
            self._stream.flush()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or 80
        except (OSError, ValueError):  # one that does not know, or has gone
            return 80

    def clear(self) -> None:
        """Take the line away, for what is to stay."""
        if self._is_terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.clear()
