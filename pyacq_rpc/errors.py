"""Every way a call can fail, one class each, all under `RPCError`.

Each class is also the builtin exception that a reader would expect, so that
``except TimeoutError`` or ``except ConnectionError`` work without importing
anything from here.
"""

from __future__ import annotations

import sys

__all__ = [
    "AccessDenied",
    "ApplicationQuit",
    "AuthenticationError",
    "CallTimeout",
    "LimitExceeded",
    "ProtocolError",
    "ReferenceReleased",
    "RemoteCallException",
    "RemoteTraceback",
    "RPCError",
    "SerializationError",
    "ServerDisconnected",
]


class RPCError(Exception):
    """Base class of everything that this package raises on purpose."""


class ProtocolError(RPCError, ValueError):
    """A message that breaks the protocol; the fault is its sender's.

    Raised by the wire floor for any bytes that are not a well-formed message,
    and shown to the peer as an error message where one can be sent.

    Attributes
    ----------
    request_id : int or None
        The request that is at fault, where that much could be read.
    """

    request_id: int | None = None


class SerializationError(RPCError, TypeError):
    """A value that cannot travel as it was asked to.

    Raised for ``_return_type='value'`` and ``_get_value()`` of something that
    has no value form, for a value nested too deep or containing itself, and
    for a registered type that the receiving side does not know.
    """


if sys.version_info >= (3, 11):
    _FutureTimeout = TimeoutError
else:  # `Future.result` raises a TimeoutError of its own
    import concurrent.futures

    class _FutureTimeout(TimeoutError, concurrent.futures.TimeoutError):
        pass


class CallTimeout(RPCError, _FutureTimeout):
    """No answer came within the call's timeout.

    The remote call itself may still run; its late answer is dropped.
    """


class ApplicationQuit(RPCError):
    """The event loop of a GUI was asked to end while a call of its thread waited.

    The remote call itself may still run; its late answer is dropped.
    """


class ServerDisconnected(RPCError, ConnectionError):
    """The peer has died, was closed, or was never there."""


class AuthenticationError(ServerDisconnected):
    """The server does not admit this user, or is not one that this user may trust."""


class AccessDenied(RPCError, PermissionError):
    """The server's policy refused the access."""


class LimitExceeded(RPCError, RuntimeError):
    """A message, a request or a reference more than a server takes of one client.

    The limits are the server's: ``RPCServer(limits=Limits(...))``.

    Attributes
    ----------
    request_id : int or None
        The request that is at fault, where that much could be read.
    """

    request_id: int | None = None


class ReferenceReleased(RPCError, ReferenceError):
    """The process that asks does not hold the proxy's reference, or not any more.

    It was deleted with ``_delete()``, it belongs to an earlier life of the
    server at this address, or it was never given to that process.
    """


class RemoteTraceback(Exception):
    """Carries the text of a remote traceback, shown as the cause of an error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


class RemoteCallException(RPCError):
    """An exception that was raised in another process while it ran a call.

    What is caught is an instance of a subclass that is also the remote
    exception's builtin class: ``except KeyError`` and ``except
    RemoteCallException`` both catch a remote ``KeyError``.

    Attributes
    ----------
    type_name : str
        Full name of the remote class, such as ``'mylab.errors.ShutterStuck'``.
    message : str
        What ``str()`` gave on the remote side.
    remote_traceback : str
        The remote traceback as text, with its chained exceptions.
    """

    type_name: str = "Exception"
    message: str = ""
    remote_traceback: str = ""

    def __str__(self) -> str:
        return self.message
