"""`Promise`: the result of a call in a batch, to be used before it is there."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

from ..session.caller import is_attribute_syntax
from ..session.forwarding import SpecialMethods
from ..session.holding import Lease
from ..session.options import NO_TIMEOUT_GIVEN, check_options
from ..session.proxy import ObjectProxy, is_probe
from ..session.remote_iterator import RemoteIterator
from ..session.special import SPECIAL
from ..wire.messages import Target
from .awaiting import is_in_loop
from .future import Future, making

if TYPE_CHECKING:
    from .batch import Batch

__all__ = ["Promise"]

T = TypeVar("T")

_FUTURES_OWN = frozenset({*vars(concurrent.futures.Future()), "_called", "_made", "_steps"})
"""What a future assigns to itself."""

_PROXYS_OWN = frozenset(
    name for name in dir(ObjectProxy) if name.startswith("_") and not name.startswith("__")
)
"""What only the result has, when it has come as a proxy."""


def _coroutines(name: str) -> Any:
    """Return a method that a promise has as a coroutine, which it is when it has been sent.

    Files are closed, and sockets send: within the block, these are the remote object's.
    """
    own = getattr(Future, name)

    def get(self: Promise[Any]) -> Any:
        return self._attribute(name) if self._is_usable() else own.__get__(self)

    return property(get)


class Promise(Future[T], SpecialMethods):
    """The result of a call in a batch: a `Future` that can be used like a proxy until it is sent.

    Promises are made by calls within ``with client.batch():``, not by hand. Within that
    block, their attributes, items, calls and operators are requests of the same batch, and
    they can be arguments of others. What Python wants an answer to at once, such as ``len``
    or ``hasattr``, sends what has been asked for so far, and waits. Once it is sent, a
    promise is a future like any other.

    The names that a future has itself, such as ``result``, are the future's. For such an
    attribute of the remote object, or one whose name is in a variable, see `_attribute`.

    See Also
    --------
    RPCClient.batch : Opens a batch.

    Examples
    --------
    >>> server = start_background("example")
    >>> client = RPCClient(server.address)
    >>> with client.batch():
    ...     fraction = client._import("fractions").Fraction(3, 6)
    ...     double = fraction * 2
    ...     bottom = fraction.denominator
    >>> double.result(), bottom.result()
    (<ObjectProxy for fractions.Fraction at ...>, 2)
    """

    # Numpy is to leave ``array + promise`` to us, as with proxies.
    __array_ufunc__ = None

    _batch: Batch | None = None
    _about: Target | None = None
    _holding: Lease | None = None
    _is_step = False

    def __init__(
        self,
        batch: Batch,
        request_id: int,
        about: Target | None = None,
        holding: Lease | None = None,
    ) -> None:
        # Assigning an attribute means the remote object's.
        own = self.__dict__
        own["_batch"] = batch
        own["_answerer"] = batch.client
        own["request_id"] = request_id
        if about is not None:
            own["_about"] = about
            own["_holding"] = holding

    # -- as a proxy ------------------------------------------------------------

    def _ask(
        self,
        action: str,
        names: tuple[str, ...],
        opts: dict[str, Any],
        return_type: str | None = None,
        sync: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
    ) -> Any:
        """Send a request about this, or an attribute of it."""
        target, holding = self._step(*names)
        assert self._batch is not None
        opts = {"obj": target, **opts}
        return self._batch.request(
            action, opts, return_type, sync, timeout, holding, self._type_str
        )

    def _step(self, *names: str) -> tuple[Target, Lease | None]:
        """Return what a request about this, or an attribute of it, is about."""
        if self._batch is None:
            raise RuntimeError("a promise is made by a call in a batch")
        about, holding = self._batch.what_is(self)
        self.__dict__["_is_step"] = True
        return Target(about.ref, [*about.attributes, *names]), holding

    def __call__(
        self,
        *args: Any,
        _sync: str | None = None,
        _return_type: str | None = None,
        _timeout: float | None = NO_TIMEOUT_GIVEN,
        **kwargs: Any,
    ) -> Any:
        """Call the object; ``_sync`` and the like are as for a proxy, the result is a promise."""
        check_options(_sync, _return_type, _timeout)
        opts = {"args": list(args), "kwargs": kwargs}
        return self._ask("call_obj", (), opts, _return_type, _sync, _timeout)

    def __getattr__(self, name: str) -> Promise[Any]:
        batch = self._batch
        if batch is None or name in _PROXYS_OWN or (name.startswith("_") and is_probe(name)):
            raise AttributeError(f"{type(self).__name__} does not forward {name!r}")
        try:
            batch.what_is(self)
        except RuntimeError as error:
            raise AttributeError(f"{error} (asked for: {name!r})") from None
        promise = self._attribute(name)
        if not is_attribute_syntax(1):
            # Raises the remote AttributeError, which getattr and hasattr expect.
            batch.fetch_now(promise)
        return promise

    def _attribute(self, name: str) -> Promise[Any]:
        """Return the promise of an attribute, whatever its name.

        Examples
        --------
        >>> server = start_background("example")
        >>> client = RPCClient(server.address)
        >>> with client.batch():
        ...     name = client._import("sys")._attribute("implementation")._attribute("name")
        >>> name.result()
        'cpython'
        """
        target, holding = self._step(name)
        assert self._batch is not None
        return self._batch.promise_of(target, holding)

    def _undefer(self, return_type: str | None = None) -> Promise[Any]:
        """Return the promise of what this is, an attribute as it is when this is carried out.

        Parameters
        ----------
        return_type : {'auto', 'proxy', 'value'}
            As ``_return_type`` of a call.
        """
        check_options(None, return_type, NO_TIMEOUT_GIVEN)
        promise: Promise[Any] = self._ask("get_obj", (), {}, return_type)
        return promise

    def _get_value(self) -> Promise[Any]:
        """Return the promise of a copy of what this is; see `ObjectProxy._get_value`."""
        return self._undefer("value")

    def _special(self, name: str, *args: Any, now: bool = False, sync: str | None = None) -> Any:
        if now and sync is None and self._has_come_by_value():
            return SPECIAL[name](self.result(), *args)
        opts = {"args": list(args), "kwargs": {}}
        self._read()
        return self._ask("call_obj", (name,), opts, sync=sync or ("now" if now else None))

    def _has_come_by_value(self) -> bool:
        """Whether what Python wants to know at once can be seen here, within the block."""
        return self._batch is not None and self._batch.has_value(self)

    def _read(self) -> None:
        """If this is an attribute: what is done with it is done with what it is just here."""
        if self._batch is not None:
            self._batch.fetch(self)

    def _assign(self, name: str, *args: Any, sync: str | None = None) -> Any:
        self._read()
        opts = {"args": list(args), "kwargs": {}}
        return self._ask("call_obj", (name,), opts, sync=sync or "now")

    def __iter__(self) -> Any:
        return iter(self._known())

    def __reversed__(self) -> Any:
        return reversed(self._known())

    def __next__(self, _sync: str | None = None) -> Any:
        # Tasks take a step of a coroutine by this, where there is one.
        if is_in_loop() and not (self._is_usable() or self._has_come_by_value()):
            return self.send(None)
        return super().__next__(_sync)

    def _iterate(self, *args: Any, **kwargs: Any) -> RemoteIterator:
        """Send what there is, and iterate over what this is; see `ObjectProxy._iterate`."""
        proxy = self._ask("get_obj", (), {}, "proxy", "sync")
        iterator: RemoteIterator = proxy._iterate(*args, **kwargs)
        return iterator

    def _known(self) -> Any:
        """Return what this has come to; sends what there is, if it has not been sent."""
        if self._batch is not None and not self._has_come_by_value():
            self._step()
            self._batch.fetch_now(self)
        return self.result(0)

    def _notify(self, *args: Any) -> Any:
        """Return the promise of None; see `ObjectProxy._notify`."""
        return self._ask("notify", (), {"args": list(args)}, "ack")

    @property
    def _type_str(self) -> str:
        return "promise"  # of an object whose class is known over there only

    @property
    def _target(self) -> Target:
        return self._step()[0]

    @property
    def _lease(self) -> Lease | None:
        return self._step()[1]

    # -- as a future -------------------------------------------------------------

    close = _coroutines("close")
    send = _coroutines("send")
    throw = _coroutines("throw")

    def __setattr__(self, name: str, value: Any, _sync: str | None = None) -> Any:
        if name in _FUTURES_OWN:
            return object.__setattr__(self, name, value)
        return super().__setattr__(name, value, _sync)

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Have something called when it is filled, also if nobody holds it till then."""
        if self._batch is not None:
            self._batch.keep(self)
        super().add_done_callback(fn)

    def set_result(self, result: T) -> None:
        """Fill in the result; for whoever receives it."""
        own = self.__dict__
        with making:  # see `Future.set_result`
            if self._made is None and self._state == "PENDING":
                own["_result"] = result
                own["_state"] = "FINISHED"
                return
        self._fill(result, None)

    def _wait(self, timeout: float | None) -> None:
        if not self.done():
            self._check_sent()
            super()._wait(timeout)

    async def settled(self) -> None:
        """Wait in a coroutine until it is done; if that is cancelled, the call is not."""
        self._check_sent()
        await super().settled()

    def __await__(self) -> Generator[Any, None, T]:
        self._check_sent()
        return super().__await__()

    def _check_sent(self) -> None:
        if self._batch is not None and not self.done():
            self._batch.check_sent(self)

    def _was_cancelled(self) -> bool:
        # Without the lock of the base class, which most promises never need.
        return self._state.startswith("CANCELLED")

    # -- what stays local ----------------------------------------------------------

    def _is_usable(self) -> bool:
        return self._batch is not None and self._batch.is_usable(self)

    def __bool__(self) -> bool:
        # A future that has been sent is something, whatever its result.
        if self._is_usable() or self._has_come_by_value():
            return bool(self._special("__bool__", now=True))
        return True

    def __eq__(self, other: object, _sync: str | None = None) -> Any:
        return self._compare("__eq__", other, _sync) if self._is_usable() else NotImplemented

    def __ne__(self, other: object, _sync: str | None = None) -> Any:
        return self._compare("__ne__", other, _sync) if self._is_usable() else NotImplemented

    __hash__ = object.__hash__

    def __dir__(self) -> list[str]:
        return list(object.__dir__(self))
