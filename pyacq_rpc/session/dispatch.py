"""What a server does for one request: look up, ask the policy, act."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType, FunctionType, GeneratorType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import AccessDenied, ReferenceReleased
from ..wire.messages import Target
from .about import describe_action
from .feed import Feed, Taker
from .leases import LOCAL
from .notifying import notify
from .policy import Policy
from .questions import QUESTIONS, answer
from .special import SPECIAL
from .stats import ServerStats
from .user_error import UserError

if TYPE_CHECKING:
    from .batch import BatchDispatcher

__all__ = ["GIVES_ITEMS", "Dispatcher", "Owner", "References", "UserError"]


class Owner(Protocol):
    """What some actions are about: a server."""

    def close(self) -> None:
        """Ask it to close; returns at once."""

    def status(self) -> dict[str, object]:
        """Say what it is doing."""

    def stats(self) -> ServerStats:
        """Say what it has done so far, and what it has."""

    def interrupt(self, only: tuple[str, int] | None = None) -> bool:
        """Interrupt what it is doing; whether there was anything.

        With `only`, a peer and the id of a request of that, nothing else is interrupted.
        """


class References(Protocol):
    """Who may use what: an `ObjectTable`, as a dispatcher sees it."""

    def get(self, ref: str, peer: str) -> object:
        """Return the object of a reference that `peer` holds, or raise `ReferenceReleased`."""

    def revoke(self, ref: str, peer: str) -> None:
        """Forget a reference that `peer` holds, whoever else does."""


_OF_PEERS = frozenset({"call_obj", "notify", "get_obj", "delete", "interrupt"})
"""The actions that a peer may ask for on what it holds only."""

GIVES_ITEMS = frozenset({"iterate", "fetch"})
"""Those whose results begin with a list of items."""


class _OneByOne(list[object]):
    """Takes items for the server's own thread, where there is no need for many at a time."""

    def add(self, item: object) -> bool:
        self.append(item)
        return False

    def close(self) -> bool:
        return True


