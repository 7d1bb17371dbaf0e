"""Which types travel by value, beyond the ones every peer knows.

>>> from fractions import Fraction
>>> register_type(Fraction, "fraction",
...     encode=lambda f: (f.numerator, f.denominator), decode=lambda p: Fraction(*p))
>>> unregister_type(Fraction)

Both sides have to register the type, under the same name. What belongs to
numpy and to Qt comes in through this door too, when the first of it is met.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

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
    cls: type[Any] | None
    encode: Callable[[Any], object]
    decode: Callable[[Any], object]
    subclasses: bool


class _Plugin(NamedTuple):
    module: str
    extra: str


class TypeRegistry:
    """A table of types that travel by value.

    Parameters
    ----------
    plugins : dict
        See `add_plugin`: the family, which is the extra too, and the module.
    """

    def __init__(self, plugins: dict[str, str] | None = None) -> None:
        self._plugins: dict[str, _Plugin] = {}
        self._loaded: set[str] = set()
        self._by_type: dict[type[Any], _Entry] = {}
        self._by_name: dict[str, _Entry] = {}
        self._kinds: dict[str, tuple[Callable[[type[Any]], bool], _Entry]] = {}
        self._searched = _searched()
        for family, module in (plugins or {}).items():
            self.add_plugin(module, family, [family])

    def add_plugin(self, module: str, extra: str, families: Iterable[str]) -> None:
        """Name the module here that registers what belongs to some other package.

        It is imported, and its ``register`` called with a registry, when the first
        such value is met, on either side. What people have registered themselves
        stays as it is.

        Parameters
        ----------
        module : str
        extra : str
            What to install where that package is missing.
        families : iterable of str
            How the names of such types on the wire, and the modules of such
            classes, begin: up to the first dot.
        """
        self._plugins.update(dict.fromkeys(families, _Plugin(module, extra)))
        self._searched = _searched()

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
        self._forget_name(cls)
        entry = _Entry(name, cls, encode, decode, subclasses)
        self._by_type[cls] = entry
        self._by_name[name] = entry
        self._searched = _searched()

    def register_kind(
        self,
        belongs: Callable[[type[Any]], bool],
        name: str,
        encode: Callable[[Any], object],
        decode: Callable[[Any], object],
    ) -> None:
        """Let instances of many classes travel by value, which a function tells.

        Parameters
        ----------
        belongs : callable
            Gets a class that is not registered, and tells whether it is one of
            these. It is asked once for each class.
        name, encode, decode
            As of `register`.
        """
        entry = _Entry(name, None, encode, decode, True)
        self._by_name[name] = entry
        self._kinds[name] = (belongs, entry)
        self._searched = _searched()

    def send_as(self, cls: type[T], name: str, encode: Callable[[T], object]) -> None:
        """Let instances of `cls` travel as values of another type.

        Parameters
        ----------
        cls : type
        name : str
            The name of that type, which need not be registered here.
        encode : callable
            Returns what that type's decoder takes.
        """
        self._by_type[cls] = _Entry(name, cls, encode, _never, False)
        self._searched = _searched()

    def unregister(self, cls: type[Any]) -> None:
        """Forget a type; its instances travel by proxy again.

        Raises
        ------
        KeyError
            If it was not registered.
        """
        self._forget_name(cls)
        del self._by_type[cls]
        self._searched = _searched()

    def _forget_name(self, cls: type[Any]) -> None:
        entry = self._by_type.get(cls)
        if entry is not None and self._by_name.get(entry.name) is entry:
            del self._by_name[entry.name]

    def find(self, cls: type[Any]) -> _Entry | None:
        """Return the entry for instances of `cls`, or None."""
        entry = self._by_type.get(cls)
        if entry is not None:
            return entry
        # Most objects are of classes that have none, and are sent again and again.
        searched = self._searched
        try:
            return searched[cls]
        except KeyError:
            found = searched[cls] = self._search(cls)
            return found

    def _search(self, cls: type[Any]) -> _Entry | None:
        # Where the plugin lacks something that it needs, what is its own goes by proxy.
        with contextlib.suppress(ImportError):
            self._load(cls.__module__)
        for base in cls.__mro__:
            entry = self._by_type.get(base)
            if entry is not None and (base is cls or entry.subclasses):
                return entry
        for belongs, entry in self._kinds.values():
            if belongs(cls):
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
            try:
                self._load(name)
            except ImportError as error:
                family = name.partition(".")[0]
                raise SerializationError(
                    f"a value of {family} arrived, which is not installed here; install it with:"
                    f" pip install pyacq-rpc[{self._plugins[family].extra}];"
                    " or ask for a proxy: _return_type='proxy'"
                ) from error
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
        if plugin is None or plugin.module in self._loaded:
            return
        module = importlib.import_module(plugin.module)
        fresh = TypeRegistry()
        module.register(fresh)
        # All of it, before another thread may take it for loaded.
        for name, entry in fresh._by_name.items():
            self._by_name.setdefault(name, entry)
        for cls, entry in fresh._by_type.items():
            self._by_type.setdefault(cls, entry)
        self._kinds.update(fresh._kinds)
        self._loaded.add(plugin.module)
        self._searched = _searched()


def _searched() -> WeakKeyDictionary[type[Any], _Entry | None]:
    """Return what has been found for classes so far: nothing.

    Always a new one: a search that goes on meanwhile notes in the old one what
    may not be so any more.
    """
    return WeakKeyDictionary()


def _never(payload: object) -> object:
    raise SerializationError("values of this type are sent, and never arrive")


registry = TypeRegistry({"numpy": "pyacq_rpc.wire.numpy_types"})
"""The registry that every client and server uses."""

register_type = registry.register
unregister_type = registry.unregister
