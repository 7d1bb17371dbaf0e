"""``proxy?`` and ``proxy??``: what the object over there is, by one request."""

from __future__ import annotations

from typing import Any

from pyacq_rpc import ObjectProxy, RPCError
from pyacq_rpc.session.questions import ask_description, signature_of

__all__ = ["Inspection"]

_FIELDS = (
    *("type_name", "base_class", "string_form", "namespace", "length", "file", "definition"),
    *("docstring", "source", "init_definition", "class_docstring", "init_docstring"),
    *("call_def", "call_docstring", "subclasses"),
)
"""What an inspector tells besides the name; of what it is not told, all are looked for."""

PATIENCE = 2.0
"""Seconds that somebody who has asked for it waits for a description."""


class Inspection:
    """Has the shell's inspector ask the owner of a proxy's object.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._inspector: Any = None

    def install(self) -> None:
        """Be asked about proxies, by whichever inspector the shell has."""
        self._shell.events.register("pre_run_cell", self._be_asked)
        self._be_asked()

    def remove(self) -> None:
        """Leave that to IPython again."""
        self._shell.events.unregister("pre_run_cell", self._be_asked)
        del self._inspector.info

    def _be_asked(self, *_: object) -> None:
        inspector = self._shell.inspector
        if inspector is self._inspector:  # %colors makes another one
            return
        self._inspector = inspector
        other = inspector.info

        def info(obj: Any, oname: str = "", info: Any = None, detail_level: int = 0) -> Any:
            if not isinstance(obj, ObjectProxy):
                return other(obj, oname, info, detail_level)
            return _info(obj, oname, detail_level)

        inspector.info = info


def _info(proxy: ObjectProxy, name: str, detail_level: int) -> Any:
    detail = "source" if detail_level else "object"
    try:
        told = ask_description(proxy, detail, PATIENCE)
        signature = signature_of(told)
    except RPCError as error:
        return _fields(
            name,
            type_name=type(proxy).__name__,
            string_form=repr(proxy),
            docstring=f"<not known: {error}>",
        )
    source, file = told.get("source"), told.get("file")
    doc = told.get("doc") or "<no docstring>"
    length = told.get("length")
    return _fields(
        name,
        type_name=f"{told.get('type')}, of which this is {proxy!r}",
        string_form=told.get("shown"),
        definition=None if signature is None else f"{name}{signature}",
        length=None if length is None else str(length),
        file=None if file is None else f"{file} (of {proxy._rpc_addr})",
        source=source,
        docstring=None if source else doc,  # as of local objects
    )


def _fields(name: str, **known: Any) -> dict[str, Any]:
    """Return what is known, in the form that all versions of IPython take."""
    about = {"name": name, "found": True, "isclass": False, "isalias": False, "ismagic": False}
    return {**dict.fromkeys(_FIELDS), **about, **known}