class Dispatcher:
    """Carries out the actions of the protocol on local objects.

    Parameters
    ----------
    table : ObjectTable or the like
        The objects that peers hold references to.
    policy : Policy
        Is asked before each access.
    owner : Owner
        Whose objects they are.

    Attributes
    ----------
    names : dict
        What is published.
    look_up : callable
        What `getattr` is to peers.
    """

    def __init__(self, table: References, policy: Policy, owner: Owner) -> None:
        self.names: dict[str, object] = {}
        self.look_up: Callable[[Any, str], Any] = getattr
        self._table = table
        self._policy = policy
        self._owner = owner

    def run(
        self, action: str, options: dict[str, Any], peer: str, taker: Taker | None = None
    ) -> object:
        """Carry out one action.

        Parameters
        ----------
        action : str
            One of `wire.messages.ACTIONS`.
        options : dict
            Its options, checked.
        peer : str
            Who asks: only what it holds can be referred to.
        taker : Taker, optional
            Takes the items of an action that gives some. The result is a list of what
            follows those; without a taker it has the list of items first.

        Returns
        -------
        object
            The result, not yet lowered.

        Raises
        ------
        UserError
            If user code raised; holds what it raised.
        IsBusy
            If there can be items only when an earlier action has come to its end.
        RPCError
            If the machinery refuses: no such reference, no access.
        """
        action_method: Callable[..., object] = getattr(self, "_" + action)
        if action in GIVES_ITEMS:
            if taker is not None:
                return action_method(peer, **options, taker=taker)
            items = _OneByOne()
            rest: Any = action_method(peer, **options, taker=items)
            return [list(items), *rest]
        if action in _OF_PEERS:
            return action_method(peer, **options)
        return action_method(**options)

    def _call_obj(self, peer: str, obj: Target, args: list[Any], kwargs: dict[str, Any]) -> object:
        attributes = obj.attributes
        special = SPECIAL.get(attributes[-1]) if attributes else None
        if special is not None:
            owner = self.resolve(Target(obj.ref, attributes[:-1]), peer)
            self._check_special(owner, attributes[-1], args)
            return _user(special, owner, *args, **kwargs)
        if attributes and attributes[-1] in QUESTIONS:
            return self._answer(peer, obj, args)
        function, owner = self._reach(obj, peer)
        name = attributes[-1] if attributes else None
        self._policy.check("call", function, name, owner, self.names)
        return _user(function, *args, **kwargs)

    def _notify(self, peer: str, obj: Target, args: list[Any]) -> object:
        function, owner = self._reach(obj, peer)
        name = obj.attributes[-1] if obj.attributes else None
        self._policy.check("call", function, name, owner, self.names)
        return _user(notify, function, args)

    def _answer(self, peer: str, obj: Target, args: list[Any]) -> object:
        *attributes, question = obj.attributes
        found, owner = self._reach(Target(obj.ref, attributes), peer)
        name = attributes[-1] if attributes else None
        self._policy.check(QUESTIONS[question], found, name, owner, self.names)
        return _user(answer, question, found, args, self._policy.tracebacks)

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

    def _iterate(
        self, peer: str, obj: Target, backwards: bool, room: int, taker: Taker
    ) -> list[object]:
        found = self.resolve(obj, peer)
        self._policy.check("special", found, "__reversed__" if backwards else "__iter__")
        iterator = _user(reversed if backwards else _iter, found)
        self._policy.check("special", iterator, "__next__")
        is_same = iterator is found
        feed = Feed(iterator, may_close=not is_same or self._may_close(found))
        source = f"{id(found):x}" if is_same else ""
        # Nothing runs that could take long, or be lost if nobody waits for the answer.
        if is_same or not feed.is_at_hand() or type(taker) is _OneByOne:
            return [False, source, feed]
        ended = feed.take(0, room, taker)
        return [ended, source, None if ended else feed]

    def _fetch(self, peer: str, obj: Target, at: int, room: int, taker: Taker) -> list[object]:
        feed = self.resolve(obj, peer)
        is_feed = type(feed) is Feed
        self._policy.check("special", feed.iterator if is_feed else feed, "__next__")
        if not is_feed:
            raise UserError(TypeError(f"items are fetched from what 'iterate' gave, not {obj!r}"))
        return [feed.take(at, room, taker)]

    def _may_close(self, obj: object) -> bool:
        """Whether a peer may close a generator that it has not made by iterating."""
        try:
            self._policy.check("getattr", obj, "close")
        except AccessDenied:
            return False
        return True

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

    def _batch(self, requests: list[Any], unread: list[Any]) -> BatchDispatcher:
        self._policy.check("batch", None, None)
        from .batch import BatchDispatcher  # here: derived from this one

        return BatchDispatcher(self)

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

    def _stats(self) -> dict[str, object]:
        self._policy.check("stats", None, None)
        return self._owner.stats()._asdict()

    def _interrupt(self, peer: str, request: int | None) -> bool:
        self._policy.check("interrupt", None, None)
        return self._owner.interrupt(None if request is None else (peer, request))

    def _names(self) -> list[str]:
        self._policy.check("names", None, None)
        return list(self.names)

    def describe(self, action: str, options: dict[str, Any]) -> str:
        """Return what an action is about, in a few words; runs nobody's code.

        Examples
        --------
        A method of an object that was published, of one that was not, and an import:
        ``'camera.expose'``, ``'Camera.expose'``, ``'import numpy'``.
        """
        return describe_action(action, options, self._name_of)

    def _name_of(self, ref: str) -> str | None:
        try:
            obj = self._table.get(ref, LOCAL)
        except ReferenceReleased:  # by now
            return None
        if type(obj) is Feed:
            return f"items of {self.name_of(obj.iterator)}"
        return self.name_of(obj)

    def name_of(self, obj: object) -> str:
        """Return what to call an object, in a word; runs nobody's code."""
        for name, published in list(self.names.items()):
            if published is obj:
                return name
        # Whatever it would like to be taken for.
        if type(obj) is GeneratorType:
            return obj.__qualname__
        if issubclass(type(obj), (type, ModuleType, FunctionType, BuiltinFunctionType)):
            return str(getattr(obj, "__name__", "?"))
        if type(obj) is MethodType:
            return f"{self.name_of(obj.__self__)}.{self.name_of(obj.__func__)}"
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
                obj = self.look_up(obj, name)
            except BaseException as error:
                raise UserError(error) from error
        return obj, owner


def _iter(obj: Any) -> Iterator[Any]:
    try:
        return iter(obj)
    except TypeError as error:
        if not hasattr(type(obj), "__aiter__"):
            raise
        raise TypeError(
            f"{type(obj).__qualname__!r} object is iterable by 'async for' only, which the server"
            " that owns it does not do for others"
        ) from error


def _user(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return function(*args, **kwargs)
    except BaseException as error:
        raise UserError(error) from error
