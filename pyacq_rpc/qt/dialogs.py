"""The dialogs that an application has open."""

from __future__ import annotations

from typing import Any

from .binding import QtCore, this_thread

__all__ = ["innermost_dialog", "reject"]


def innermost_dialog() -> Any:
    """Return the popup or modal window that has all input, or None; in other threads None."""
    app: Any = QtCore.QCoreApplication.instance()
    if not hasattr(app, "activeModalWidget") or this_thread() is not app.thread():
        return None
    return app.activePopupWidget() or app.activeModalWidget()


def reject(widget: Any) -> None:
    """Close it, as the user does by Escape."""
    # A message box may refuse to be closed, but not this.
    getattr(widget, "reject", widget.close)()
