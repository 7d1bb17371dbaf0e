"""What an action is about, in a few words for people: ``camera.expose``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..wire.messages import Target

__all__ = ["describe_action", "short_name"]


def describe_action(
    action: str, options: dict[str, Any], name_of: Callable[[str], str | None]
) -> str:
    """Return what an action is about.

    Parameters
    ----------
    action : str
        One of `wire.messages.ACTIONS`.
    options : dict
        Its options.
    name_of : callable
        Returns what the object of a reference is called, or None if that is not known.

    Examples
    --------
    >>> from pyacq_rpc.wire.messages import Target
    >>> describe_action("call_obj", {"obj": Target("@camera", ["expose"])}, lambda ref: None)
    'camera.expose'
    >>> describe_action("import", {"module": "numpy"}, lambda ref: None)
    'import numpy'
    """
    target = options.get("obj")
    if type(target) is not Target:
        names = [options[option] for option in ("name", "module") if option in options]
        return " ".join([action, *names])
    owner = target.ref[1:] if target.ref.startswith("@") else name_of(target.ref)
    if owner is None:
        return action
    return ".".join([owner, *target.attributes])


def short_name(type_name: str) -> str:
    """Return what to call an object whose reference has this `type_name`.

    Examples
    --------
    >>> short_name("microscope.Camera"), short_name("class microscope.Camera")
    ('Camera', 'Camera')
    >>> short_name("module os.path"), short_name("function expose")
    ('os.path', 'expose')
    """
    kind, _, name = type_name.rpartition(" ")
    return name.rpartition(".")[2] if kind in ("", "class") else name
