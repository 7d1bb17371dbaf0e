"""``pyacq-rpc call``: call a method of a published object, or print a value."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from pyacq_rpc import AccessDenied, CallTimeout, ObjectProxy, RemoteCallException

from ...wire.messages import Target
from ..failing import CommandError, sentence_of
from ..progress import Progress
from .arguments import Commands, add_json, add_server, seconds

if TYPE_CHECKING:
    from pyacq_rpc import Future, RPCClient

__all__ = ["add_parser", "as_json", "parse_arguments"]

_CALLABLE = ("method ", "function ", "builtin ")
"""What the types of functions and methods begin with, as proxies tell them."""

_QUIET = 1.0
"""Seconds after which it is shown that an answer is waited for."""


def add_parser(commands: Commands) -> None:
    """Add the command to those of the program."""
    parser = commands.add_parser(
        "call",
        help="call a method of a published object, or print a value",
        description="Call what TARGET names, a method of a published object, and print what it"
        " returns. What is no function or method is printed instead, unless there are arguments"
        " or TARGET ends with ().",
        epilog="An ARG is JSON where it can be read as such, else text: 0.1, true, '[1, 2]' and"
        " null are what they seem, and red is the text 'red'. KEY=ARG gives it by name. The text"
        " '5' is '\"5\"', quotes and all. Arguments that begin with a dash come after --.",
    )
    add_server(parser)
    parser.add_argument("target", metavar="TARGET", help="such as camera.expose")
    parser.add_argument("args", nargs="*", metavar="ARG", help="an argument")
    parser.add_argument(
        "-s", "--string", action="store_true", help="take each ARG as text, just as it is"
    )
    parser.add_argument(
        "-t",
        "--timeout",
        type=seconds(0, 1e6),
        metavar="SECONDS",
        help="how long to wait for the answer (default: until it comes)",
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the traceback of a remote error"
    )
    add_json(parser)
    parser.set_defaults(run=_call)


def _call(options: argparse.Namespace) -> int:
    from ..reaching import reach

    args, kwargs = parse_arguments(options.args, options.string)
    name, *attributes = options.target.removesuffix("()").split(".")
    if not all([name, *attributes]):
        raise CommandError(f"{options.target!r} names nothing; give a name like camera.expose")
    target = Target("@" + name, attributes)
    client = reach(options.server)
    asking = _Asking(client, options.target, options.timeout)
    call = {"obj": target, "args": args, "kwargs": kwargs}
    try:
        if args or kwargs or options.target.endswith("()"):
            found = asking.ask("call_obj", call)
        else:
            found = _value_or_call(asking, call)
    except RemoteCallException as error:
        if options.verbose and error.remote_traceback:
            sys.stderr.write(f"{error.remote_traceback.rstrip()}\n")
            raise CommandError(sentence_of(error)) from None
        more = " (-v shows the traceback)" if error.remote_traceback else ""
        raise CommandError(f"{sentence_of(error)}{more}") from None
    print(as_json(found) if options.json else repr(found))
    return 0


def _value_or_call(asking: _Asking, call: dict[str, Any]) -> Any:
    """Return a value, or what calling it gives if it is a function."""
    try:
        found = asking.ask("get_obj", {"obj": call["obj"]})
    except AccessDenied:  # what may be called need not be what may be had
        return asking.ask("call_obj", call)
    if isinstance(found, ObjectProxy) and found._type_str.startswith(_CALLABLE):
        return asking.ask("call_obj", call)
    return found


class _Asking:
    """Sends requests, and shows on the terminal what is waited for."""

    def __init__(self, client: RPCClient, what: str, timeout: float | None) -> None:
        self._client = client
        self._what = what
        self._timeout = timeout

    def ask(self, action: str, options: dict[str, Any]) -> Any:
        """Return the answer to a request; withdraw that if nobody waits for it any more."""
        future = self._client.send(action, options, sync="async")
        try:
            with Progress() as progress:
                return self._wait(future, progress)
        except (KeyboardInterrupt, CommandError):
            future.cancel()
            raise

    def _wait(self, future: Future[Any], progress: Progress) -> Any:
        began = time.monotonic()
        while True:
            waited = time.monotonic() - began
            left = _QUIET if self._timeout is None else min(_QUIET, self._timeout - waited)
            try:
                return future.result(max(left, 0.0))
            except CallTimeout:
                if future.done():
                    continue
            waited = time.monotonic() - began
            if self._timeout is not None and waited >= self._timeout:
                raise CommandError(
                    f"no answer after {self._timeout:g} s; what has begun goes on over there"
                )
            progress.show(f"waiting for {self._what}: {waited:.0f} s, Ctrl-C ends the wait")


def parse_arguments(texts: list[str], is_text: bool = False) -> tuple[list[Any], dict[str, Any]]:
    """Return what is given by position and what by name.

    Parameters
    ----------
    texts : list of str
        As on the command line.
    is_text : bool
        Whether they are to be taken as they are, all by position.

    Examples
    --------
    >>> parse_arguments(["0.1", "red", '"5"', "gain=[1, 2]"])
    ([0.1, 'red', '5'], {'gain': [1, 2]})
    """
    if is_text:
        return list(texts), {}
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for text in texts:
        key, found, value = text.partition("=")
        if not (found and key.isidentifier()):
            args.append(_parse(text))
        elif key in kwargs:
            raise CommandError(f"{key} is given twice")
        else:
            kwargs[key] = _parse(value)
    return args, kwargs


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def as_json(value: Any) -> str:
    """Return a value as JSON; arrays as lists.

    Raises
    ------
    CommandError
        If it has no such form.

    Examples
    --------
    >>> as_json((1, {"a": None}))
    '[1, {"a": null}]'
    """
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise CommandError(
            f"the result has no JSON form: {error}; without --json it is shown"
        ) from None


def _plain(value: Any) -> Any:
    """Return an array or scalar of numpy's, which need not be installed, as plain values."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"{value!r:.200}")
