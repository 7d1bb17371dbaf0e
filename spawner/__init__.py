"""Starts nodes in processes of their own, watches them, and ends them."""

from .errors import SpawnError
from .logs import LogServer, get_log_address, start_log_server
from .process import ProcessSpawner

__all__ = ["LogServer", "ProcessSpawner", "SpawnError", "get_log_address", "start_log_server"]
