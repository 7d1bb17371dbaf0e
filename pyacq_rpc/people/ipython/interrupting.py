"""Ctrl-C at the prompt: once to stop waiting, once more to stop what is waited for.

The first one raises `KeyboardInterrupt` in the wait, as everywhere. When the cell has ended
by it, and the call goes on over there, the user is told, and a second one that comes soon
interrupts that call. At an idle prompt Ctrl-C is a key; before it is there, a signal.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from pyacq_rpc import CallTimeout, RPCClient, RPCError
from pyacq_rpc.peers.unanswered import Unanswered, unanswered_by

__all__ = ["SOON", "Interruption"]

SOON = 5.0
"""Seconds after the first Ctrl-C within which another one interrupts the remote call."""

_TO_END = 1.0
"""Seconds for which an interrupted call is waited for, which may have to tidy up."""


class Interruption:
    """Knows which call the user has ceased to wait for, and how to stop it.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._call: Unanswered | None = None
        self._noted = 0.0
        self._forget_key: Callable[[], None] | None = None
        self._before: Any = None

    def install(self) -> None:
        """Look at how each cell ends, and listen to Ctrl-C at the prompt."""
        self._shell.events.register("pre_run_cell", self._cell_begins)
        self._shell.events.register("post_run_cell", self._cell_has_ended)
        self._forget_key = self._bind_key()

    def remove(self) -> None:
        """Do neither."""
        self._shell.events.unregister("pre_run_cell", self._cell_begins)
        self._shell.events.unregister("post_run_cell", self._cell_has_ended)
        if self._forget_key is not None:
            self._forget_key()
        self._mind_signals(False)
        self._call = None

    def call(self) -> Unanswered | None:
        """Return the call that the user has ceased to wait for, if it still goes on."""
        call = self._call
        return call if call is not None and call.goes_on() else None

    def note(self, error: BaseException) -> None:
        """Note what an exception has ended the wait for, before that is shown."""
        call = unanswered_by(error)
        if call is not None and call.goes_on():
            self._note(call)
            self._mind_signals(True)

    def _note(self, call: Unanswered) -> None:
        self._call, self._noted = call, time.monotonic()

    def stop(self) -> str:
        """Stop that call; return what has come of it, in words."""
        call = self.call()
        if call is None:
            return "There is no call of yours that goes on."
        self._call = None
        call.withdraw()  # if it was not begun, it never is
        client = RPCClient.get_client(call.address)
        try:
            if client is None or client.closed():
                return f"{call.server} is gone."
            status = client.status()
            if status.state == "unresponsive":
                return f"{call.server} gives no sign of life; your call was withdrawn."
            if client.interrupt(future=call):
                told = f"Interrupted {status.doing or 'the call'} in {call.server}"
                self._note(call)  # before the wait, which may be interrupted as well
                if call.ends(_TO_END):
                    self._call = None
                    return f"{told}."
                return f"{told}, where it has not ended yet; once more interrupts it again."
            if status.state == "busy":
                return (
                    f"Your call was withdrawn. {call.server} goes on with {status.doing}, which"
                    " is not yours: %interrupt NAME would stop that."
                )
            return f"Your call has ended in {call.server}, or was withdrawn."
        except CallTimeout:
            return f"{call.server} does not let itself be interrupted."
        except RPCError as error:
            return f"Not interrupted: {error}"

    # -- cells -------------------------------------------------------------------

    def _cell_begins(self, info: Any) -> None:
        self._mind_signals(False)

    def _cell_has_ended(self, result: Any) -> None:
        error = result.error_in_exec
        if error is None or unanswered_by(error) is None:
            return
        self.note(error)
        call = self.call()
        if call is not None:
            print(
                f"Stopped waiting for {call.server}, where the call goes on."
                " Ctrl-C once more, or %interrupt, stops it there.",
                file=sys.stderr,
            )

    # -- the second Ctrl-C -------------------------------------------------------

    def _is_meant(self) -> bool:
        return self.call() is not None and time.monotonic() - self._noted < SOON

    def _bind_key(self) -> Callable[[], None] | None:
        """Listen to the key, where there is a prompt with keys."""
        app = getattr(self._shell, "pt_app", None)
        if app is None:
            return None
        from prompt_toolkit.application import run_in_terminal
        from prompt_toolkit.filters import Condition, has_focus

        idle = has_focus("DEFAULT_BUFFER") & Condition(lambda: not app.default_buffer.text)

        @app.key_bindings.add("c-c", filter=idle & Condition(self._is_meant))
        def interrupt(event: Any) -> None:
            run_in_terminal(lambda: print(self.stop()))

        def forget() -> None:
            app.key_bindings.remove(interrupt)

        return forget

    def _mind_signals(self, minded: bool) -> None:
        """While the prompt is not there yet, a second Ctrl-C is a signal."""
        if threading.current_thread() is not threading.main_thread():
            return
        if minded and self._forget_key is not None and self._before is None:
            handler = signal.getsignal(signal.SIGINT)
            if handler is signal.default_int_handler:
                self._before = handler
                signal.signal(signal.SIGINT, self._on_signal)
        elif not minded and self._before is not None:
            # The prompt has its own handler, and leaves Python's.
            with contextlib.suppress(ValueError):
                if signal.getsignal(signal.SIGINT) == self._on_signal:
                    signal.signal(signal.SIGINT, self._before)
            self._before = None

    def _on_signal(self, signum: int, frame: Any) -> None:
        self._mind_signals(False)
        if not self._is_meant():
            raise KeyboardInterrupt
        print(self.stop())
        self._mind_signals(self.call() is not None)
