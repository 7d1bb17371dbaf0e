"""Signals of Qt objects, connected to functions of other processes."""

from __future__ import annotations

import collections
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import AccessDenied, ReferenceReleased, RemoteCallException, ServerDisconnected
from ..late_logging import getLogger
from ..session.exposing import SIGNALS, expose
from ..session.proxy import ObjectProxy
from .binding import QtCore, Signal, SignalInstance, address_of

if TYPE_CHECKING:
    from .server import QtRPCServer

__all__ = ["RemoteSignal", "RemoteSlot", "Signals"]

_log = getLogger(__name__)

SIGNALS.add(Signal)

MOST_UNANSWERED = 500
"""Calls of one slot that may be on their way before further ones wait here."""

MOST_WAITING = 500
"""Of those that wait here; beyond that, the oldest are left out."""

_NOTHING = object()
_SYNC = ("off", "sync")

_TYPES = QtCore.Qt.ConnectionType
_AS_EVER = (None, _TYPES.AutoConnection, _TYPES.QueuedConnection)
"""What a connection to another process is anyway."""


class Signals:
    """The connections from signals of one server's objects to functions elsewhere.

    Parameters
    ----------
    server : QtRPCServer
    """

    def __init__(self, server: QtRPCServer) -> None:
        self._server = weakref.ref(server)
        self._slots: dict[tuple[int, str], list[RemoteSlot]] = {}
        self._watched: set[int] = set()

    def look_up(self, obj: Any, name: str) -> Any:
        """Return an attribute, or for a signal what stands for it to peers."""
        found = getattr(obj, name)
        if isinstance(found, SignalInstance) and isinstance(obj, QtCore.QObject):
            return RemoteSignal(self, obj, name, found)
        return found

    def may_emit(self, signal: RemoteSignal) -> bool:
        """Whether the server's policy lets its clients emit a signal."""
        server = self._server()
        try:
            if server is not None:
                server.policy.check("getattr", signal, "emit")
        except AccessDenied:
            return False
        return True

    def add(self, sender: QtCore.QObject, name: str, slot: RemoteSlot) -> None:
        """Remember a connection until its sender is destroyed."""
        address = address_of(sender)
        self._slots.setdefault((address, name), []).append(slot)
        if address not in self._watched:
            self._watched.add(address)
            sender.destroyed.connect(partial(self._forget, address))

    def find(self, sender: QtCore.QObject, name: str) -> list[RemoteSlot]:
        """Return the connections of a signal."""
        return list(self._slots.get((address_of(sender), name), ()))

    def remove(self, slot: RemoteSlot) -> None:
        """Forget a connection that has ended."""
        for key, slots in list(self._slots.items()):
            if slot in slots:
                slots.remove(slot)
                if not slots:
                    del self._slots[key]

    def soon(self, function: Callable[[], object]) -> None:
        """Have something done in the server's thread."""
        server = self._server()
        if server is not None:
            server.soon(function)

    def clear(self) -> None:
        """End all connections."""
        for slots in list(self._slots.values()):
            for slot in list(slots):
                slot.disconnect()

    def _forget(self, address: int, *_: object) -> None:
        self._watched.discard(address)
        for key in [key for key in self._slots if key[0] == address]:
            del self._slots[key]


