"""What tools that people use ask of a proxy: its docstring, its signature, its keys.

Each is one request, which the owner answers by `describing` if its policy grants that. Who asks
may be a prompt that has to go on: it is kept waiting for half a second at most, and gets
nothing from a server that is busy, gone, or does not tell.
"""

from __future__ import annotations

import sys
import time
import weakref
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError, RPCError
from ..wire.messages import Target

if TYPE_CHECKING:
    import inspect

    from .proxy import ObjectProxy

__all__ = [
    "DESCRIBE",
    "DISPLAY",
    "KEYS",
    "PATIENCE",
    "QUESTIONS",
    "RemoteDoc",
    "RemoteSignature",
    "answer",
    "ask",
    "ask_description",
    "ask_list",
    "calling_module",
    "is_completion",
    "signature_of",
]

DESCRIBE, KEYS, DISPLAY = "__describe__", "__keys__", "__display__"

QUESTIONS = {DESCRIBE: "describe", KEYS: "keys", DISPLAY: "display"}
"""Names of the protocol's own at the end of a called target, and what the policy is asked."""

PATIENCE = 0.45
"""Seconds that a question waits for its answer, so that a prompt is held up for half of one."""

HELP_PATIENCE = 5.0
"""Seconds that `help` waits: the text of a large module takes a while."""

_SAME_HELP = 0.5
"""Seconds within which a text is asked for again for the same `help`."""

_COMPLETERS = ("IPython.core.completer", "jedi.", "rlcompleter", "_pyrepl.")
_DEEPEST = 60
"""Frames: jedi goes that deep before it asks."""


def answer(name: str, obj: Any, args: list[Any], whole: bool) -> Any:
    """Answer a question that was granted, for the owner of `obj`.

    Parameters
    ----------
    name : str
        One of `QUESTIONS`.
    obj : object
    args : list
        Of the question.
    whole : bool
        Whether who asks may see source.
    """
    from . import describing  # here: nodes start without it

    if name == DESCRIBE:
        detail = args[0] if args else ""
        return describing.describe_object(obj, detail, whole)
    return describing.keys_of(obj) if name == KEYS else describing.rendering_of(obj)


def ask(proxy: ObjectProxy, name: str, *args: Any, timeout: float | None = None) -> Any:
    """Ask the owner of a proxy's object a question.

    Parameters
    ----------
    proxy : ObjectProxy
    name : str
        One of `QUESTIONS`, or a special method.
    *args
        Of the question.
    timeout : float or None
        Seconds to wait for the answer; by default `PATIENCE`.

    Raises
    ------
    RPCError
        If there is no answer.
    """
    target = Target(proxy._reference.ref, [*proxy._attributes, name])
    opts = {"obj": target, "args": list(args), "kwargs": {}}
    patience = PATIENCE if timeout is None else timeout
    return proxy._send("call_obj", opts, "sync", "auto", patience)


def ask_list(proxy: ObjectProxy, name: str) -> list[Any]:
    """Ask for names or keys to complete; empty if there is no answer, or none that is a list."""
    try:
        found = ask(proxy, name)
    except RPCError:  # the prompt would show whatever is raised
        return []
    return found if isinstance(found, list) else []


def ask_description(
    proxy: ObjectProxy, detail: str = "", timeout: float | None = None
) -> dict[str, Any]:
    """Ask what an object is; see `describing.describe_object`.

    Raises
    ------
    RPCError
        If there is no answer, or none that could be one.
    """
    told = ask(proxy, DESCRIBE, *([detail] if detail else []), timeout=timeout)
    if not isinstance(told, dict):
        raise ProtocolError(f"{proxy!r} was described by {type(told).__name__!r} instead of a dict")
    return told


