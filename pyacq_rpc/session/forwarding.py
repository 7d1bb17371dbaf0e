"""The special methods of what stands for an object somewhere else.

All of them are one method, `SpecialMethods._special`, with the name of the
special method. What each does over there is in `special`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .remote_errors import describe
from .special import BINARY, COMPARISONS, CONVERSIONS, INPLACE, UNARY, Forwarding

__all__ = ["SpecialMethods"]


class SpecialMethods(Forwarding):
    """Operators, items and the rest but iteration, in terms of `_special`.

    Examples
    --------
    >>> from pyacq_rpc.session.forwarding import SpecialMethods
    >>> class Teller(SpecialMethods):
    ...     def _special(self, name, *args, now=False, sync=None):
    ...         return name, args
    >>> Teller() + 5, Teller()["x"]
    (('__add__', (5,)), ('__getitem__', ('x',)))
    """

    __slots__ = ()

    def _assign(self, name: str, *args: Any, sync: str | None = None) -> Any:
        """Run a special method that is written as a statement, and has no result."""
        raise NotImplementedError

    def _compare(self, name: str, other: Any, sync: str | None) -> Any:
        """Run a comparison."""
        return self._special(name, other, sync=sync)

    # Special methods that Python calls take no ``_sync``; people may call them with one.

    def __setattr__(self, name: str, value: Any, _sync: str | None = None) -> Any:
        return self._assign("__setattr__", name, value, sync=_sync)

    def __delattr__(self, name: str, _sync: str | None = None) -> Any:
        return self._assign("__delattr__", name, sync=_sync)

    def __dir__(self) -> list[str]:
        names: list[str] = self._special("__dir__", now=True, sync="sync")
        return names

    def __enter__(self) -> Any:
        same, entered = self._special("__enter__", now=True)
        return self if same else entered

    def __exit__(self, exc_type: object, error: BaseException | None, tb: object) -> bool:
        failure = None if error is None else list(describe(None, error))
        return bool(self._special("__exit__", failure, now=True))

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        text: str = self._special("__format__", spec, now=True)
        return text

    def __getitem__(self, key: Any) -> Any:
        return self._special("__getitem__", key)

    def __setitem__(self, key: Any, value: Any, _sync: str | None = None) -> Any:
        return self._assign("__setitem__", key, value, sync=_sync)

    def __delitem__(self, key: Any, _sync: str | None = None) -> Any:
        return self._assign("__delitem__", key, sync=_sync)

    def __next__(self, _sync: str | None = None) -> Any:
        return self._special("__next__", now=True, sync=_sync)

    def __contains__(self, item: Any, _sync: str | None = None) -> Any:
        return self._special("__contains__", item, now=True, sync=_sync)


def _forward(name: str, now: bool) -> Callable[..., Any]:
    def method(self: SpecialMethods, *args: Any, _sync: str | None = None) -> Any:
        return self._special(name, *args, now=now, sync=_sync)

    return method


def _forward_comparison(name: str) -> Callable[..., Any]:
    def method(self: SpecialMethods, other: Any, _sync: str | None = None) -> Any:
        return self._compare(name, other, _sync)

    return method


def _forward_inplace(name: str) -> Callable[..., Any]:
    def method(self: SpecialMethods, *args: Any) -> Any:
        same, result = self._special(name, *args, now=True)
        return self if same else result

    return method


def _add_special_methods() -> None:
    methods: dict[str, Callable[..., Any]] = {}
    for name in (*BINARY, *("r" + name for name in BINARY), *UNARY):
        methods[name] = _forward(f"__{name}__", now=False)
    for name in COMPARISONS:
        methods[name] = _forward_comparison(f"__{name}__")
    for name in CONVERSIONS:
        methods[name] = _forward(f"__{name}__", now=True)
    for name in INPLACE:
        methods[name] = _forward_inplace(f"__{name}__")
    for name, method in methods.items():
        method.__name__ = f"__{name}__"
        method.__qualname__ = f"SpecialMethods.__{name}__"
        setattr(SpecialMethods, f"__{name}__", method)


_add_special_methods()
