"""Servers in GUI threads, and what else concerns Qt.

Works with PyQt5, PyQt6 and PySide6: with the one that the program has imported,
else with the one named by the environment variable ``QT_API``, else with the
first of them that is installed.
"""

from .future import QtFuture
from .garbage import garbage_collected_here
from .server import QtRPCServer
from .signals import RemoteSignal

__all__ = ["QtFuture", "QtRPCServer", "RemoteSignal", "garbage_collected_here"]