class RemoteDoc:
    """The ``__doc__`` of a class whose objects have that of what they stand for.

    Parameters
    ----------
    own : str or None
        The docstring of the class itself.
    """

    def __init__(self, own: str | None) -> None:
        self._own = own
        self._helped: tuple[Any, float, str] | None = None

    def __get__(self, proxy: ObjectProxy | None, cls: type) -> str | None:
        if proxy is None:
            return self._own
        # Of what is neither a function nor a class, `help` shows the docstring only. So that
        # gets all that it would show over there.
        if calling_module(1) == "pydoc":
            return self._help(proxy)
        try:
            doc = ask_description(proxy).get("doc")
        except RPCError:  # whoever reads a docstring does not expect an exception
            return None
        return doc if isinstance(doc, str) else None

    def _help(self, proxy: ObjectProxy) -> str:
        # For one `help` it is asked for several times, and a busy server would be waited for
        # each time.
        if self._helped is not None:
            whose, when, text = self._helped
            if whose() is proxy and time.monotonic() - when < _SAME_HELP:
                return str(text)
        text = _help(proxy)
        self._helped = (weakref.ref(proxy), time.monotonic(), text)
        return text


class RemoteSignature:
    """The ``__signature__`` of what a proxy stands for, which `inspect.signature` looks for."""

    def __get__(self, proxy: ObjectProxy | None, cls: type) -> inspect.Signature:
        if proxy is None:
            raise AttributeError("__signature__")  # the class has its own
        try:
            signature = signature_of(ask_description(proxy))
        except RPCError as error:
            # Without the attribute, `inspect` would ask yet more, and wait for that.
            failure = ValueError if calling_module(1) == "inspect" else AttributeError
            raise failure(f"the signature of {proxy!r} is not known: {error}") from error
        if signature is None:  # then it is that of the proxy's own __call__
            raise AttributeError(f"{proxy!r} has no signature, or cannot be called")
        return signature


class _Shown(str):
    """Text that stands for a value of the other side, and is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def signature_of(told: dict[str, Any]) -> inspect.Signature | None:
    """Rebuild a signature from what an owner has told; None if there is none.

    Values that cannot travel, and annotations, are strings that are shown as they
    are shown over there.

    Raises
    ------
    ProtocolError
        If that could be no signature.

    Examples
    --------
    >>> parameters = [["seconds", 1, None, "float"], ["where", 3, ["text", "<Stage>"], None]]
    >>> signature_of({"signature": [parameters, "Frame"]})
    <Signature (seconds: float, *, where=<Stage>) -> Frame>
    """
    if told.get("signature") is None:
        return None
    try:
        parameters, returns = told["signature"]
        return _rebuilt(parameters, returns)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a signature that is none: {error}") from error


def _rebuilt(parameters: list[Any], returns: str | None) -> inspect.Signature:
    import inspect  # here: it takes long to import

    empty = inspect.Parameter.empty
    rebuilt = []
    for name, kind, default, annotation in parameters:
        value: Any = empty
        if default is not None:
            what, value = default
            value = _Shown(value) if what == "text" else value
        shown = empty if annotation is None else _Shown(annotation)
        rebuilt.append(
            inspect.Parameter(name, inspect._ParameterKind(kind), default=value, annotation=shown)
        )
    return inspect.Signature(
        rebuilt, return_annotation=empty if returns is None else _Shown(returns)
    )


def calling_module(depth: int) -> str:
    """Return the name of the module whose code is `depth` frames up from the caller's."""
    return str(sys._getframe(depth + 1).f_globals.get("__name__"))


def is_completion() -> bool:
    """Whether it was Tab that has led here: pressed in IPython, or Python's own prompt."""
    frame = sys._getframe(1)
    for _ in range(_DEEPEST):
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(_COMPLETERS):
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _help(proxy: ObjectProxy) -> str:
    """Return the text of `help`; where only part of it is told, as for a function of C."""
    try:
        told = ask_description(proxy, "help", HELP_PATIENCE)
        if isinstance(told.get("help"), str):
            return str(told["help"])
        signature = signature_of(told)
    except RPCError as error:
        return f"What it is, is not known: {error}"
    name = proxy._attributes[-1] if proxy._attributes else proxy._type_str.rpartition(".")[2]
    headline = name if signature is None else f"{name}{signature}"
    return "\n\n".join(filter(None, [headline, told.get("doc")]))
