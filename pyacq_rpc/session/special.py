"""Special methods over the wire: what each does on the owner's side.

A proxy sends a special method as the last name of its attribute chain. The
owner does not call the method but the operation: ``__add__`` is ``a + b`` over
there, with all that Python does about reflected methods.

Except where the other operand is a proxy as well. Its owner has a say too, and
if neither side knew what to do, each would ask the other for ever. So a proxy
is asked once, by a reflected method, and the answer may be NotImplemented.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

from ..wire.messages import Failure
from .remote_errors import rebuild

__all__ = [
    "BINARY",
    "COMPARISONS",
    "CONVERSIONS",
    "DIVERSIONS",
    "INPLACE",
    "SPECIAL",
    "UNARY",
    "Forwarding",
]

_Function = Callable[..., Any]

BINARY: dict[str, _Function] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "matmul": operator.matmul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "divmod": divmod,
    "pow": pow,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
    "and": operator.and_,
    "xor": operator.xor,
    "or": operator.or_,
}
INPLACE: dict[str, _Function] = {
    "iadd": operator.iadd,
    "isub": operator.isub,
    "imul": operator.imul,
    "imatmul": operator.imatmul,
    "itruediv": operator.itruediv,
    "ifloordiv": operator.ifloordiv,
    "imod": operator.imod,
    "ipow": operator.ipow,
    "ilshift": operator.ilshift,
    "irshift": operator.irshift,
    "iand": operator.iand,
    "ixor": operator.ixor,
    "ior": operator.ior,
}
COMPARISONS: dict[str, _Function] = {
    name: getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")
}
UNARY: dict[str, _Function] = {
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": abs,
    "invert": operator.invert,
    "round": round,
}
CONVERSIONS: dict[str, _Function] = {
    "len": len,
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "index": operator.index,
    "bytes": bytes,
    "instancecheck": lambda cls, obj: isinstance(obj, cls),
    "subclasscheck": lambda cls, sub: issubclass(sub, cls),
}
"""Python itself demands the answer at once, whatever the proxy's options."""


class Forwarding:
    """Base of what forwards its special methods to somewhere else: proxies."""

    __slots__ = ()

    def _special(self, name: str, *args: Any, now: bool = False, sync: str | None = None) -> Any:
        raise NotImplementedError


def _reflected(name: str, function: _Function) -> _Function:
    """Run ``other + obj``; a proxy's own side has been asked before."""

    def run(obj: Any, other: Any, *modulus: Any) -> Any:
        if name == "mod" and isinstance(other, (str, bytes, bytearray)):
            # By hand only: Python formats where the text is. It would read what the text names.
            raise TypeError(f"{type(other).__name__} % object is done where the text is")
        if not isinstance(other, Forwarding):
            return function(other, obj, *modulus)
        method = getattr(type(obj), f"__r{name}__", None)
        result = NotImplemented if method is None else method(obj, other, *modulus)
        if result is NotImplemented:
            raise TypeError(
                f"unsupported operand types for {name}: {other!r} and {type(obj).__name__!r}"
            )
        return result

    return run


def _compared(name: str, function: _Function) -> _Function:
    def run(obj: Any, other: Any) -> Any:
        if not isinstance(other, Forwarding):
            return function(obj, other)
        result = getattr(type(obj), f"__{name}__")(obj, other)
        if result is NotImplemented:
            result = other._special(f"__r{_SWAPPED[name]}__", obj, now=True)
        if result is not NotImplemented:
            return result
        if name in ("eq", "ne"):
            return name == "ne"
        raise TypeError(f"cannot compare {type(obj).__name__!r} and {other!r} with {name}")

    return run


def _compared_once(name: str) -> _Function:
    return lambda obj, other: getattr(type(obj), f"__{name}__")(obj, other)


_SWAPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}


def _same_or_new(function: _Function) -> _Function:
    """Tell the proxy whether it may stay what it is: (True, None) then."""

    def run(obj: Any, *args: Any) -> tuple[bool, Any]:
        result = function(obj, *args)
        return (True, None) if result is obj else (False, result)

    return run


def _enter(obj: Any) -> Any:
    return type(obj).__enter__(obj)


def _exit(obj: Any, failure: list[Any] | None) -> bool:
    if failure is None:
        return bool(type(obj).__exit__(obj, None, None, None))
    error = rebuild(Failure(*failure))
    return bool(type(obj).__exit__(obj, type(error), error, None))


def _iter(obj: Any) -> Iterator[Any]:
    return iter(obj)


DIVERSIONS: dict[str, _Function] = {
    "getitem": operator.getitem,
    "setitem": operator.setitem,
    "delitem": operator.delitem,
    "setattr": setattr,
    "delattr": delattr,
    "contains": operator.contains,
    "iter": _iter,
    "next": next,
    "reversed": reversed,
    "enter": _same_or_new(_enter),
    "exit": _exit,
    "format": format,
    "dir": lambda obj: [name for name in dir(obj) if isinstance(name, str)],
}

SPECIAL: dict[str, _Function] = {
    f"__{name}__": function
    for name, function in {
        **BINARY,
        **{"r" + name: _reflected(name, function) for name, function in BINARY.items()},
        **{name: _same_or_new(function) for name, function in INPLACE.items()},
        **{name: _compared(name, function) for name, function in COMPARISONS.items()},
        **{"r" + name: _compared_once(name) for name in COMPARISONS},
        **UNARY,
        **CONVERSIONS,
        **DIVERSIONS,
    }.items()
}
"""Every special method that a proxy forwards, and what the owner runs for it."""
