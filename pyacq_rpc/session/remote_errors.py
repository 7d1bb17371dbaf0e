"""An exception here, a readable and catchable exception there.

Errors of the machinery itself (a released reference, a refused access) arrive
as the class they were raised as. Everything that user code raises arrives as a
`RemoteCallException` that is also the nearest builtin class.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
from types import FrameType, TracebackType
from typing import Any

from ..errors import (
    AccessDenied,
    LimitExceeded,
    ProtocolError,
    ReferenceReleased,
    RemoteCallException,
    RemoteTraceback,
    RPCError,
    SerializationError,
)
from ..wire.messages import Failure

__all__ = ["describe", "failure_of_error", "rebuild"]

_CODES: dict[str, type[RPCError]] = {
    "released": ReferenceReleased,
    "denied": AccessDenied,
    "limit": LimitExceeded,
    "protocol": ProtocolError,
    "value": SerializationError,
}
_CODE_OF = {cls: code for code, cls in _CODES.items()}
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})
_PACKAGE = __name__.rpartition(".session")[0]


def failure_of_error(request_id: int | None, error: RPCError) -> Failure:
    """Describe an error of the machinery itself."""
    code = next((_CODE_OF[cls] for cls in type(error).__mro__ if cls in _CODE_OF), "protocol")
    return Failure(request_id, code, type(error).__name__, [], _safe_str(error), None, "")


def describe(request_id: int | None, error: BaseException) -> Failure:
    """Describe what user code has raised, whatever it is."""
    if isinstance(error, RemoteCallException):  # handed on from further away
        type_name = error.type_name
    else:
        cls = type(error)
        home = getattr(cls, "__module__", "builtins")
        type_name = cls.__qualname__ if home == "builtins" else f"{home}.{cls.__qualname__}"
    bases = [c.__name__ for c in type(error).__mro__ if getattr(builtins, c.__name__, None) is c]
    return Failure(
        request_id,
        "exception",
        str.__str__(type_name),
        [base for base in bases if base != "object"],
        _safe_str(error),
        _plain_args(error),
        _format(error),
    )


def _plain_args(error: BaseException) -> list[Any] | None:
    """Return the arguments that make this error anew; None if they cannot travel."""
    args: Any = BaseException.args.__get__(error)  # type: ignore[attr-defined]  # a getset
    if isinstance(error, OSError) and len(args) == 2 and error.filename is not None:
        args = (*args, error.filename)
        if error.filename2 is not None:
            args = (*args, None, error.filename2)
    return list(args) if all(type(arg) in _PLAIN for arg in args) else None


def rebuild(failure: Failure) -> RPCError:
    """Return the exception to raise for a failure that came back.

    Examples
    --------
    >>> error = rebuild(describe(1, KeyError("shutter")))
    >>> isinstance(error, KeyError), isinstance(error, RemoteCallException)
    (True, True)
    """
    machinery = _CODES.get(failure.code)
    if machinery is not None:
        return machinery(failure.message)
    args = tuple(failure.args) if failure.args is not None else (failure.message,)
    error = _make(failure.type_name, failure.bases, args)
    error.type_name = failure.type_name
    error.message = failure.message
    error.remote_traceback = failure.traceback
    if failure.traceback:
        error.__cause__ = RemoteTraceback(failure.traceback)
    return error


def _make(type_name: str, bases: list[str], args: tuple[Any, ...]) -> RemoteCallException:
    for name in bases:
        base = getattr(builtins, name, None)
        # Only Exceptions: a remote SystemExit must not end this process.
        if not isinstance(base, type) or not issubclass(base, Exception):
            continue
        # A builtin may want other arguments than a subclass over there took, or
        # than could be sent (ExceptionGroup); its own base is the next best.
        with contextlib.suppress(Exception):
            make: Any = _remote_class
            error: RemoteCallException = make(type_name, base)(*args)
            # Sets the builtin's own attributes: errno, value, start ...
            base.__init__(error, *args)
            return error
    return _plain_class(type_name)(*args)


def _plain_class(type_name: str) -> type[RemoteCallException]:
    make: Any = _remote_class
    plain: type[RemoteCallException]
    try:
        plain = make(type_name, Exception)
    except ValueError:  # no name that a class could have here
        plain = make("Exception", Exception)
    return plain


@functools.lru_cache(maxsize=256)
def _remote_class(type_name: str, base: Any) -> type[RemoteCallException]:
    home, _, name = type_name.rpartition(".")

    def reduce(self: RemoteCallException) -> Any:
        bases = [] if base is Exception else [base.__name__]
        args = _plain_args(self)
        failure = (None, "exception", type_name, bases, self.message, args, self.remote_traceback)
        return _rebuild_fields, failure

    namespace = {
        "__module__": home or "builtins",  # as tracebacks would show it over there
        "__init__": lambda self, *args: None,
        "__reduce__": reduce,
        "__doc__": f"A {type_name} raised in another process.",
    }
    parents = (RemoteCallException,) if base is Exception else (RemoteCallException, base)
    return type(name, parents, namespace)


def _rebuild_fields(*fields: Any) -> RPCError:
    return rebuild(Failure(*fields))


def _safe_str(error: BaseException) -> str:
    try:
        return str.__str__(str(error))  # a subclass of str could not travel
    except BaseException:  # noqa: BLE001  # any exception's own __str__ may raise anything
        return f"<unprintable {type(error).__name__}>"


def _format(error: BaseException) -> str:
    try:
        import traceback  # here only: it imports tokenize and more

        tb = _own_part(error.__traceback__)
        shown = traceback.TracebackException(type(error), error, tb, compact=True)
        if _ends_hidden(tb):
            shown.stack.pop()
        return "".join(shown.format())
    except BaseException as problem:  # noqa: BLE001  # see _safe_str
        return f"<no traceback: {type(problem).__name__} while formatting it>"


def _own_part(tb: TracebackType | None) -> TracebackType | None:
    """Skip the frames of this package's machinery that lead to the user's."""
    start = tb
    while tb is not None and _is_ours(tb.tb_frame):
        tb = tb.tb_next
    return tb if tb is not None else start


def _ends_hidden(tb: TracebackType | None) -> bool:
    """Whether the last frame is of ours and to be left out: a signal handler that interrupts."""
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    return tb is not None and _is_ours(tb.tb_frame) and "__tracebackhide__" in tb.tb_frame.f_locals


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(_PACKAGE)
