"""How deep the containers of a message lie within each other."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ..errors import LimitExceeded
from .messages import Message, Request

__all__ = ["check_nesting"]

_LEAVES = frozenset({type(None), bool, int, float, str, bytes, bytearray, memoryview})
_CONTAINERS = (list, tuple, dict, set, frozenset, slice)


def check_nesting(message: Message, nesting: int, opaque: Collection[object]) -> None:
    """Refuse a message whose containers nest too deep.

    Parameters
    ----------
    message : Message
    nesting : int
        How many levels it may have below its own fields.
    opaque : collection
        Objects of this process in it, whose insides have not been sent.

    Raises
    ------
    LimitExceeded
    """
    # One level after the other: whatever is deep in it, this is not.
    skipped = set(map(id, opaque))
    level: list[object] = [message]
    for _ in range(nesting + 1):
        level = [
            item
            for container in level
            for items in _insides(container)
            if not _LEAVES.issuperset(map(type, items))
            for item in items
            if isinstance(item, _CONTAINERS) and id(item) not in skipped
        ]
        if not level:
            return
    error = LimitExceeded(
        f"a message nests deeper than the {nesting} levels that the server takes"
        " (to raise that, start it with limits=Limits(nesting=...))"
    )
    error.request_id = message.id if isinstance(message, Request) else None
    raise error


def _insides(container: object) -> Iterable[Collection[object]]:
    if isinstance(container, dict):
        return (container.keys(), container.values())
    if isinstance(container, slice):
        return ((container.start, container.stop, container.step),)
    assert isinstance(container, (list, tuple, set, frozenset))
    return (container,)