class RemoteSignal:
    """A signal, as clients get to see it.

    ``proxy.clicked.connect(function)`` has the client's function called each
    time, in the client's process: in the thread whose server exports it. The
    GUI does not wait for that. A proxy of a third process's function is called
    from here directly. The function gets as many of the signal's arguments as
    it takes.

    The connection ends by `disconnect`; when the reference to the function is
    deleted; and when its process ends.

    Of a `Service`, clients can connect and disconnect their functions, and
    nothing else.
    """

    def __init__(self, signals: Signals, sender: QtCore.QObject, name: str, signal: Any) -> None:
        self._signals = signals
        self._sender = sender
        self._name = name
        self._signal = signal

    def __repr__(self) -> str:
        return f"<signal {self._name} of {type(self._sender).__name__}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._signal, name)

    def __getitem__(self, overload: Any) -> RemoteSignal:
        """Return the overload with these arguments, given as in C++: ``'QString'``."""
        name = f"{self._name}[{overload}]"
        return RemoteSignal(self._signals, self._sender, name, self._signal[overload])

    @expose
    def connect(
        self,
        slot: Any,
        type: Any = None,  # noqa: A002  # as Qt calls it
        *,
        sync: str = "off",
    ) -> RemoteSlot | None:
        """Connect the signal.

        Parameters
        ----------
        slot : callable
            Called with the signal's arguments.
        type : Qt.ConnectionType, optional
            For a slot of the GUI's own process, as Qt has it. A function
            elsewhere is always called as by a queued connection.
        sync : {'off', 'sync'}
            Whether the signal's sender goes on at once, or waits until the
            function has returned.

        Returns
        -------
        RemoteSlot or None
            For `disconnect`; None if the slot is an object of the GUI's own process.

        Raises
        ------
        TypeError
            If a function elsewhere cannot be called in that way.
        PermissionError
            If clients may connect functions of their own only.
        """
        if sync not in _SYNC:
            raise ValueError(f"sync is 'off' or 'sync', not {sync!r}")
        if sync == "sync" or not isinstance(slot, ObjectProxy):
            self._check_that_it_is_theirs()
        if isinstance(slot, RemoteSignal):
            slot = slot._signal
        if not isinstance(slot, ObjectProxy):
            self._signal.connect(slot, *(() if type is None else (type,)))
            return None
        if type not in _AS_EVER:
            raise TypeError(
                "a function of another process is called over there, as by a QueuedConnection,"
                f" and not as by {type!r}; with sync='sync' the signal's sender waits for it"
            )
        remote = RemoteSlot(self._signals, slot, sync, repr(self))
        remote.connection = self._signal.connect(remote.function())
        self._signals.add(self._sender, self._name, remote)
        return remote

    @expose
    def disconnect(self, slot: Any = None) -> None:
        """End a connection, or all of the signal.

        Parameters
        ----------
        slot : callable or RemoteSlot, optional
            What was connected, or what `connect` returned.

        Raises
        ------
        TypeError
            If it is not connected.
        PermissionError
            If clients may disconnect functions of their own only.
        """
        if not isinstance(slot, (RemoteSlot, ObjectProxy)):
            self._check_that_it_is_theirs()
        connected = self._signals.find(self._sender, self._name)
        if isinstance(slot, (RemoteSlot, ObjectProxy)):
            found = [one for one in connected if one is slot or one.calls(slot)]
            if not found:
                raise TypeError(f"{slot!r} is not connected to {self!r}")
            found[0].disconnect()
        elif slot is not None:
            self._signal.disconnect(slot._signal if isinstance(slot, RemoteSignal) else slot)
        else:
            self._signal.disconnect()
            for one in connected:
                self._signals.remove(one)

    def _check_that_it_is_theirs(self) -> None:
        """Refuse what concerns others, except to whom the whole signal is at hand."""
        if not self._signals.may_emit(self):
            raise PermissionError(
                f"of {self!r}, functions of the client's own may be connected and disconnected,"
                " with sync='off'; the server's owner can expose a method that does what is needed"
            )


class RemoteSlot:
    """The connection from a signal to a function of another process.

    Attributes
    ----------
    connection : QMetaObject.Connection
        What Qt knows it by.
    """

    def __init__(self, signals: Signals, proxy: ObjectProxy, sync: str, signal: str) -> None:
        self.connection: Any = None
        self._signals = signals
        self._proxy = proxy
        self._sync = sync
        self._signal = signal
        self._unanswered: set[Any] = set()
        self._waiting: collections.deque[list[object]] = collections.deque()
        self._is_behind = False
        self._is_told = False

    def __repr__(self) -> str:
        return f"<connection of {self._signal} to {self._proxy!r}>"

    def calls(self, proxy: object) -> bool:
        """Whether that is the function it calls."""
        # Comparing the proxies would ask the function's process.
        return isinstance(proxy, ObjectProxy) and hash(proxy) == hash(self._proxy)

    @expose
    def disconnect(self) -> None:
        """End the connection; twice is once."""
        connection, self.connection = self.connection, None
        self._waiting.clear()
        if connection is not None:
            QtCore.QObject.disconnect(connection)
            self._signals.remove(self)

    def function(self) -> Callable[..., None]:
        """Return what Qt is to call."""

        # PySide6 gives a function as many arguments as it names.
        def call(
            a: object = _NOTHING,
            b: object = _NOTHING,
            c: object = _NOTHING,
            d: object = _NOTHING,
            e: object = _NOTHING,
            f: object = _NOTHING,
            g: object = _NOTHING,
            h: object = _NOTHING,
        ) -> None:
            self._call([arg for arg in (a, b, c, d, e, f, g, h) if arg is not _NOTHING])

        return call

    def _call(self, args: list[object]) -> None:
        if self.connection is None:
            return
        if self._sync == "sync":
            try:
                self._proxy._notify(*args, _sync="sync")
            except Exception as error:  # noqa: BLE001  # PyQt would end the process
                self._failed(error)
            return
        self._waiting.append(args)
        self._send()
        if len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            if not self._is_behind:
                self._is_behind = True
                _log.warning("%r: it does not keep up; the oldest calls of it are left out", self)

    def _send(self) -> None:
        """Send what waits, as far as it may be on its way."""
        self._is_told = False
        while self._waiting and len(self._unanswered) < MOST_UNANSWERED:
            try:
                future = self._proxy._notify(*self._waiting.popleft())
            except Exception as error:  # noqa: BLE001  # PyQt would end the process
                self._failed(error)
                continue
            self._unanswered.add(future)
            future.add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        """In the I/O thread."""
        self._unanswered.discard(future)
        if self._waiting:  # looked at after that: who has just added to them looks after this
            if not self._is_told:
                self._is_told = True
                self._signals.soon(self._send)
        elif not self._unanswered:
            self._is_behind = False
        error = future.exception()
        if error is not None:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        gone = (ServerDisconnected, ReferenceReleased, AccessDenied)
        if isinstance(error, gone) and not isinstance(error, RemoteCallException):
            _log.info("%r ends: %s", self, error)
            self._signals.soon(self.disconnect)
        elif self.connection is not None:
            _log.error("%r: a call failed", self, exc_info=error)
