"""`ObjectProxy`: stands for an object that lives somewhere else."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn, Protocol

from ..wire.messages import Reference, Target, make
from .caller import is_attribute_syntax
from .remote_errors import describe
from .special import BINARY, COMPARISONS, CONVERSIONS, INPLACE, UNARY, Forwarding

__all__ = [
    "CallOptions",
    "Client",
    "Grantor",
    "Home",
    "Lease",
    "Link",
    "ObjectProxy",
    "check_options",
    "check_timeout",
]


class Client(Protocol):
    """What a proxy needs of the client that carries its requests."""

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        holding: Lease | None,
    ) -> Any:
        """Send a request; from the thread that has just got this client of a `Link`.

        The parameters are those of `RPCClient.send`.
        """


class Link(Protocol):
    """The way from here to one server, the same object for all its proxies."""

    @property
    def address(self) -> str:
        """The server's address."""

    def client(self) -> Client:
        """Return the current thread's client of that server."""


class Grantor(Protocol):
    """Who has granted a lease to somebody else."""

    def withdraw(self, token: str) -> None:
        """Forget a grant that nobody will claim."""


class Home(Grantor, Protocol):
    """Where a lease was opened, and where it has to be given back.

    Attributes
    ----------
    peer : str
        The name under which its owner keeps the lease.
    """

    peer: str

    def release(self, ref: str) -> None:
        """Note that one lease of `ref` is over; must not block."""

    def grant(self, lease: Lease) -> str:
        """Grant one more lease of what `lease` holds; return the token that claims it."""


class Lease:
    """Keeps one reference alive for as long as this object lives.

    Parameters
    ----------
    ref : str
        The reference.
    home : Home
    token : str
        What it was claimed with, until the owner is known to have had that
        claim; empty for a lease that was opened by the owner itself.
    """

    __slots__ = ("__weakref__", "home", "ref", "token")

    def __init__(self, ref: str, home: Home, token: str = "") -> None:
        self.ref = ref
        self.home = home
        self.token = token

    def __del__(self) -> None:
        self.home.release(self.ref)


class CallOptions:
    """Defaults of a proxy's calls, each None where the client's hold."""

    __slots__ = ("return_type", "sync", "timeout")

    def __init__(self) -> None:
        self.sync: str | None = None
        self.return_type: str | None = None
        self.timeout: float | None = NO_TIMEOUT_GIVEN


NO_TIMEOUT_GIVEN = -1.0
"""Stands for "as the client says", since None already means "for ever"."""

LONGEST_TIMEOUT = 2_000_000
"""Seconds, 23 days: the system calls that wait count milliseconds in 31 bits."""

_CHILDREN = 50
"""Attributes that a proxy keeps a proxy of, for the next time."""

_SYNC = ("sync", "async", "off")
_RETURN_TYPES = ("auto", "proxy", "value")
_NO_OPTIONS = CallOptions()

# Dunder names that modules, classes and functions carry for people to read.
_READABLE = frozenset({"__name__", "__qualname__", "__version__", "__file__", "__all__"})
_PROBE = re.compile(r"__.*__\Z|_repr_.*_\Z|_ipython_|_ipy")


