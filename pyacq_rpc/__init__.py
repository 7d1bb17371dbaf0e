"""Objects of other threads, processes and machines, used like local ones."""

from .errors import (
    AccessDenied,
    CallTimeout,
    ProtocolError,
    ReferenceReleased,
    RemoteCallException,
    RPCError,
    SerializationError,
    ServerDisconnected,
)
from .loops.plain import RPCServer
from .peers.client import RPCClient
from .peers.future import Future
from .peers.runtime import reset
from .peers.timers import Timer
from .session.proxy import ObjectProxy
from .wire.registry import Buffer, register_type, unregister_type

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "Buffer",
    "CallTimeout",
    "Future",
    "ObjectProxy",
    "ProtocolError",
    "RPCClient",
    "RPCError",
    "RPCServer",
    "ReferenceReleased",
    "RemoteCallException",
    "SerializationError",
    "ServerDisconnected",
    "Timer",
    "register_type",
    "reset",
    "unregister_type",
]
