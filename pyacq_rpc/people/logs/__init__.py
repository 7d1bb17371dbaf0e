"""A window for the log records of all processes; `LogViewer` is a widget like others."""

from .viewer import LogViewer

__all__ = ["LogViewer"]
