"""Which types travel by value, beyond the ones every peer knows.

>>> from fractions import Fraction
>>> register_type(Fraction, "fraction",
...     encode=lambda f: (f.numerator, f.denominator), decode=lambda p: Fraction(*p))
>>> unregister_type(Fraction)

Both sides have to register the type, under the same name. Numpy's arrays and
scalars come in through this door too, when the first of them is met.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from ..errors import SerializationError

__all__ = ["Buffer", "TypeRegistry", "register_type", "registry", "unregister_type"]

T = TypeVar("T")


class Buffer:
    """Bytes that an encoder wants sent without a copy, as a frame of their own.

    Parameters
    ----------
    data : memoryview
        Contiguous. It must not change until sent. It arrives as bytes or as a
        memoryview of bytes.

    Attributes
    ----------
    data : memoryview
        The same memory as one dimension of bytes.
    """

    __slots__ = ("data",)

    def __init__(self, data: memoryview) -> None:
        plain = data.ndim == 1 and data.format == "B" and data.contiguous
        self.data = data if plain else data.cast("B")


class _Entry(NamedTuple):
    name: str
    cls: type[Any]
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    subclasses: bool


class TypeRegistry:
    """A table of types that travel by value.

    Parameters
    ----------
    plugins : dict
        Module of a class (its first part) to the module here that registers
        what belongs to it; imported when first needed, on either side.
    """

    def __init__(self, plugins: dict[str, str] | None = None) -> None:
        self._plugins = dict(plugins or {})
        self._loaded: set[str] = set()
        self._by_type: dict[type[Any], _Entry] = {}
        self._by_name: dict[str, _Entry] = {}

    def register(
        self,
        cls: type[T],
        name: str,
        encode: Callable[[T], object],
        decode: Callable[[Any], T],
        subclasses: bool = False,
    ) -> None:
        """Let instances of `cls` travel by value.

        Parameters
        ----------
        cls : type
            The class; its subclasses travel by value only if `subclasses`.
        name : str
            What it is called on the wire; the same on both sides. A name with
            a dot, ``'mylab.Frame'``, keeps it apart from other people's.
        encode : callable
            Gets the object, returns something that can itself travel by value;
            `Buffer` parts of it travel without a copy.
        decode : callable
            Gets what `encode` returned, returns the object. It sees what a
            peer sent: check it, and build only what it names.
        subclasses : bool
            Whether instances of subclasses are encoded this way too. They
            arrive as what `decode` makes of them.

        Raises
        ------
        ValueError
            If the name is taken by another class.
        """
        known = self._by_name.get(name)
        if known is not None and known.cls is not cls:
            raise ValueError(f"the type name {name!r} is already registered for {known.cls!r}")
        entry = _Entry(name, cls, encode, decode, subclasses)
        renamed = self._by_type.get(cls)
        if renamed is not None:
            del self._by_name[renamed.name]
        self._by_type[cls] = entry
        self._by_name[name] = entry

    def unregister(self, cls: type[Any]) -> None:
        """Forget a type; its instances travel by proxy again.

        Raises
        ------
        KeyError
            If it was not registered.
        """
        entry = self._by_type.pop(cls)
        del self._by_name[entry.name]

    def find(self, cls: type[Any]) -> _Entry | None:
        """Return the entry for instances of `cls`, or None."""
        entry = self._by_type.get(cls)
        if entry is not None:
            return entry
        self._load(cls.__module__)
        for base in cls.__mro__:
            entry = self._by_type.get(base)
            if entry is not None and (base is cls or entry.subclasses):
                return entry
        return None

    def decode(self, name: str, payload: object) -> object:
        """Rebuild an object of the type registered as `name`.

        Raises
        ------
        SerializationError
            If no such type is registered here.
        """
        entry = self._by_name.get(name)
        if entry is None:
            self._load(name)
            entry = self._by_name.get(name)
        if entry is None:
            raise SerializationError(
                f"a value of the registered type {name!r} arrived, which is not known here;"
                " call pyacq_rpc.register_type for it on this side too"
            )
        return entry.decode(payload)

    def _load(self, dotted: object) -> None:
        family = dotted.partition(".")[0] if isinstance(dotted, str) else ""
        plugin = self._plugins.get(family)
        if plugin is None or family in self._loaded:
            return
        try:
            module = importlib.import_module(plugin)
        except ImportError as error:
            raise SerializationError(
                f"a value of {family} arrived, which is not installed here;"
                f" install it with: pip install pyacq-rpc[{family}]"
            ) from error
        self._loaded.add(family)
        module.register(self)


registry = TypeRegistry({"numpy": "pyacq_rpc.wire.numpy_types"})
"""The registry that every client and server uses."""

register_type = registry.register
unregister_type = registry.unregister
