"""Cells that a prompt has sent to this node: run here, in a namespace that is kept.

What is run is what a person has typed at a prompt, as the argument of a plain call, which
the server's policy has granted: only a trusting one lets clients import this module.
"""

from __future__ import annotations

import ast
import contextlib
import io
import itertools
import linecache
import operator
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pyacq_rpc import ObjectProxy, RPCServer
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.session.describing import rendering_of

__all__ = ["NAMESPACE", "namespace", "run"]

NAMESPACE = "__remote__"
"""The module that cells run in; ``node._import("__remote__").x`` is a variable of theirs."""

_MOST = 1_000_000
"""Characters that may wait to be passed on; who prints more is held up."""

_WRITE_TIMEOUT = 30.0
"""Seconds in which a prompt has to take what was printed."""

Write = Callable[[list[tuple[str, str]]], object]


def namespace() -> ModuleType:
    """Return the module that cells run in."""
    module = sys.modules.get(NAMESPACE)
    if module is None:
        module = ModuleType(NAMESPACE, "What was run here from a prompt.")
        sys.modules[NAMESPACE] = module
    return module


def run(source: str, title: str, write: Write) -> dict[str, Any] | None:
    r"""Run a cell, in the thread that serves.

    Parameters
    ----------
    source : str
    title : str
        What the cell is called in tracebacks.
    write : callable
        Is called from another thread with what the cell prints: a list of
        ``('stdout' or 'stderr', text)``. It has got all of it when this returns. An empty
        text comes first, when the cell begins.

    Returns
    -------
    dict or None
        The value of the last expression, as by `rendering_of`; None if there is none, it is
        None, or the cell ends with a semicolon.

    Raises
    ------
    BaseException
        What the cell raises.

    Examples
    --------
    >>> printed = []
    >>> run("x = 20; print(x); x + 1", "cell 1", printed.extend)["data"]
    {'text/plain': '21'}
    >>> "".join(text for _, text in printed)
    '20\n'
    """
    if isinstance(write, ObjectProxy):
        write._set_proxy_options(timeout=_WRITE_TIMEOUT, sync="sync", return_type="auto")
    file = f"<{title}>"
    # For tracebacks, also those of functions that are called later.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    variables = vars(namespace())
    variables.setdefault("server", RPCServer.get_server())
    body, last = _parts(source, file)
    with _Output(write) as output, output.instead():
        exec(body, variables)  # noqa: S102  # see above
        if last is None:
            return None
        value = eval(last, variables)  # noqa: S307  # see above
        if value is None or source.rstrip().endswith(";"):
            return None
        variables["_"] = value
        return rendering_of(value)


def _parts(source: str, file: str) -> tuple[Any, Any]:
    """Compile all but the last expression, and that."""
    tree = ast.parse(source, file)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        expression = tree.body.pop()
        assert isinstance(expression, ast.Expr)
        last = compile(ast.Expression(expression.value), file, "eval", dont_inherit=True)
    return compile(tree, file, "exec", dont_inherit=True), last


class _Output:
    """Passes on what is printed, from a thread of its own, in order.

    Parameters
    ----------
    write : callable
        As of `run`.
    """

    def __init__(self, write: Write) -> None:
        self._write = write
        self._changed = threading.Condition()
        self._waiting: list[tuple[str, str]] = [("stdout", "")]
        self._size = 0
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="output of a cell", daemon=True)

    def __enter__(self) -> _Output:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._thread.join()

    @contextlib.contextmanager
    def instead(self) -> Any:
        """Be this process's stdout and stderr."""
        out, err = _Stream(self, "stdout", sys.stdout), _Stream(self, "stderr", sys.stderr)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            yield

    def put(self, stream: str, text: str) -> bool:
        """Pass a text on, soon; whether there is somebody to take it."""
        # These two do what it takes to pass it on, so they must not wait for that.
        passes_on = threading.current_thread() is self._thread or current().watcher.is_current()
        with self._changed:
            self._changed.wait_for(lambda: self._size <= _MOST or self._ended or passes_on)
            if self._ended:
                return False
            self._waiting.append((stream, text))
            self._size += len(text)
            self._changed.notify_all()
            return True

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    return
                # Who prints goes on meanwhile; what comes is gathered for the next call.
                taken, self._waiting, self._size = self._waiting, [], 0
                self._changed.notify_all()
            try:
                self._write(_merged(taken))
            except Exception as error:  # noqa: BLE001  # whoever takes it: it has gone
                self._give_up(error)
                return

    def _give_up(self, error: Exception) -> None:
        """The prompt is gone: the cell goes on, and prints where the node does."""
        with self._changed:
            self._ended = True
            self._waiting.clear()
            self._changed.notify_all()
        sys.__stderr__.write(f"what a cell prints is not taken any more: {error}\n")  # type: ignore[union-attr]


def _merged(printed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Join what went to the same stream in a row."""
    return [
        (stream, "".join(text for _, text in texts))
        for stream, texts in itertools.groupby(printed, key=operator.itemgetter(0))
    ]


class _Stream(io.TextIOBase):
    """The stdout or stderr of a cell; once that has ended, what it was before."""

    encoding = "utf-8"

    def __init__(self, output: _Output, name: str, before: Any) -> None:
        self._output = output
        self._name = name
        self._before = before

    def writable(self) -> bool:
        """Whether it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Write a text."""
        if not isinstance(text, str):
            raise TypeError(f"a text is written here, not {type(text).__name__!r}")
        if text and not self._output.put(self._name, text):
            self._before.write(text)
        return len(text)
