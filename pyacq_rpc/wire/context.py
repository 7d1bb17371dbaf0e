"""What travels with a request besides it: a few short texts, for who traces calls."""

from __future__ import annotations

from ..errors import ProtocolError

__all__ = ["MOST_ENTRIES", "MOST_TEXT", "check_context"]

MOST_ENTRIES = 16
"""How many entries a context may have."""

MOST_TEXT = 4096
"""How many characters there may be in it, keys and values together."""


def check_context(context: object) -> None:
    """See to it that something can travel as the context of a request.

    Raises
    ------
    ProtocolError
        If it is no dict of strings, or too large.

    Examples
    --------
    >>> check_context({"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"})
    >>> check_context({"retries": 3})
    Traceback (most recent call last):
        ...
    pyacq_rpc.errors.ProtocolError: a context has strings for keys and values, not int
    """
    if type(context) is not dict:
        raise ProtocolError(f"a context is a map of strings, not of type {type(context).__name__}")
    if len(context) > MOST_ENTRIES:
        raise ProtocolError(f"a context has {MOST_ENTRIES} entries at most, not {len(context)}")
    size = 0
    for text in (*context, *context.values()):
        if type(text) is not str:
            raise ProtocolError(
                f"a context has strings for keys and values, not {type(text).__name__}"
            )
        size += len(text)
    if size > MOST_TEXT:
        raise ProtocolError(f"a context has {MOST_TEXT} characters at most, not {size}")
