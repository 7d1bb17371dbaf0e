"""Objects of other threads, processes and machines, used like local ones."""

from typing import TYPE_CHECKING, Any

from .errors import (
    AccessDenied,
    ApplicationQuit,
    AuthenticationError,
    CallTimeout,
    LimitExceeded,
    ProtocolError,
    ReferenceReleased,
    RemoteCallException,
    RPCError,
    SerializationError,
    ServerDisconnected,
)
from .limits import Limits
from .loops.plain import RPCServer
from .peers.runtime import reset
from .peers.timers import Timer
from .session.exposing import expose
from .session.proxy import ObjectProxy
from .session.remote_iterator import RemoteIterator
from .session.service import Service
from .wire.registry import Buffer, register_type, registry, unregister_type

if TYPE_CHECKING:
    from .loops.async_client import AsyncClient
    from .peers.client import RPCClient
    from .peers.future import Future
    from .peers.hooks import CallInfo, Hook, add_hook
    from .peers.promise import Promise
    from .peers.status import Status
    from .peers.typed import as_type, asynchronous, get_value, off, synchronous
    from .qt.server import QtRPCServer
    from .session.stats import ClientStats, ServerStats

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "ApplicationQuit",
    "AsyncClient",
    "AuthenticationError",
    "Buffer",
    "CallInfo",
    "CallTimeout",
    "ClientStats",
    "Future",
    "Hook",
    "LimitExceeded",
    "Limits",
    "ObjectProxy",
    "Promise",
    "ProtocolError",
    "QtRPCServer",
    "RPCClient",
    "RPCError",
    "RPCServer",
    "ReferenceReleased",
    "RemoteCallException",
    "RemoteIterator",
    "SerializationError",
    "ServerDisconnected",
    "ServerStats",
    "Service",
    "Status",
    "Timer",
    "add_hook",
    "as_type",
    "asynchronous",
    "expose",
    "get_value",
    "off",
    "register_type",
    "reset",
    "synchronous",
    "unregister_type",
]

# Whoever holds an object of Qt's has imported one of these.
registry.add_plugin("pyacq_rpc.qt.values", "qt", ["qt", "PyQt5", "PyQt6", "PySide6"])


# A node that only serves has no client; it starts sooner and smaller without.
_LATE = {
    "AsyncClient": ".loops.async_client",
    "CallInfo": ".peers.hooks",
    "ClientStats": ".session.stats",
    "Future": ".peers.future",
    "Hook": ".peers.hooks",
    "Promise": ".peers.promise",
    "RPCClient": ".peers.client",
    "ServerStats": ".session.stats",
    "Status": ".peers.status",
    "add_hook": ".peers.hooks",
    "as_type": ".peers.typed",
    "asynchronous": ".peers.typed",
    "get_value": ".peers.typed",
    "off": ".peers.typed",
    "synchronous": ".peers.typed",
}


def __getattr__(name: str) -> Any:
    if name == "QtRPCServer":  # most programs are without Qt
        from .qt.server import QtRPCServer

        return QtRPCServer
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(_LATE[name], __name__), name)
    return found


def load_ipython_extension(shell: Any) -> None:
    """Do what ``%load_ext pyacq_rpc`` asks for."""
    from .people.ipython import load  # upward, as the one door to it: IPython looks for it here

    load(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Do what ``%unload_ext pyacq_rpc`` asks for."""
    from .people.ipython import unload

    unload(shell)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
