"""The policy for clients that may use what is offered to them, and nothing else."""

from __future__ import annotations

import itertools
from abc import ABCMeta
from collections.abc import Callable, Iterable, Mapping
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType
from typing import Any

from ..errors import AccessDenied
from .exposing import (
    find,
    function_of,
    has,
    is_class,
    is_marked,
    is_method,
    is_public,
    kept_by,
    lacks_its_object,
    marked_for_getting,
    marked_for_setting,
    members_of,
)
from .feed import AT_HAND
from .policy import NOTHING_PUBLISHED
from .special import COMPARISONS, SPECIAL

__all__ = ["Service"]

_ASKED_ONCE = {f"__r{name}__": f"__{name}__" for name in COMPARISONS}
"""Names of the protocol's own: a comparison in which the other side has had its say."""

_SPECIAL = {"__call__", *SPECIAL} - {"__setattr__", "__delattr__", *_ASKED_ONCE}
"""The special methods that can be exposed."""

_ITERATORS = AT_HAND | {
    *(GeneratorType, enumerate, filter, map, reversed, zip, type(iter(list, None))),
}
"""Whose items are all that there is to them."""

_ITERATION = ("__iter__", "__next__")

_BY_MARK = "the server's owner can mark it with @expose, or name it in Service({{{cls}: ...}})"
_BY_SETTER = (
    "the server's owner can expose the setter of a property: by @expose, or in an interface"
)
_BY_NAME = (
    "the server's owner can mark it with @expose (of an object, its __call__),"
    " or publish a function that calls it"
)
_BY_METHOD = "the server's owner can expose a method that does what is needed"
_SENTENCES: dict[str, tuple[str, str]] = {
    "getattr": ("{name} of {what} is not exposed", _BY_MARK),
    "special": ("{name} of {what} is not exposed", _BY_MARK),
    "setattr": ("{name} of {what} may not be set", _BY_SETTER),
    "delattr": ("{name} of {what} may not be deleted", _BY_METHOD),
    "call": ("{what} may not be called", _BY_NAME),
    "argument": ("{what} may not be passed on, since it may not be called", _BY_NAME),
    "describe": ("{what} is not described", _BY_MARK),
    "keys": ("the keys of {what} are not shown", _BY_METHOD),
    "display": ("{what} is not shown", _BY_METHOD),
    "delete": ("a reference to {what} may not be deleted for all", "drop the proxy instead"),
    "set_item": ("nothing may be published, so not {name}", _BY_METHOD),
    "import": ("nothing may be imported, so not {name}", _BY_METHOD),
    "transfer": ("no objects may be put into this server", _BY_METHOD),
    "close": ("this server may not be closed by its clients", _BY_METHOD),
    "interrupt": ("what this server does may not be interrupted", _BY_METHOD),
}
"""What is said of each access: what was refused, and what can be done."""


