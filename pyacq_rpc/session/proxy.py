"""`ObjectProxy`: stands for an object that lives somewhere else."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar, get_origin

from ..errors import CallTimeout, ServerDisconnected
from ..wire.messages import Reference, Target, make
from . import questions
from .caller import is_attribute_syntax
from .holding import Lease
from .iterating import Iterating
from .link import Link
from .options import (
    NO_OPTIONS,
    NO_TIMEOUT_GIVEN,
    RETURN_TYPES,
    SYNC,
    CallOptions,
    check_choice,
    check_options,
    check_timeout,
)
from .questions import KEYS, RemoteDoc, RemoteSignature, ask_list, calling_module, is_completion
from .remote_iterator import RemoteIterator

__all__ = ["ObjectProxy", "is_probe"]

T = TypeVar("T")

_CHILDREN = 50
"""Attributes that a proxy keeps a proxy of, for the next time."""

# Dunder names that modules, classes and functions carry for people to read.
_READABLE = frozenset({"__name__", "__qualname__", "__version__", "__file__", "__all__"})
_TOOLS = ("inspect", "pydoc")  # they want a text, and no proxy of one
_PROBE = re.compile(r"__.*__\Z|_repr_.*_\Z|_ipython_|_ipy")


def is_probe(name: str) -> bool:
    """Whether an attribute is asked for by tools only, and so never forwarded."""
    return bool(_PROBE.match(name)) and name not in _READABLE


class ObjectProxy(Iterating):
    """An object of another thread, process or machine, used like a local one.

    Proxies are made by calls, not by hand. Attribute look-ups are deferred:
    ``proxy.a.b.c(x)`` is one round trip. Attributes may be set and deleted,
    and all special methods work. These stay local: ``hash``, ``is``, ``repr``,
    ``str``, ``copy.copy``, and names that only tools ask for.

    A call takes three arguments of its own besides those of the remote object:

    _sync : {'sync', 'async', 'off'}
        Wait for the result; return a `Future` at once; or return None at once
        and have no answer sent at all.
    _return_type : {'auto', 'proxy', 'value'}
        By value where the result has a value form, else by proxy; or insist.
    _timeout : float or None
        How long to wait in seconds; None waits for ever.

    See Also
    --------
    RPCClient.transfer : Send an object and get a proxy to it.
    RPCServer.get_proxy : Make a proxy to a local object.
    """

    __slots__ = (
        "__weakref__",
        "_attributes",
        "_children",
        "_iterator",
        "_lease",
        "_link",
        "_options",
        "_reference",
    )

    # Of a proxy, those of its object.
    __doc__ = RemoteDoc(__doc__)
    __signature__ = RemoteSignature()

    # Numpy's way to be told that the other operand decides: without it,
    # ``array + proxy`` would try to turn the proxy into an array.
    __array_ufunc__ = None

    _attributes: tuple[str, ...]
    _children: dict[str, ObjectProxy] | None
    _iterator: RemoteIterator | None
    _lease: Lease | None
    _link: Link
    _options: CallOptions
    _reference: Reference

    def __init__(
        self,
        reference: Reference,
        link: Link,
        lease: Lease | None,
        attributes: tuple[str, ...] = (),
        options: CallOptions = NO_OPTIONS,
    ) -> None:
        set_slot = object.__setattr__
        set_slot(self, "_reference", reference)
        set_slot(self, "_link", link)
        set_slot(self, "_lease", lease)
        set_slot(self, "_attributes", attributes)
        set_slot(self, "_options", options)
        set_slot(self, "_children", None)
        set_slot(self, "_iterator", None)

    @property
    def _rpc_addr(self) -> str:
        """Address of the server that owns the object."""
        return self._link.address

    @property
    def _ref_id(self) -> str:
        return self._reference.ref

    @property
    def _obj_id(self) -> str:
        return self._reference.object_id

    @property
    def _type_str(self) -> str:
        """Name of the object's class, as it was when the proxy was made."""
        return self._reference.type_name

    @property
    def _target(self) -> Target:
        return Target(self._reference.ref, list(self._attributes))

    # -- options -----------------------------------------------------------

    def _set_proxy_options(
        self,
        *,
        sync: str | None = None,
        return_type: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
    ) -> None:
        """Set defaults for the calls made through this proxy.

        Proxies of its attributes that are made from now on inherit them.

        Parameters
        ----------
        sync : {'sync', 'async', 'off'}, optional
        return_type : {'auto', 'proxy', 'value'}, optional
        timeout : float or None, optional
            In seconds; None waits for ever.

        Raises
        ------
        ValueError
            For a value that is not one of these, or a timeout out of range.
        TypeError
            For an option that does not exist, or a timeout that is no number.
        """
        check_choice("sync", sync, SYNC)
        check_choice("return_type", return_type, RETURN_TYPES)
        if timeout is not NO_TIMEOUT_GIVEN:
            check_timeout(timeout)
        options = CallOptions()
        old = self._options
        options.sync = old.sync if sync is None else sync
        options.return_type = old.return_type if return_type is None else return_type
        options.timeout = old.timeout if timeout is NO_TIMEOUT_GIVEN else timeout
        object.__setattr__(self, "_options", options)

    def as_type(self, cls: Callable[..., T], *, check: bool = False) -> T:
        """Have type checkers and editors take this proxy for what it stands for.

        Parameters
        ----------
        cls : class
            Of the object; or a Protocol or an abstract base class that says what of it is used.
            It need not be known over there.
        check : bool
            Whether calls of its methods, through the proxy that is returned, are checked here as
            well: arguments that do not fit raise a `TypeError` before anything is sent.

        Returns
        -------
        cls
            For checkers. It is this proxy itself, or with `check` another one of the same object.

        Raises
        ------
        TypeError
            If `cls` is no class.

        See Also
        --------
        pyacq_rpc.as_type : The same as a function, for what checkers do not know to be a proxy.

        Notes
        -----
        A remote attribute called ``as_type`` is ``proxy.__getattr__("as_type")``.

        Examples
        --------
        >>> from fractions import Fraction
        >>> server = start_background("example")
        >>> fractions = RPCClient(server.address)._import("fractions")
        >>> half = fractions.Fraction(1, 2).as_type(Fraction, check=True)
        >>> half.limit_denominator(10) == half
        True
        >>> half.limit_denominator(10, 20)
        Traceback (most recent call last):
            ...
        TypeError: Fraction.limit_denominator(max_denominator=1000000): too many positional...
        """
        if not isinstance(get_origin(cls) or cls, type):
            raise TypeError(f"a proxy is taken for an object of a class, and {cls!r} is none")
        typed: Any = self
        if check:
            from .checked import CheckedProxy  # here: not needed for the rest

            typed = CheckedProxy(
                self._reference, self._link, self._lease, self._attributes, self._options, cls
            )
        known: T = typed
        return known

    # -- requests ----------------------------------------------------------

    def _send(
        self,
        action: str,
        opts: dict[str, Any],
        sync: str | None = None,
        return_type: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
    ) -> Any:
        if not (sync is return_type is None and timeout is NO_TIMEOUT_GIVEN):
            check_options(sync, return_type, timeout)
        options = self._options
        if options is not NO_OPTIONS:
            return_type = options.return_type if return_type is None else return_type
            sync = options.sync if sync is None else sync
            timeout = options.timeout if timeout is NO_TIMEOUT_GIVEN else timeout
        client = self._link.client()
        return client.request(action, opts, return_type, sync, timeout, self)

    def __call__(
        self,
        *args: Any,
        _sync: str | None = None,
        _return_type: str | None = None,
        _timeout: float | None = NO_TIMEOUT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Call the object; for ``_sync`` and the like see the class."""
        target = make(Target, (self._reference.ref, list(self._attributes)))
        opts = {"obj": target, "args": list(args), "kwargs": kwargs}
        return self._send("call_obj", opts, _sync, _return_type, _timeout)

    def _special(self, name: str, *args: Any, now: bool = False, sync: str | None = None) -> Any:
        """Run a special method over there; `now`: whatever the options say, but for `sync`."""
        target = Target(self._reference.ref, [*self._attributes, name])
        opts = {"obj": target, "args": list(args), "kwargs": {}}
        if now:
            return self._send("call_obj", opts, sync or "now", "auto")
        return self._send("call_obj", opts, sync)

    def _compare(self, name: str, other: Any, sync: str | None) -> Any:
        # Much code compares and looks at once whether it is true, which a future always is.
        default = "now" if self._options.sync is None else None
        return self._special(name, other, sync=sync or default)

    def _assign(self, name: str, *args: Any, sync: str | None = None) -> Any:
        # A statement gives no future to look at: only 'off' means that nobody
        # wants to know whether it has failed.
        return self._special(name, *args, now=self._options.sync != "off", sync=sync)

    def _get_value(
        self, _sync: str | None = None, _timeout: float | None = NO_TIMEOUT_GIVEN
    ) -> Any:
        """Return a copy of the object.

        Raises
        ------
        SerializationError
            If it has no value form.
        """
        return self._send("get_obj", {"obj": self._target}, _sync, "value", _timeout)

    def _undefer(
        self,
        sync: str | None = None,
        return_type: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
    ) -> Any:
        """Look the attributes up now, and return what they lead to.

        Parameters
        ----------
        sync, return_type, timeout
            As ``_sync``, ``_return_type`` and ``_timeout`` of a call.
        """
        return self._send("get_obj", {"obj": self._target}, sync, return_type, timeout)

    def _notify(self, *args: Any, _sync: str = "async") -> Any:
        """Call the object with as many of the arguments as it takes.

        Returns
        -------
        Future or None
            Of None, once that is done; or None, for the other ``_sync``.
        """
        opts = {"obj": self._target, "args": list(args)}
        return self._send("notify", opts, _sync, "ack")

    def _delete(self, sync: str | None = None, timeout: float | None = NO_TIMEOUT_GIVEN) -> Any:
        """Revoke the reference: this proxy and all copies of it become useless.

        Other references to the same object, acquired independently, are not
        affected. A proxy that is simply dropped needs no ``_delete()``.
        """
        reference = self._reference
        opts = {"obj_id": reference.object_id, "ref_id": reference.ref}
        return self._send("delete", opts, sync, "auto", timeout)

    # -- attributes --------------------------------------------------------

    def __getattr__(self, name: str) -> ObjectProxy:
        children = self._children
        if children is not None:
            child = children.get(name)
            if child is not None and child._options is self._options and is_attribute_syntax(1):
                return child
        if name.startswith("_") and (
            is_probe(name) or (name in _READABLE and calling_module(1) in _TOOLS)
        ):
            raise AttributeError(f"{type(self).__name__} does not forward {name!r}")
        proxy = self._child(name)
        if not is_attribute_syntax(1):
            proxy._check_existence(calling_module(1))
        elif children is None or len(children) >= _CHILDREN:
            object.__setattr__(self, "_children", {name: proxy})
        else:
            children[name] = proxy
        return proxy

    def _child(self, name: str) -> ObjectProxy:
        return ObjectProxy(
            self._reference, self._link, self._lease, (*self._attributes, name), self._options
        )

    def _check_existence(self, asker: str) -> None:
        """Raise the remote AttributeError, which getattr and hasattr expect."""
        opts = {"obj": self._target}
        if not asker.startswith(("IPython.", "rlcompleter")):
            self._send("get_obj", opts, "sync", "ack")
        elif asker != "rlcompleter":  # which goes through all names that it has just been told
            # A prompt has to go on; it is told by what it asks next.
            with contextlib.suppress(CallTimeout, ServerDisconnected):
                self._send("get_obj", opts, "sync", "ack", questions.PATIENCE)

    def __dir__(self) -> list[str]:
        if is_completion():
            return ask_list(self, "__dir__")
        return super().__dir__()

    def _ipython_key_completions_(self) -> list[Any]:
        """Tell IPython what ``proxy["`` may go on with."""
        return ask_list(self, KEYS)

    # -- what stays local --------------------------------------------------

    def __repr__(self) -> str:
        chain = "".join("." + name for name in self._attributes)
        what = (
            f"{self._type_str}{chain}"
            if not chain
            else f"attribute {chain[1:]} of {self._type_str}"
        )
        return f"<ObjectProxy for {what} at {self._rpc_addr}>"

    def __hash__(self) -> int:
        # Not the address: a server has several, and its objects' ids are its own.
        return hash((self._obj_id, self._attributes))

    def __copy__(self) -> ObjectProxy:
        copy = ObjectProxy(
            self._reference, self._link, self._lease, self._attributes, self._options
        )
        object.__setattr__(copy, "_iterator", self._iterator)
        return copy

    def __deepcopy__(self, memo: object) -> ObjectProxy:
        return self.__copy__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "an ObjectProxy cannot be pickled, since a lease would have to travel with it;"
            " pass it as an argument of a remote call, or publish the object by name:"
            " server['name'] = obj, then client['name']"
        )

    def __mro_entries__(self, bases: tuple[object, ...]) -> NoReturn:
        # Python would take the proxy's own class for a metaclass.
        raise TypeError(
            f"a class cannot be derived from {self!r}, which is in another process; write it in a"
            " module of yours, and import that over there: _import('mymodule').MyClass()"
        )
