"""Tab on a proxy: its remote attributes and keys, also further down a chain.

IPython finds the attributes of a proxy by itself, but neither those of ``proxy.attribute``,
since it evaluates no ``__getattr__``, nor does it know when to leave a busy server alone:
it asks once more for each of its own ways to complete.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher

from pyacq_rpc import ObjectProxy, RPCClient, RPCError
from pyacq_rpc.session import questions
from pyacq_rpc.session.questions import KEYS, ask_list
from spawner import ProcessSpawner

from .walking import child

__all__ = ["Completion"]

_PATH = r"(?<![\w.)\]}'\"])(?P<path>[^\W\d]\w*(?:\.[^\W\d]\w*)*)"
_ATTRIBUTE = re.compile(_PATH + r"\.(?P<begun>\w*)\Z")
_ITEM = re.compile(_PATH + r"\[(?P<begun>[^\]\[]*)\Z")


class Completion:
    """Completes what is typed after a proxy.

    Parameters
    ----------
    shell : InteractiveShell
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell

        @context_matcher()
        def pyacq_rpc_matcher(context: Any) -> dict[str, Any]:
            return self._completed(context.text_until_cursor)

        self._matcher = pyacq_rpc_matcher

    def install(self) -> None:
        """Be asked before the others."""
        self._shell.Completer.custom_matchers.insert(0, self._matcher)

    def remove(self) -> None:
        """Be asked no more."""
        self._shell.Completer.custom_matchers.remove(self._matcher)

    def _completed(self, text: str) -> dict[str, Any]:
        for pattern, complete in ((_ATTRIBUTE, self._attributes), (_ITEM, self._keys)):
            found = pattern.search(text)
            owner = None if found is None else self._find(found["path"])
            if found is not None and owner is not None:
                return _answer(found["begun"], complete(owner, found["begun"]))
        return {"completions": []}

    def _find(self, path: str) -> Any:
        """Return what a dotted name stands for, if a proxy or a node; runs nobody's code."""
        head, *names = path.split(".")
        for namespace in (self._shell.user_ns, self._shell.user_global_ns):
            if head in namespace:
                break
        else:
            return None
        found = namespace[head]
        for name in names:
            if isinstance(found, ObjectProxy):
                found = child(found, name)
            else:
                found = inspect.getattr_static(found, name, None)
        return found if issubclass(type(found), (ObjectProxy, ProcessSpawner, RPCClient)) else None

    def _attributes(self, owner: Any, begun: str) -> list[str]:
        if not isinstance(owner, ObjectProxy):
            return []  # of a node, IPython knows them
        names = [name for name in ask_list(owner, "__dir__") if isinstance(name, str)]
        shown = [name for name in names if begun or not name.startswith("_")]
        return [name for name in shown if name.startswith(begun) and name.isidentifier()]

    def _keys(self, owner: Any, begun: str) -> list[str]:
        keys = ask_list(owner, KEYS) if isinstance(owner, ObjectProxy) else _published(owner)
        quote = begun[:1] if begun[:1] in ("'", '"') else "'"
        shown = [quote + key + quote if isinstance(key, str) else repr(key) for key in keys]
        return [key for key in shown if key.startswith(begun)]


def _published(node: ProcessSpawner | RPCClient) -> list[str]:
    """Return the names that a server publishes."""
    patience = questions.PATIENCE / 3  # for each of three
    try:
        package = node._import("pyacq_rpc", _timeout=patience)
        server = package.RPCServer.get_server(_timeout=patience)
        return list(server.keys(_timeout=patience))
    except RPCError:  # nothing may be printed into the prompt
        return []


def _answer(begun: str, texts: list[str]) -> dict[str, Any]:
    # Where there is nothing to add, what was typed is: else IPython would go on to ask.
    return {
        "completions": [SimpleCompletion(text, type="proxy") for text in texts or [begun]],
        "matched_fragment": begun,
        "suppress": True,
        "ordered": True,
    }
