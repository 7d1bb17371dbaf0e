"""Proxies that check the arguments of calls here, against the class that the object is of."""

from __future__ import annotations

import inspect
from typing import Any, get_origin

from ..wire.messages import Reference
from .holding import Lease
from .link import Link
from .options import NO_TIMEOUT_GIVEN, CallOptions
from .proxy import ObjectProxy

__all__ = ["CheckedProxy", "signature_of"]


class CheckedProxy(ObjectProxy):
    """A proxy whose methods are checked to be called with arguments that they take.

    What the class does not tell is not checked: attributes that it does not define, values of
    arguments, and methods of what its methods return.

    Parameters
    ----------
    reference, link, lease, attributes, options
        As of `ObjectProxy`.
    cls : class
        Whose methods are those of the object.
    """

    __slots__ = ("_class",)

    _class: Any

    def __init__(
        self,
        reference: Reference,
        link: Link,
        lease: Lease | None,
        attributes: tuple[str, ...],
        options: CallOptions,
        cls: Any,
    ) -> None:
        super().__init__(reference, link, lease, attributes, options)
        object.__setattr__(self, "_class", cls)

    def __call__(
        self,
        *args: Any,
        _sync: str | None = None,
        _return_type: str | None = None,
        _timeout: float | None = NO_TIMEOUT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Call the object, which is to have a ``__call__``; see `ObjectProxy`."""
        _check(self._class, "__call__", args, kwargs)
        return super().__call__(
            *args, _sync=_sync, _return_type=_return_type, _timeout=_timeout, **kwargs
        )

    def _child(self, name: str) -> ObjectProxy:
        return _CheckedMethod(
            self._reference,
            self._link,
            self._lease,
            (*self._attributes, name),
            self._options,
            self._class,
        )

    def __copy__(self) -> ObjectProxy:
        return type(self)(
            self._reference, self._link, self._lease, self._attributes, self._options, self._class
        )


class _CheckedMethod(CheckedProxy):
    """An attribute of such a proxy; `_class` is that of the object that has it."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        passed = {name: kwargs[name] for name in kwargs if name not in _OPTIONS}
        _check(self._class, self._attributes[-1], args, passed)
        return ObjectProxy.__call__(self, *args, **kwargs)

    _child = ObjectProxy._child  # of what the class knows nothing of


_OPTIONS = frozenset({"_sync", "_return_type", "_timeout"})


def _check(cls: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    signature = signature_of(cls, name)
    if signature is None:
        return
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        owner = getattr(cls, "__qualname__", str(cls))
        raise TypeError(f"{owner}.{name}{signature}: {error}") from None


def signature_of(cls: Any, name: str) -> inspect.Signature | None:
    """Return what a method of the objects of a class is called with; None if that is not known.

    Examples
    --------
    >>> signature_of(str, "expandtabs")
    <Signature (tabsize=8)>
    >>> signature_of(str, "nothing") is None
    True
    """
    member = inspect.getattr_static(get_origin(cls) or cls, name, None)
    is_bound = not isinstance(member, staticmethod)
    if isinstance(member, (staticmethod, classmethod)):
        member = member.__func__
    if not inspect.isroutine(member):
        return None
    try:
        signature = inspect.signature(member)
    except (TypeError, ValueError):  # of C, and does not say
        return None
    parameters = list(signature.parameters.values())
    if is_bound and parameters and parameters[0].kind in _POSITIONAL:
        del parameters[0]
    return signature.replace(
        parameters=[one.replace(annotation=_as_written(one.annotation)) for one in parameters],
        return_annotation=_as_written(signature.return_annotation),
    )


class _Text(str):
    """An annotation that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _as_written(annotation: Any) -> Any:
    return _Text(annotation) if isinstance(annotation, str) else annotation


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
