"""What ``%load_ext pyacq_rpc`` adds to an IPython prompt, and to a notebook.

Nothing here imports IPython before that; nodes import `cells`, which needs none.
"""

from __future__ import annotations

from typing import Any

__all__ = ["load", "unload"]

_loaded: dict[int, Any] = {}
"""The extension of each shell, by its identity: a process has one, or two when they nest."""


def load(shell: Any) -> None:
    """Extend a shell.

    Parameters
    ----------
    shell : InteractiveShell
    """
    from .extension import Extension  # here: it imports IPython

    if id(shell) not in _loaded:
        extension = Extension(shell)
        extension.install()
        _loaded[id(shell)] = extension


def unload(shell: Any) -> None:
    """Take everything back that `load` has added to a shell.

    Parameters
    ----------
    shell : InteractiveShell
    """
    extension = _loaded.pop(id(shell), None)
    if extension is not None:
        extension.remove()
