"""What the author of a class has exposed, found out without running any of its code.

A mark is kept on the function or class that it is about, and holds for that
one only: wrappers that copy a function's attributes, and classes made anew
from another one's, do not come by it. Members are looked for in the
dictionaries of classes, since everything else (``getattr``, ``isinstance``,
``__class__``) asks the object what it would like to be.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from types import FunctionType
from typing import Any, TypeVar

__all__ = [
    "SIGNALS",
    "expose",
    "find",
    "function_of",
    "is_class",
    "is_marked",
    "is_method",
    "is_public",
    "kept_by",
    "lacks_its_object",
    "marked_for_getting",
    "marked_for_setting",
    "members_of",
]

_T = TypeVar("_T")
_MARK = "_pyacq_rpc_exposed"
_NOTHING = object()
_NO_NAMES: frozenset[str] = frozenset()

SIGNALS: set[type] = set()
"""Kinds of members that look like methods, and are to be looked at: Qt's, once that is used."""


class _Mark:
    """Says that a function or class is exposed, and which members a class exposes."""

    __slots__ = ("marked", "names")

    def __init__(self, marked: Any, names: frozenset[str]) -> None:
        self.marked = weakref.ref(marked)
        self.names = names


def expose(member: _T) -> _T:
    """Let the clients of a server with the policy `Service` use something.

    * A function: they may call it, as a method of an object of theirs or, if
      it belongs to no class, when a method has returned it to them.
    * A property: they may get it; and set it, if it has a setter by then.
      ``@expose`` on the getter or the setter alone is about that one.
    * A class method or static method.
    * A class: all that it defines itself whose name does not begin with
      ``_``, and what it annotates; and the class may be called. What it
      inherits, and what a subclass overrides, has to be exposed there.

    ``@expose`` stands above other decorators; with those of properties, class
    methods and static methods the order does not matter. Special methods
    (``__len__``, ``__getitem__``, ...) are exposed one by one. In a class with
    a method that is called ``expose`` itself, write ``@pyacq_rpc.expose``.

    Parameters
    ----------
    member : function, property, classmethod, staticmethod or type

    Returns
    -------
    object
        The same, marked.

    Raises
    ------
    TypeError
        If it is something else.

    See Also
    --------
    Service : The policy that asks for this, and how to expose the members of
        classes that are not your own.

    Examples
    --------
    >>> class Camera:
    ...     _gain = 1
    ...
    ...     @expose
    ...     def shoot(self, seconds):
    ...         return f"exposed for {seconds} s"
    ...
    ...     @property
    ...     @expose
    ...     def gain(self):
    ...         return self._gain
    """
    for part in _parts(member):
        if not callable(part):
            raise TypeError(
                f"only functions, properties and classes can be exposed, not {part!r};"
                " put @expose next to the def or class"
            )
        names = _NO_NAMES
        if isinstance(part, type):
            names = frozenset(name for name in members_of(part) if is_public(name))
        try:
            setattr(part, _MARK, _Mark(part, names))
        except (AttributeError, TypeError):
            raise TypeError(
                f"{part!r} takes no mark; publish it under a name, or say"
                " Service({its class: [its name]})"
            ) from None
    return member


def _parts(member: Any) -> list[Any]:
    if isinstance(member, property):
        return [part for part in (member.fget, member.fset) if part is not None]
    return [function_of(member)]


def members_of(cls: type) -> set[str]:
    """Return the names that a class itself defines or annotates."""
    return {*vars(cls), *getattr(cls, "__annotations__", ())}


def is_public(name: str) -> bool:
    """Whether clients may ever get, set or call an attribute of that name."""
    return name != "" and not name.startswith("_")


def is_class(obj: object) -> bool:
    """Whether an object is a class."""
    return issubclass(type(obj), type)


def kept_by(obj: object) -> Mapping[str, Any]:
    """Return the attributes that an object holds itself; of a class, those it defines."""
    try:
        kept: Mapping[str, Any] = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return {}
    return kept


def find(cls: type, name: str) -> Any:
    """Return the member that the class of an object has, as it was defined.

    Raises
    ------
    LookupError
        If there is none.
    """
    for base in cls.__mro__:
        member = base.__dict__.get(name, _NOTHING)
        if member is not _NOTHING:
            return member
    raise LookupError(name)


def has(cls: type, name: str) -> bool:
    """Whether the class of an object has a member of that name."""
    return any(name in base.__dict__ for base in cls.__mro__)


def function_of(member: Any) -> Any:
    """Return the function that a class method or static method was made of, or the member."""
    return member.__func__ if issubclass(type(member), (classmethod, staticmethod)) else member


def is_method(cls: type, name: str) -> bool:
    """Whether that member is a function with its object, rather than something to look at."""
    try:
        kind = type(find(cls, name))
    except LookupError:
        return False
    if issubclass(kind, classmethod):
        return True
    if kind in SIGNALS:
        return False
    return has(kind, "__call__") and has(kind, "__get__") and not has(kind, "__set__")


def is_marked(obj: object) -> bool:
    """Whether this very function or class was marked."""
    mark = kept_by(obj).get(_MARK)
    return type(mark) is _Mark and mark.marked() is obj


def marked_for_getting(cls: type, name: str) -> bool:
    """Whether the class that defines a member has it marked."""
    for base in cls.__mro__:
        if name in _marked_names(base):
            return True
        member = base.__dict__.get(name, _NOTHING)
        if member is not _NOTHING:
            getter = member.fget if issubclass(type(member), property) else function_of(member)
            return is_marked(getter)
    return False


def marked_for_setting(cls: type, name: str) -> bool:
    """Whether the class that defines a property has its setter marked."""
    for base in cls.__mro__:
        member = base.__dict__.get(name, _NOTHING)
        if member is not _NOTHING:
            if not issubclass(type(member), property) or member.fset is None:
                return False
            return name in _marked_names(base) or is_marked(member.fset)
    return False


def _marked_names(cls: type) -> frozenset[str]:
    names: frozenset[str] = cls.__dict__[_MARK].names if is_marked(cls) else _NO_NAMES
    return names


def lacks_its_object(function: Any) -> bool:
    """Whether a function was defined in a class, so that it is to be called with an object first.

    Nobody but the function itself would look at what a client gave in its place.
    """
    is_plain = type(function) is FunctionType
    path = function.__qualname__ if is_plain else kept_by(function).get("__qualname__", "")
    return "." in path.rpartition("<locals>.")[2]
