"""Calls of proxies in a form that type checkers understand.

A checker that takes a proxy for an object of its class knows nothing of ``_sync``,
``_timeout`` and ``_get_value``. These functions stand for them, and keep the types.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

from ..session.options import NO_TIMEOUT_GIVEN, check_options
from ..session.proxy import ObjectProxy

if TYPE_CHECKING:
    from .future import Future

__all__ = ["as_type", "asynchronous", "get_value", "off", "synchronous"]

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

ReturnType = Literal["auto", "proxy", "value"]


# Not ``type[T]``: mypy takes no Protocols and abstract classes for that.
def as_type(proxy: Any, cls: Callable[..., T], *, check: bool = False) -> T:
    """Have type checkers and editors take a proxy for what it stands for.

    This is `ObjectProxy.as_type` for where they do not know that there is a proxy: of the
    result of a remote call they know nothing, and so nothing of its methods either.

    Parameters
    ----------
    proxy : ObjectProxy
    cls, check
        As of `ObjectProxy.as_type`.

    Returns
    -------
    cls
        For checkers.

    Raises
    ------
    TypeError
        If it is no proxy, or `cls` no class.

    Examples
    --------
    >>> from fractions import Fraction
    >>> server = start_background("example")
    >>> fractions = RPCClient(server.address)._import("fractions")
    >>> half = as_type(fractions.Fraction(1, 2), Fraction)
    >>> half + half == 1
    True
    """
    known: T = _proxy(proxy).as_type(cls, check=check)
    return known


def synchronous(
    function: Callable[P, R],
    *,
    timeout: float | None = NO_TIMEOUT_GIVEN,
    return_type: ReturnType | None = None,
) -> Callable[P, R]:
    """Return a function that calls a proxy and waits for the result.

    Parameters
    ----------
    function : callable
        A proxy, mostly of a method.
    timeout : float or None
        Seconds to wait, as the proxy or the client has it if not given; None waits for ever.
    return_type : {'auto', 'proxy', 'value'}, optional
        How the result comes. Checkers take it for the same in any case.

    Raises
    ------
    TypeError
        If it is no proxy, or the timeout no number.
    ValueError
        If an option is not one of these words, or the timeout out of range.

    Examples
    --------
    >>> server = start_background("example")
    >>> math = RPCClient(server.address)._import("math")
    >>> synchronous(math.sqrt, timeout=60)(4)
    2.0
    """
    check_options("sync", return_type, timeout)
    options = {"_sync": "sync", "_return_type": return_type, "_timeout": timeout}
    call: Callable[P, R] = partial(_proxy(function), **options)
    return call


def asynchronous(
    function: Callable[P, R], *, return_type: ReturnType | None = None
) -> Callable[P, Future[R]]:
    """Return a function that calls a proxy and returns a `Future` of the result at once.

    Parameters
    ----------
    function : callable
        A proxy, mostly of a method.
    return_type : {'auto', 'proxy', 'value'}, optional
        How the result comes.

    Raises
    ------
    TypeError
        If it is no proxy.
    ValueError
        If `return_type` is not one of these words.

    Examples
    --------
    >>> server = start_background("example")
    >>> math = RPCClient(server.address)._import("math")
    >>> future = asynchronous(math.sqrt)(4)
    >>> future.result()
    2.0
    """
    check_options("async", return_type, NO_TIMEOUT_GIVEN)
    call: Callable[P, Future[R]] = partial(
        _proxy(function), _sync="async", _return_type=return_type
    )
    return call


def off(function: Callable[P, object]) -> Callable[P, None]:
    """Return a function that calls a proxy and goes on at once; there is no answer.

    Parameters
    ----------
    function : callable
        A proxy, mostly of a method.

    Raises
    ------
    TypeError
        If it is no proxy.

    Examples
    --------
    >>> server = start_background("example")
    >>> log = RPCClient(server.address).transfer([], return_type="proxy")
    >>> off(log.append)("begun")
    >>> log
    <ObjectProxy for list at tcp://...>
    >>> get_value(log)
    ['begun']
    """
    call: Callable[P, None] = partial(_proxy(function), _sync="off")
    return call


def get_value(obj: T) -> T:
    """Return a copy of what a proxy stands for; anything else is returned as it is.

    An attribute of a remote object is a proxy, also where checkers take it for an int.

    Parameters
    ----------
    obj : object

    Raises
    ------
    SerializationError
        If it has no value form.

    Examples
    --------
    >>> server = start_background("example")
    >>> math = RPCClient(server.address)._import("math")
    >>> round(get_value(math.pi), 3)
    3.142
    """
    thing: Any = obj
    value: T = thing._get_value(_sync="sync") if isinstance(thing, ObjectProxy) else thing
    return value


def _proxy(obj: Any) -> Any:
    if not isinstance(obj, ObjectProxy):
        raise TypeError(
            f"{obj!r} is no proxy, but an object of this process: call it without this; in the"
            " background, by an executor of concurrent.futures"
        )
    return obj
