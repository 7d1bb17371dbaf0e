"""Sending a cell to a node, and showing what comes of it."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from pyacq_rpc import RemoteCallException, RPCClient, RPCError
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.wire.messages import Failure

from .display import Rendering

__all__ = ["of_cell", "send_cell"]

_CELLS = "pyacq_rpc.people.ipython.cells"


def _write(printed: list[tuple[str, str]]) -> None:
    """Write what a cell has printed; called by the node."""
    for stream, text in printed:
        file = sys.stderr if stream == "stderr" else sys.stdout
        file.write(text)
        file.flush()


def send_cell(client: RPCClient, source: str, title: str) -> Rendering | None:
    """Run a cell in a node, and wait for its end.

    Parameters
    ----------
    client : RPCClient
        Of this thread.
    source : str
    title : str
        What the cell is called in tracebacks.

    Returns
    -------
    Rendering or None
        Of the last expression, if it has a value.

    Raises
    ------
    RPCError
        What the cell has raised; marked, so that the part of the traceback that is
        about this machinery is not shown.
    KeyboardInterrupt
        If the user does not want to wait for the end of a cell that was interrupted.
    """
    try:
        cells = _wait_to_begin(client._import(_CELLS, sync="async"))
        sent: list[Any] = []
        try:
            _at_once(lambda: sent.append(cells.run(source, title, _write, _sync="async")))
            told = sent[0].result()
        except KeyboardInterrupt:
            if not sent:
                raise
            future = sent[0]
            if not (client.interrupt(future=future) or future.done()):
                _withdraw(future)
            told = future.result()
    except RPCError as error:
        marked = of_cell(error)
        raise marked from marked.__cause__
    return None if told is None else Rendering(told)


def _at_once(function: Callable[[], object]) -> None:
    """Call a function, and have Ctrl-C come after it.

    Else it may come when a cell was sent and has begun, and nobody knows of it yet.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is None or threading.current_thread() is not threading.main_thread():
        function()
        return
    came: list[int] = []
    signal.signal(signal.SIGINT, lambda signum, frame: came.append(signum))
    try:
        function()
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _wait_to_begin(future: Any) -> Any:
    """Wait until a node that may be busy has a moment, or the user has no more patience."""
    try:
        return future.result()
    except KeyboardInterrupt:
        _withdraw(future)


def _withdraw(future: Any) -> NoReturn:
    future.cancel()
    print("The cell was withdrawn: the node had not begun with it.", file=sys.stderr)
    raise KeyboardInterrupt from None


def of_cell(error: RPCError) -> RPCError:
    """Return an error marked as that of a cell: of our own part, nothing is to be shown."""
    if isinstance(error, RemoteCallException) and isinstance(error, SyntaxError):
        # As one of ours, IPython would look for it in the local cell. And nobody wants to see
        # how it was found.
        head, mark, rest = error.remote_traceback.partition('  File "<')
        text = f"{head.splitlines()[0]}\n{mark}{rest}" if mark else error.remote_traceback
        type_name, message = error.type_name, error.message
        error = rebuild(Failure(None, "exception", type_name, [], message, None, text))
    error.of_cell = True  # type: ignore[attr-defined]
    return error
