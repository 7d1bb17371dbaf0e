"""Starts nodes in processes of their own, watches them, and ends them."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .errors import SpawnError
    from .log_watch import LogWatcher
    from .logs import LogSender, LogServer, get_log_address, start_log_server
    from .process import ProcessSpawner
    from .template import NodeTemplate

__all__ = [
    "LogSender",
    "LogServer",
    "LogWatcher",
    "NodeTemplate",
    "ProcessSpawner",
    "SpawnError",
    "get_log_address",
    "start_log_server",
]

_HOMES = {
    "LogSender": "logs",
    "LogServer": "logs",
    "LogWatcher": "log_watch",
    "NodeTemplate": "template",
    "ProcessSpawner": "process",
    "SpawnError": "errors",
    "get_log_address": "logs",
    "start_log_server": "logs",
}


def __getattr__(name: str) -> Any:
    # A node imports this package too, for its first lines, and needs none of these.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
