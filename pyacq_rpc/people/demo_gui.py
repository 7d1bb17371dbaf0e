"""The GUI process of the demo, as the main process holds it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyacq_rpc import RPCError, ServerDisconnected
from spawner import ProcessSpawner, SpawnError

__all__ = ["Gui", "has_display"]

_MODULE = "pyacq_rpc.people.demo_window"
_OFFSCREEN: dict[str, str | None] = {"QT_QPA_PLATFORM": "offscreen"}
_PATIENCE = 60.0
"""Seconds that importing a GUI may take on a slow machine, and drawing a picture."""


def has_display() -> bool:
    """Whether windows can be seen here, as far as the environment tells."""
    wanted = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    return not sys.platform.startswith("linux") or any(map(os.environ.get, wanted))


class Gui:
    """A process with one window, which may end at any time without taking others along.

    Without a display it draws all the same, for the picture.

    Attributes
    ----------
    node : ProcessSpawner
    window : proxy of DemoWindow
        After `open`.
    seen : bool
        Whether the window is one that the user may see.
    why_unseen : str
        The reason if not.
    alive : bool
        Whether the process was there when `has_ended` looked.

    Raises
    ------
    SpawnError
        If it does not start.
    """

    def __init__(self) -> None:
        self.why_unseen = ""
        self.window: Any = None
        self.alive = True
        if has_display():
            try:
                self.node = self._spawn(None)
            except SpawnError as error:
                # Qt aborts the process if the display is out of reach.
                self.why_unseen = (error.stderr or str(error)).partition("\n")[0]
                self.node = self._spawn(_OFFSCREEN)
        else:
            self.why_unseen = "there is no display"
            self.node = self._spawn(_OFFSCREEN)
        if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
            self.why_unseen = "QT_QPA_PLATFORM is offscreen"
        self.seen = not self.why_unseen

    def load(self) -> None:
        """Import what the window is made of, which takes a moment."""
        self._module = self.node._import(_MODULE, _timeout=_PATIENCE)

    def open(
        self,
        signals: list[tuple[str, str]],
        began: float,
        seconds: float,
        pressed: Callable[[], object],
        closed: Callable[[], object],
    ) -> None:
        """Open the window, after `load`.

        Parameters
        ----------
        signals, began, seconds
            As of `DemoWindow`.
        pressed, closed : callable
            Called in this process when the user presses the button, and when
            the window was closed.
        """
        self.window = self._module.DemoWindow(signals, began, seconds, _timeout=_PATIENCE)
        self.window.button.clicked.connect(pressed)
        self.window.closed.connect(closed)
        self.window.show()

    def do(self, method: str, *args: object) -> None:
        """Have the window do something, without waiting for it; nothing if it is gone."""
        if self.window is None or not self.alive:
            return
        with contextlib.suppress(ServerDisconnected):
            getattr(self.window, method)(*args, _sync="off")

    def press(self) -> None:
        """Press the button, as the user would."""
        with contextlib.suppress(ServerDisconnected):
            self.window.button.click(_sync="off")

    def enable(self, enabled: bool) -> None:
        """Set whether the button can be pressed."""
        if self.alive:
            with contextlib.suppress(ServerDisconnected):
                self.window.button.setEnabled(enabled, _sync="off")

    def has_ended(self) -> bool:
        """Look whether the process has ended; True once."""
        if self.alive and self.node.poll() is not None:
            self.alive = False
            return True
        return False

    def save(self, path: Path) -> str:
        """Save a picture of the window.

        Returns
        -------
        str
            Why there is none, or nothing if there is.
        """
        try:
            if self.node.poll() is None:
                self.window.save(str(path.resolve()), _timeout=_PATIENCE)
                return ""
        except ServerDisconnected:
            self.node.kill()  # so that there is an exit code
        except RPCError as error:
            return str(error)
        code = self.node.poll()
        text = f"the GUI process has ended with exit code {code}"
        if code != -signal.SIGKILL:  # it may have said why
            text += f"\n{self.node.stderr.rstrip()}"
        return text

    def close(self) -> None:
        """End the process."""
        self.node.stop()

    def _spawn(self, env: dict[str, str | None] | None) -> ProcessSpawner:
        return ProcessSpawner(
            name="gui",
            qt=True,
            env=env,
            output="capture",  # what Qt has to say would go right through the table
            start_timeout=_PATIENCE,
        )