class ObjectProxy(Forwarding):
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
        "_lease",
        "_link",
        "_options",
        "_reference",
    )

    # Numpy's way to be told that the other operand decides: without it,
    # ``array + proxy`` would try to turn the proxy into an array.
    __array_ufunc__ = None

    _attributes: tuple[str, ...]
    _children: dict[str, ObjectProxy] | None
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
        options: CallOptions = _NO_OPTIONS,
    ) -> None:
        set_slot = object.__setattr__
        set_slot(self, "_reference", reference)
        set_slot(self, "_link", link)
        set_slot(self, "_lease", lease)
        set_slot(self, "_attributes", attributes)
        set_slot(self, "_options", options)
        set_slot(self, "_children", None)

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
        _check_choice("sync", sync, _SYNC)
        _check_choice("return_type", return_type, _RETURN_TYPES)
        if timeout is not NO_TIMEOUT_GIVEN:
            check_timeout(timeout)
        options = CallOptions()
        old = self._options
        options.sync = old.sync if sync is None else sync
        options.return_type = old.return_type if return_type is None else return_type
        options.timeout = old.timeout if timeout is NO_TIMEOUT_GIVEN else timeout
        object.__setattr__(self, "_options", options)

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
        if options is not _NO_OPTIONS:
            return_type = options.return_type if return_type is None else return_type
            sync = options.sync if sync is None else sync
            timeout = options.timeout if timeout is NO_TIMEOUT_GIVEN else timeout
        client = self._link.client()
        return client.request(action, opts, return_type, sync, timeout, self._lease)

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

    def _special(self, name: str, *args: Any, now: bool = False) -> Any:
        """Run a special method over there; `now`: whatever the options say."""
        target = Target(self._reference.ref, [*self._attributes, name])
        opts = {"obj": target, "args": list(args), "kwargs": {}}
        if now:
            return self._send("call_obj", opts, "sync", "auto")
        return self._send("call_obj", opts)

    def _assign(self, name: str, *args: Any) -> None:
        # A statement gives no future to look at: only 'off' means that nobody
        # wants to know whether it has failed.
        self._special(name, *args, now=self._options.sync != "off")

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
        if name.startswith("_") and _PROBE.match(name) and name not in _READABLE:
            raise AttributeError(f"{type(self).__name__} does not forward {name!r}")
        proxy = ObjectProxy(
            self._reference, self._link, self._lease, (*self._attributes, name), self._options
        )
        if not is_attribute_syntax(1):
            # Raises the remote AttributeError, which getattr and hasattr expect.
            proxy._send("get_obj", {"obj": proxy._target}, "sync", "ack")
        elif children is None or len(children) >= _CHILDREN:
            object.__setattr__(self, "_children", {name: proxy})
        else:
            children[name] = proxy
        return proxy

    def __setattr__(self, name: str, value: Any) -> None:
        self._assign("__setattr__", name, value)

    def __delattr__(self, name: str) -> None:
        self._assign("__delattr__", name)

    def __dir__(self) -> list[str]:
        names: list[str] = self._special("__dir__", now=True)
        return names

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
        return ObjectProxy(
            self._reference, self._link, self._lease, self._attributes, self._options
        )

    def __deepcopy__(self, memo: object) -> ObjectProxy:
        return self.__copy__()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "an ObjectProxy cannot be pickled, since a lease would have to travel with it;"
            " pass it as an argument of a remote call, or publish the object by name:"
            " server['name'] = obj, then client['name']"
        )

    # -- special methods that need more than forwarding --------------------

    def __iter__(self) -> Any:
        target = Target(self._reference.ref, [*self._attributes, "__iter__"])
        opts = {"obj": target, "args": [], "kwargs": {}}
        return self._send("call_obj", opts, "sync", "proxy")

    def __reversed__(self) -> Any:
        target = Target(self._reference.ref, [*self._attributes, "__reversed__"])
        opts = {"obj": target, "args": [], "kwargs": {}}
        return self._send("call_obj", opts, "sync", "proxy")

    def __enter__(self) -> Any:
        same, entered = self._special("__enter__", now=True)
        return self if same else entered

    def __exit__(self, exc_type: object, error: BaseException | None, tb: object) -> bool:
        failure = None if error is None else list(describe(None, error))
        return bool(self._special("__exit__", failure, now=True))

    def __format__(self, spec: str) -> str:
        if not spec:
            return repr(self)
        text: str = self._special("__format__", spec, now=True)
        return text

    def __getitem__(self, key: Any) -> Any:
        return self._special("__getitem__", key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._assign("__setitem__", key, value)

    def __delitem__(self, key: Any) -> None:
        self._assign("__delitem__", key)


def check_options(sync: str | None, return_type: str | None, timeout: float | None) -> None:
    """See to it that the options of a call are such.

    Parameters
    ----------
    sync, return_type, timeout
        As for `RPCClient.send`; ``'ack'``, for None as the result, is this package's own.

    Raises
    ------
    ValueError
        For an unknown word, or a timeout out of range.
    TypeError
        For a timeout that is no number.
    """
    if sync is not None and sync not in _SYNC:
        _check_choice("sync", sync, _SYNC)
    if return_type is not None and return_type not in _RETURN_TYPES and return_type != "ack":
        _check_choice("return_type", return_type, _RETURN_TYPES)
    if timeout is not None and timeout is not NO_TIMEOUT_GIVEN:
        check_timeout(timeout)


def check_timeout(timeout: float | None) -> None:
    """See to it that a timeout is a time; the errors are those of `check_options`."""
    try:
        fits = timeout is None or 0 <= timeout <= LONGEST_TIMEOUT
    except TypeError:
        raise TypeError(
            f"timeout is a number of seconds, or None for ever; not {timeout!r}"
        ) from None
    if not fits:
        raise ValueError(
            f"timeout is from 0 to {LONGEST_TIMEOUT} s, or None for ever; not {timeout!r}"
        )


def _check_choice(option: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise ValueError(f"{option} is one of {', '.join(choices)}; not {value!r}")


def _forward(name: str, now: bool) -> Callable[..., Any]:
    def method(self: ObjectProxy, *args: Any) -> Any:
        return self._special(name, *args, now=now)

    return method


def _forward_inplace(name: str) -> Callable[..., Any]:
    def method(self: ObjectProxy, *args: Any) -> Any:
        same, result = self._special(name, *args, now=True)
        return self if same else result

    return method


def _add_special_methods() -> None:
    methods: dict[str, Callable[..., Any]] = {}
    for name in (*BINARY, *("r" + name for name in BINARY), *COMPARISONS, *UNARY):
        methods[name] = _forward(f"__{name}__", now=False)
    for name in CONVERSIONS:
        methods[name] = _forward(f"__{name}__", now=True)
    for name in INPLACE:
        methods[name] = _forward_inplace(f"__{name}__")
    for name, method in methods.items():
        method.__name__ = f"__{name}__"
        method.__qualname__ = f"ObjectProxy.__{name}__"
        setattr(ObjectProxy, f"__{name}__", method)


_add_special_methods()
