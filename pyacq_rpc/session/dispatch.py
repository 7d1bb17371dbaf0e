"""What a server does for one request: look up, ask the policy, act."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, Protocol

from ..errors import ReferenceReleased
from ..wire.messages import Target
from .leases import LOCAL, ObjectTable
from .policy import Policy
from .special import SPECIAL

__all__ = ["Dispatcher", "Owner", "UserError"]


class UserError(Exception):
    """Wraps what user code raised, to tell it from errors of the machinery.

    Attributes
    ----------
    error : BaseException
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class Owner(Protocol):
    """What some actions are about: a server."""

    def close(self) -> None:
        """Ask it to close; returns at once."""

    def status(self) -> dict[str, object]:
        """Say what it is doing."""

    def interrupt(self) -> bool:
        """Interrupt what it is doing; whether there was anything."""


_OF_REFERENCES = frozenset({"call_obj", "get_obj", "delete"})
"""The actions that a peer may ask for on what it holds only."""


class Dispatcher:
    """Carries out the actions of the protocol on local objects.

    Parameters
    ----------
    table : ObjectTable
        The objects that peers hold references to.
    policy : Policy
        Is asked before each access.
    owner : Owner
        Whose objects they are.
    """

    def __init__(self, table: ObjectTable, policy: Policy, owner: Owner) -> None:
        self.names: dict[str, object] = {}
        self._table = table
        self._policy = policy
        self._owner = owner

    def run(self, action: str, options: dict[str, Any], peer: str) -> object:
        """Carry out one action.

        Parameters
        ----------
        action : str
            One of `wire.messages.ACTIONS`.
        options : dict
            Its options, checked.
        peer : str
            Who asks: only what it holds can be referred to.

        Returns
        -------
        object
            The result, not yet lowered.

        Raises
        ------
        UserError
            If user code raised; holds what it raised.
        RPCError
            If the machinery refuses: no such reference, no access.
        """
        action_method: Callable[..., object] = getattr(self, "_" + action)
        if action in _OF_REFERENCES:
            return action_method(peer, **options)
        return action_method(**options)

    def _call_obj(self, peer: str, obj: Target, args: list[Any], kwargs: dict[str, Any]) -> object:
        attributes = obj.attributes
        special = SPECIAL.get(attributes[-1]) if attributes else None
        if special is not None:
            owner = self.resolve(Target(obj.ref, attributes[:-1]), peer)
            self._check_special(owner, attributes[-1], args)
            return _user(special, owner, *args, **kwargs)
        function, owner = self._reach(obj, peer)
        name = attributes[-1] if attributes else None
        self._policy.check("call", function, name, owner, self.names)
        return _user(function, *args, **kwargs)

    def _check_special(self, owner: object, name: str, args: list[Any]) -> None:
        if name in ("__setattr__", "__delattr__"):
            attribute = args[0] if args and isinstance(args[0], str) else None
            self._policy.check(name.strip("_"), owner, attribute)
        else:
            self._policy.check("special", owner, name)

    def _get_obj(self, peer: str, obj: Target) -> object:
        found = self.resolve(obj, peer)
        self._policy.check("value", found, None)
        return found

    def _get_item(self, name: str) -> object:
        self._policy.check("get_item", None, name)
        try:
            return self.names[name]
        except KeyError:
            known = ", ".join(map(repr, self.names)) or "nothing"
            raise UserError(
                KeyError(f"nothing is published as {name!r} here; published: {known}")
            ) from None

    def _set_item(self, name: str, value: object) -> None:
        self._policy.check("set_item", None, name)
        self.names[name] = value

    def _delete(self, peer: str, obj_id: str, ref_id: str) -> None:
        self._policy.check("delete", self._table.get(ref_id, peer), None)
        self._table.revoke(ref_id, peer)

    def _import(self, module: str) -> object:
        self._policy.check("import", None, module)
        return _user(importlib.import_module, module)

    def _transfer(self, obj: object) -> object:
        self._policy.check("transfer", None, None)
        return obj

    def _ping(self) -> str:
        self._policy.check("ping", None)
        return "pong"

    def _time(self) -> float:
        self._policy.check("time", None)
        return time.time()

    def _close(self) -> bool:
        self._policy.check("close", None, None)
        self._owner.close()
        return True

    def _status(self) -> dict[str, object]:
        self._policy.check("status", None, None)
        return self._owner.status()

    def _interrupt(self) -> bool:
        self._policy.check("interrupt", None, None)
        return self._owner.interrupt()

    def describe(self, action: str, options: dict[str, Any]) -> str:
        """Return what an action is about, in a few words; runs nobody's code.

        Examples
        --------
        A method of an object that was published, of one that was not, and an import:
        ``'camera.expose'``, ``'Camera.expose'``, ``'import numpy'``.
        """
        target = options.get("obj")
        if type(target) is not Target:
            names = [options[option] for option in ("name", "module") if option in options]
            return " ".join([action, *names])
        if target.ref.startswith("@"):
            owner = target.ref[1:]
        else:
            try:
                owner = self._name_of(self._table.get(target.ref, LOCAL))
            except ReferenceReleased:  # by now
                return action
        return ".".join([owner, *target.attributes])

    def _name_of(self, obj: object) -> str:
        for name, published in list(self.names.items()):
            if published is obj:
                return name
        # Whatever it would like to be taken for.
        if issubclass(type(obj), (type, ModuleType, FunctionType, BuiltinFunctionType)):
            return str(getattr(obj, "__name__", "?"))
        return type(obj).__name__

    def resolve(self, target: Target, peer: str) -> Any:
        """Return the object of a target, its attributes looked up for `peer`.

        Raises
        ------
        ReferenceReleased
            If `peer` does not hold the reference, or not any more.
        UserError
            If an attribute is missing, or its look-up raised.
        """
        return self._reach(target, peer)[0]

    def take_back(self, target: Target) -> Any:
        """Return the object of a target that a peer has sent; errors as of `resolve`."""
        obj, owner = self._reach(target, LOCAL)
        name = target.attributes[-1] if target.attributes else None
        self._policy.check("argument", obj, name, owner, self.names)
        return obj

    def _reach(self, target: Target, peer: str) -> tuple[Any, Any]:
        """Return the object of a target, and what its last attribute was found on."""
        owner = None
        if target.ref.startswith("@"):
            obj = self._get_item(target.ref[1:])
        else:
            obj = self._table.get(target.ref, peer)
        for name in target.attributes:
            self._policy.check("getattr", obj, name)
            owner = obj
            try:
                obj = getattr(obj, name)
            except BaseException as error:
                raise UserError(error) from error
        return obj, owner


def _user(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        raise UserError(error) from error
