"""Tracebacks of remote calls: the part from over there in colours, and less of our own."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from pyacq_rpc import RemoteCallException, RPCError
from pyacq_rpc.errors import RemoteTraceback
from pyacq_rpc.peers.unanswered import unanswered_by

from .interrupting import Interruption

__all__ = ["Tracebacks", "coloured", "up_to_the_user"]

_OURS = ("pyacq_rpc", "spawner")
_HEADLINE = "Traceback (most recent call last):"
_CHAINED = "\nThe above exception was the direct cause of the following exception:\n"


class Tracebacks:
    """Shows exceptions of remote calls, for the shell and its ``%tb`` and ``%debug``.

    Parameters
    ----------
    shell : InteractiveShell
    interruption : Interruption
        Is told of exceptions before they are shown.
    """

    def __init__(self, shell: Any, interruption: Interruption) -> None:
        self._shell = shell
        self._interruption = interruption

    def install(self) -> None:
        """Be asked to format tracebacks."""
        self._shell.InteractiveTB.structured_traceback = self._formatted

    def remove(self) -> None:
        """Leave that to IPython again."""
        del self._shell.InteractiveTB.structured_traceback

    def _formatted(
        self, etype: Any = None, evalue: Any = None, etb: Any = None, *args: Any, **kwds: Any
    ) -> list[str]:
        formatter = self._shell.InteractiveTB
        plain = type(formatter).structured_traceback
        if evalue is not None:
            self._interruption.note(evalue)
        ours = isinstance(evalue, RPCError) or unanswered_by(evalue) is not None
        if not ours or not isinstance(etb, TracebackType):
            return list(plain(formatter, etype, evalue, etb, *args, **kwds))
        of_cell = getattr(evalue, "of_cell", False)
        if formatter.mode != "Verbose":
            etb = up_to_the_user(etb, (*_OURS, "IPython", "decorator") if of_cell else _OURS)
            evalue.__traceback__ = etb  # where %debug begins
        cause = evalue.__cause__
        if not isinstance(evalue, RemoteCallException) or not isinstance(cause, RemoteTraceback):
            local = list(plain(formatter, etype, evalue, etb, *args, **kwds))
            # A node that is gone, say: how its cell was sent is of no interest.
            return list(formatter.get_exception_only(etype, evalue)) if of_cell else local
        # As text it says more than as an exception of its own.
        suppressed = evalue.__suppress_context__
        evalue.__cause__, evalue.__suppress_context__ = None, True
        try:
            local = list(plain(formatter, etype, evalue, etb, *args, **kwds))
        finally:
            evalue.__cause__, evalue.__suppress_context__ = cause, suppressed
        if formatter.mode == "Minimal":
            return local
        remote = remote_part(self._shell, evalue)
        return [remote] if of_cell else [remote, _CHAINED, *local]


def remote_part(shell: Any, error: RemoteCallException) -> str:
    """Return the remote traceback of an exception, in the colours of a shell."""
    shown = coloured(shell, error.remote_traceback.rstrip())
    return shown.replace(_HEADLINE, f"Remote {_HEADLINE}")


def coloured(shell: Any, text: str) -> str:
    """Return the text of a traceback in the colours that a shell has for code."""
    style = _style(str(shell.colors).lower())
    if style is None:
        return text
    from pygments import highlight
    from pygments.formatters import Terminal256Formatter
    from pygments.lexers import PythonTracebackLexer

    shown: str = highlight(text, PythonTracebackLexer(), Terminal256Formatter(style=style))
    return shown.rstrip("\n")


def _style(colours: str) -> Any:
    """Return the style of pygments that belongs to a scheme of the shell's; None for none."""
    if colours in ("nocolor", ""):
        return None
    try:
        from IPython.utils.PyColorize import theme_table
    except ImportError:  # before IPython 9, which has no themes
        return {"linux": "monokai"}.get(colours, "default")
    theme = theme_table.get(colours)
    return None if theme is None else theme.as_pygments_style()


def up_to_the_user(tb: TracebackType, ours: tuple[str, ...] = _OURS) -> TracebackType:
    """Return a traceback without the frames at its end that are not the user's.

    The debugger then begins where the user's code has made the call.

    Parameters
    ----------
    tb : traceback
    ours : tuple of str
        The packages that are not.
    """
    frames = []
    last = 0
    at: TracebackType | None = tb
    while at is not None:
        frames.append(at)
        if str(at.tb_frame.f_globals.get("__name__")).partition(".")[0] not in ours:
            last = len(frames)
        at = at.tb_next
    shortened: TracebackType | None = None
    for at in reversed(frames[: last or len(frames)]):
        shortened = TracebackType(shortened, at.tb_frame, at.tb_lasti, at.tb_lineno)
    assert shortened is not None
    return shortened