class Service:
    """Lets clients use what is published under a name and exposed, and nothing else.

    To be given to `RPCServer`. What is published can be got. Of any object that
    clients hold, they can use the members that were marked with `expose`, and
    those named here. They can call such methods; functions and classes that are
    published or marked; and objects whose ``__call__`` is exposed. They can copy
    what has a value form, and iterate over generators and the iterators of
    builtin types. Everything else is refused with `AccessDenied`.

    Parameters
    ----------
    members : mapping, optional
        For classes that are not marked: the class, and what its objects expose,
        those of subclasses included. Either an interface, which is a Protocol or
        an abstract base class: whatever it defines or annotates, and the setters
        of its properties. Or the names, which can be got and called, not set.

    Attributes
    ----------
    tracebacks : bool
        False: clients are told an exception and its message, but not the source
        lines; those are in the server's log.

    Raises
    ------
    TypeError
        If something is no class, interface or collection of names.
    ValueError
        For a name that is never exposed: one that begins with ``_`` and is not
        a special method that proxies forward.

    See Also
    --------
    expose : Marks what is exposed where it is defined.

    Examples
    --------
    >>> from fractions import Fraction
    >>> server = RPCServer(policy=Service({Fraction: ["numerator", "__add__"]}))
    >>> server["half"] = Fraction(1, 2)
    >>> server.run_lazy()
    >>> half = server.get_proxy(server["half"])
    >>> half.numerator._get_value()
    1
    >>> half.denominator._get_value()
    Traceback (most recent call last):
    ...
    pyacq_rpc.errors.AccessDenied: 'denominator' of fractions.Fraction is not exposed; ...
    >>> server.close()
    """

    tracebacks = False

    def __init__(self, members: Mapping[type, type | Iterable[str]] | None = None) -> None:
        self._gettable: dict[type, set[str]] = {}
        self._settable: dict[type, set[str]] = {}
        for cls, exposed in (members or {}).items():
            if not isinstance(cls, type):
                raise TypeError(f"members are exposed by class, and {cls!r} is none")
            if isinstance(exposed, type):
                self._gettable[cls], self._settable[cls] = _interface(exposed)
            else:
                self._gettable[cls], self._settable[cls] = _names(exposed), set()

    def check(
        self,
        access: str,
        obj: object,
        name: str | None = None,
        owner: object = None,
        published: Mapping[str, object] = NOTHING_PUBLISHED,
    ) -> None:
        """Return if the access is granted; see `Policy.check`.

        Raises
        ------
        AccessDenied
            If it is not. Tells what was refused, and what the owner could do.
        """
        decide = _DECISIONS.get(access)
        if decide is None or not decide(self, obj, name, owner, published):
            raise AccessDenied(_sentence(access, obj, name))

    # -- decisions -------------------------------------------------------------

    def _grants(self, *about: Any) -> bool:
        return True

    def _may_get(self, obj: object, name: str, *_: Any) -> bool:
        cls = type(obj)
        if not is_public(name) or is_class(obj) or not self._is_exposed(cls, name):
            return False
        # What has taken a method's place on one object was not exposed.
        return name not in kept_by(obj) or not is_method(cls, name)

    def _may_set(self, obj: object, name: str | None, *_: Any) -> bool:
        if name is None or not is_public(name) or is_class(obj):
            return False
        cls = type(obj)
        return _named(self._settable, cls, name) or marked_for_setting(cls, name)

    def _may_operate(self, obj: object, name: str, *_: Any) -> bool:
        cls = type(obj)
        if cls in _ITERATORS and name in _ITERATION:
            return True
        name = _ASKED_ONCE.get(name, name)
        # Python would do without it, by other special methods that may not be exposed.
        return not is_class(obj) and has(cls, name) and self._is_exposed(cls, name)

    def _may_call(
        self, function: Any, name: str | None, owner: object, published: Mapping[str, object]
    ) -> bool:
        if name is not None and self._may_get(owner, name) and is_method(type(owner), name):
            return True
        if any(function is other for other in list(published.values())) and (
            is_class(function) or type(function) in _FUNCTIONS
        ):
            return True
        if type(function) is MethodType:
            return self._is_exposed_method(function)
        if is_marked(function):
            return is_class(function) or not lacks_its_object(function)
        return self._may_operate(function, "__call__")

    def _may_describe(self, obj: object, *about: Any) -> bool:
        # An exposed method has been granted on the way, and what its class says of itself is
        # exposed along with the class.
        return self._may_call(obj, *about) or is_marked(type(obj))

    def _may_be_given(self, obj: object, *about: Any) -> bool:
        # Whoever gets it as an argument takes it for a callback of the client's.
        return not has(type(obj), "__call__") or self._may_call(obj, *about)

    # -- what is exposed -------------------------------------------------------

    def _is_exposed(self, cls: type, name: str) -> bool:
        return _named(self._gettable, cls, name) or marked_for_getting(cls, name)

    def _is_exposed_method(self, method: MethodType) -> bool:
        """Whether a method that is held with its object could also be reached by its name."""
        owner: Any = method.__self__
        function = method.__func__
        # A class method has a class for its object.
        cls: type = owner if is_class(owner) else type(owner)
        # Only says where to look: what is found there has to be the function.
        name = getattr(function, "__name__", "")
        if type(name) is not str or not is_public(name) or not has(cls, name):
            return False
        return function_of(find(cls, name)) is function and self._is_exposed(cls, name)


_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)

_DECISIONS: dict[str, Callable[..., bool]] = {
    "get_item": Service._grants,
    "batch": Service._grants,
    "ping": Service._grants,
    "time": Service._grants,
    "status": Service._grants,
    "stats": Service._grants,
    "names": Service._grants,  # a wrong name is answered by them, too
    "value": Service._grants,
    "getattr": Service._may_get,
    "setattr": Service._may_set,
    "special": Service._may_operate,
    "call": Service._may_call,
    "describe": Service._may_describe,
    "argument": Service._may_be_given,
}
"""What is not here is refused."""


def _named(names: Mapping[type, set[str]], cls: type, name: str) -> bool:
    return any(name in names.get(base, ()) for base in cls.__mro__)


def _interface(interface: type) -> tuple[set[str], set[str]]:
    """Return what an interface lets be got, and what it lets be set."""
    if not isinstance(interface, ABCMeta):
        raise TypeError(
            f"{interface!r} is neither a Protocol nor an abstract base class;"
            " give one that has the members to expose, or their names"
        )
    bases = [base for base in interface.__mro__ if base is not object]
    members = set(itertools.chain.from_iterable(map(members_of, bases)))
    gettable = {name for name in members if is_public(name) or name in _SPECIAL}
    return gettable, {name for name in gettable if _has_setter(interface, name)}


def _has_setter(interface: type, name: str) -> bool:
    member = find(interface, name) if has(interface, name) else None
    return isinstance(member, property) and member.fset is not None


def _names(exposed: Iterable[str]) -> set[str]:
    names = () if isinstance(exposed, str) else tuple(exposed)
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"members are exposed by an interface or a list of names, not {exposed!r}")
    for name in names:
        if not is_public(name) and name not in _SPECIAL:
            raise ValueError(
                f"{name!r} is never exposed: clients use names that do not begin with _,"
                " and the special methods of operators, items, iteration and calls"
            )
    return set(names)


def _sentence(access: str, obj: object, name: str | None) -> str:
    refused, remedy = _SENTENCES.get(access, (f"{access} is refused", _BY_METHOD))
    cls = type(obj)
    what = _full_name(cls)
    if is_class(obj):
        what = "class " + _full_name(obj)
    elif cls in _FUNCTIONS:
        what = f"{cls.__name__} {getattr(obj, '__qualname__', '')}"
    shown = f"{name!r:.80}" if name is not None else "an attribute"
    return f"{refused}; {remedy}".format(name=shown, what=what, cls=cls.__qualname__)


def _full_name(cls: Any) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
