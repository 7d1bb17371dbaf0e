"""The contenders, by name. Nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Contender

__all__ = ["CONTENDERS", "OURS", "PACKAGES", "PEERS", "RAW", "find", "missing"]

RAW = "raw pyzmq"
OURS = "pyacq-rpc"

CONTENDERS = {
    RAW: ("raw", "Raw"),
    OURS: ("ours", "Ours"),
    "RPyC": ("rpyc_peer", "RPyC"),
    "Pyro5": ("pyro5_peer", "Pyro5Daemon"),
    "teleprox": ("teleprox_peer", "Teleprox"),
    "zerorpc": ("zerorpc_peer", "ZeroRPC"),
    "managers": ("managers_peer", "Managers"),
}
"""Name: module here, and class in it."""

PACKAGES = {name: name.lower() for name in CONTENDERS if name not in (RAW, OURS, "managers")}
"""What has to be installed for a peer, as the index of packages spells it."""

PEERS = [name for name in CONTENDERS if name not in (RAW, OURS)]

_MODULES = {"Pyro5": "Pyro5"}


def find(name: str) -> type[Contender]:
    """Return the class of a contender."""
    module, kind = CONTENDERS[name]
    found: type[Contender] = getattr(importlib.import_module(f".{module}", __package__), kind)
    return found


def missing(name: str) -> bool:
    """Whether the contender's package is not installed."""
    if name not in PACKAGES:
        return False
    return importlib.util.find_spec(_MODULES.get(name, PACKAGES[name])) is None
