"""A program in a terminal of its own, with somebody at the keyboard."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from types import TracebackType

from processes import ROOT

_WHERE_IS_THE_CURSOR = b"\x1b[6n"
_CONTROL = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


_SIZE = (50, 200)  # lines and columns


def _be_controlled() -> None:
    """Have the terminal send signals for Ctrl-C, in the child before it runs the command."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """Runs a command, reads what it shows, and types.

    Parameters
    ----------
    command : sequence of str
    env : dict
        On top of this process's.
    """

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT), **env}
        self.process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=ROOT,
            start_new_session=True, preexec_fn=_be_controlled,
        )  # fmt: skip
        os.close(theirs)
        self._shown = b""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))

    def wait_for(self, pattern: str, timeout: float = 25.0) -> re.Match[str]:
        """Read until that is shown; what is shown up to there is not found again."""
        deadline = time.monotonic() + timeout
        while True:
            text = _CONTROL.sub(b"", self._shown).decode(errors="replace")
            found = re.search(pattern, text)
            if found:
                self._shown = text[found.end() :].encode()
                return found
            left = deadline - time.monotonic()
            assert left > 0, f"{pattern!r} was not shown, but: {text}"
            if select.select([self._ours], [], [], left)[0]:
                try:
                    self._shown += os.read(self._ours, 65536)
                except OSError:
                    raise AssertionError(f"it ended, and showed: {text}") from None
            if _WHERE_IS_THE_CURSOR in self._shown:
                self._shown = self._shown.replace(_WHERE_IS_THE_CURSOR, b"")
                os.write(self._ours, b"\x1b[1;1R")

    def type(self, line: str) -> None:
        """Type a line."""
        self.press(line + "\r")

    def press(self, keys: str) -> None:
        """Press keys, without Enter."""
        os.write(self._ours, keys.encode())

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)
