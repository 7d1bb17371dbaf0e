"""Tells ``proxy.name`` from ``getattr(proxy, 'name')`` and ``hasattr``.

The first is deferred: it costs nothing and travels with the call. The others
ask a question that deserves a true answer, or `hasattr` would always say yes.
Python calls the same method for both; only the caller's bytecode differs.
"""

from __future__ import annotations

import opcode
import sys
from types import CodeType

__all__ = ["is_attribute_syntax"]

_is_cpython = sys.implementation.name == "cpython"
_EXTENDED_ARG = opcode.EXTENDED_ARG
_LOADS = frozenset(
    opcode.opmap[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if name in opcode.opmap
)


def is_attribute_syntax(depth: int) -> bool:
    """Whether the frame `depth` levels up is at a dotted attribute access.

    Parameters
    ----------
    depth : int
        1 is the caller's caller: the one that touched the attribute when this
        is called from ``__getattr__``.

    Returns
    -------
    bool
        True also where this cannot be known (not CPython).

    Examples
    --------
    >>> class Thing:
    ...     def __getattr__(self, name):
    ...         return is_attribute_syntax(1)
    >>> Thing().name, getattr(Thing(), "name")
    (True, False)
    """
    if not _is_cpython:
        return True
    frame = sys._getframe(depth + 1)
    known = _kept.get(id(frame.f_code))
    code = _keep(frame.f_code) if known is None else known[1]
    at = frame.f_lasti
    while code[at] == _EXTENDED_ARG:  # where Python 3.10 stands before the 257th name
        at += 2
    return code[at] in _LOADS


_KEPT = 500
_kept: dict[int, tuple[CodeType, bytes]] = {}
# By identity: two equal code objects have the same bytecode, but telling that
# they are equal takes longer. The object is kept, so that its identity cannot
# become another one's.


def _keep(code: CodeType) -> bytes:
    """Return ``code.co_code``, which Python makes anew each time."""
    if len(_kept) >= _KEPT:
        _kept.clear()
    bytecode = code.co_code
    _kept[id(code)] = (code, bytecode)
    return bytecode
