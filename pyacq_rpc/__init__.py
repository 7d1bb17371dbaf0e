"""Objects of other threads, processes and machines, used like local ones."""

from typing import TYPE_CHECKING, Any

from .errors import (
    AccessDenied,
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
from .session.service import Service
from .wire.registry import Buffer, register_type, unregister_type

if TYPE_CHECKING:
    from .peers.client import RPCClient
    from .peers.future import Future
    from .peers.status import Status

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AuthenticationError",
    "Buffer",
    "CallTimeout",
    "Future",
    "LimitExceeded",
    "Limits",
    "ObjectProxy",
    "ProtocolError",
    "RPCClient",
    "RPCError",
    "RPCServer",
    "ReferenceReleased",
    "RemoteCallException",
    "SerializationError",
    "ServerDisconnected",
    "Service",
    "Status",
    "Timer",
    "expose",
    "register_type",
    "reset",
    "unregister_type",
]


def __getattr__(name: str) -> Any:
    # A node that only serves has no client; it starts sooner and smaller without.
    if name not in ("Future", "RPCClient", "Status"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .peers import client, future, status

    globals().update(Future=future.Future, RPCClient=client.RPCClient, Status=status.Status)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
