"""Rich display of remote objects: on request, or as an option."""

from __future__ import annotations

import sys
from typing import Any

from pyacq_rpc import ObjectProxy, RPCError
from pyacq_rpc.session.questions import DISPLAY, ask

__all__ = ["PATIENCE", "Display", "Rendering"]

PATIENCE = 10.0
"""Seconds that something may take to be drawn; after that, the prompt goes on."""


class Rendering:
    """What a notebook shows of an object, made where that is.

    Parameters
    ----------
    told : dict
        As of `pyacq_rpc.session.describing.rendering_of`.

    Examples
    --------
    >>> Rendering({"data": {"text/plain": "<Camera>"}})
    <Camera>
    """

    def __init__(self, told: dict[str, Any]) -> None:
        self.data: dict[str, Any] = told.get("data") or {}
        self.metadata: dict[str, Any] = told.get("metadata") or {}
        self._problems: list[str] = told.get("problems") or []

    def __repr__(self) -> str:
        return str(self.data.get("text/plain", "<nothing that could be shown as text>"))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        for problem in self._problems:
            print(f"not shown: {problem}", file=sys.stderr)
        return self.data, self.metadata


class Display:
    """Shows proxies as their objects are shown, while that is wanted.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: Any) -> None:
        self._formatter = shell.display_formatter.mimebundle_formatter
        self.is_on = False

    def install(self) -> None:
        """Do nothing yet: echoing a proxy sends no request unless that is wanted."""

    def remove(self) -> None:
        """Show proxies as what they are."""
        self.turn(False)

    def turn(self, on: bool) -> None:
        """Have proxies that are echoed shown as their objects, or not."""
        if on and not self.is_on:
            self._formatter.for_type(ObjectProxy, self._bundle)
        elif self.is_on and not on:
            self._formatter.pop(ObjectProxy)
        self.is_on = on

    def rendering(self, proxy: ObjectProxy) -> Rendering:
        """Have an object rendered where it is: one request.

        Raises
        ------
        RPCError
            If there is no answer.
        """
        return Rendering(ask(proxy, DISPLAY, timeout=PATIENCE))

    def _bundle(self, proxy: ObjectProxy, **_: Any) -> Any:
        try:
            return self.rendering(proxy)._repr_mimebundle_()
        except RPCError as error:
            return {"text/plain": f"{proxy!r}\n(not shown: {error})"}, {}
