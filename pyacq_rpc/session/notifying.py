"""Calling a function that may want to know less than there is to tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["notify"]


def notify(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Call a function with as many of the arguments as it takes, as Qt's signals do.

    Parameters
    ----------
    function : callable
    args : sequence
        The last of them are left out if it does not take so many.

    Examples
    --------
    >>> notify(lambda: "pressed", [True])
    'pressed'
    >>> notify(lambda x, y=0: (x, y), [1, 2, 3])
    (1, 2)
    """
    import inspect  # here: slow to import

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of C, and does not say
        return _notify_by_trial(function, args)
    most = 0
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL:
            return function(*args)
        most += parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    return function(*args[:most])


def _notify_by_trial(function: Callable[..., Any], args: Sequence[Any]) -> Any:
    first: TypeError | None = None
    for count in range(len(args), -1, -1):
        try:
            return function(*args[:count])
        except TypeError as error:
            traceback = error.__traceback__
            if traceback is not None and traceback.tb_next is not None:
                raise  # from within: it has taken them
            first = first or error
    assert first is not None
    raise first
