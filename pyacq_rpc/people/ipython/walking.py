"""From a name that somebody has typed to what it stands for, without a request."""

from __future__ import annotations

from typing import Any

from pyacq_rpc import ObjectProxy

__all__ = ["child", "name_in"]


def child(proxy: ObjectProxy, name: str) -> ObjectProxy:
    """Return the proxy of an attribute, deferred as by dotted access."""
    return ObjectProxy(
        proxy._reference,
        proxy._link,
        proxy._lease,
        (*proxy._attributes, name),
        proxy._options,
    )


def name_in(namespace: dict[str, Any], thing: object) -> str:
    """Return the variable that holds something, or an empty string; of several, the first.

    Examples
    --------
    >>> camera = object()
    >>> name_in({"_": camera, "camera": camera}, camera)
    'camera'
    """
    for name, value in list(namespace.items()):
        if value is thing and not name.startswith("_"):
            return name
    return ""
