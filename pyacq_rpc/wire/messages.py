"""The messages of the protocol, and the one place that checks their shape.

A message is a sequence whose first element is its kind; the rest are the
fields of the class below, in order. ``docs/protocol.rst`` is the same table in
prose. The order in which a connection may see them:

* The client opens with `Hello`; nothing else is understood before it.
* The server answers `Welcome`. The client need not wait for it: requests may
  follow the hello at once, since both travel in order.
* `Request` is answered by exactly one `Result` or `Failure` of the same id,
  unless its ``reply`` is ``'off'``.
* `Release`, `Grant`, `Claim` and `Withdraw` keep the books of leases and are
  not answered.
* After a `Move`, its sender's messages come over another road, in the same order.
* `Goodbye` ends a connection, from either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

from ..errors import ProtocolError
from .context import check_context

__all__ = [
    "ACTIONS",
    "MOST_DEPTH",
    "MOVE",
    "REPLIES",
    "REQUEST",
    "RESULT",
    "URGENT",
    "VERSION",
    "Cancel",
    "Claim",
    "Failure",
    "Goodbye",
    "Grant",
    "Hello",
    "Message",
    "Move",
    "Reference",
    "Release",
    "Request",
    "Result",
    "Target",
    "Welcome",
    "Withdraw",
    "make",
    "pack_fields",
    "parse",
]

VERSION = 1
"""The protocol version spoken here; a hello with another one is refused."""

REPLIES = ("auto", "proxy", "value", "ack", "off")
"""How a request wants to be answered.

``auto`` by value where there is a value form, else by proxy; ``proxy`` and
``value`` insist; ``ack`` answers None when done; ``off`` answers nothing."""


class Reference(NamedTuple):
    """What stands for an object that travels by proxy.

    Attributes
    ----------
    address : str
        Where the owning server listens.
    ref : str
        Names the reference at its owner: 12 random characters.
    object_id : str
        Equal for two references to the same object; for hashing only.
    type_name : str
        The object's class, for people to read.
    attributes : list of str
        The deferred attribute chain, empty for the object itself.
    token : str
        Redeems the receiver's lease (see `Grant`), or empty when the lease
        was opened for the receiver by the owner itself, or the receiver is
        the owner and the sender holds the reference.
    """

    address: str
    ref: str
    object_id: str
    type_name: str
    attributes: list[str]
    token: str


class Target(NamedTuple):
    """The object a request is about: a reference held here, and a chain.

    ``ref`` may also be ``'@name'`` for an object published under *name*, and within a
    batch ``'#7'`` for the result of that batch's request 7.
    """

    ref: str
    attributes: list[str]


class Hello(NamedTuple):
    """A client opens its connection.

    ``peer`` names the client's process to this server: leases belong to it.
    ``info`` may ask, with ``direct``, for the direct road.
    """

    version: int
    peer: str
    info: dict[str, Any]


class Welcome(NamedTuple):
    """The server answers a hello. ``server`` names its incarnation.

    In ``info`` are the server's ``name``, its ``limits`` and, if it has a direct road and was
    asked for that, its ``path`` with a ``token`` for this client.
    """

    version: int
    server: str
    info: dict[str, Any]


class Request(NamedTuple):
    """A client wants ``action`` done, with the options of that action.

    ``context`` is for who traces calls. ``depth`` tells how many others it was made within: 1 if
    it is made while a request is carried out that was made within none. Both are left out at
    the end where there is nothing to say.
    """

    id: int
    action: str
    reply: str
    options: dict[str, Any]
    context: dict[str, str] | None = None
    depth: int = 0


class Result(NamedTuple):
    """The answer to the request with this id."""

    id: int
    value: Any


class Failure(NamedTuple):
    """The request with this id failed; id None: no request could be read.

    ``code`` says which class of error it is (see ``session.remote_errors``).
    ``bases`` are the builtin classes of a remote exception, nearest first;
    ``args`` are its arguments where all of them are plain values.
    """

    id: int | None
    code: str
    type_name: str
    bases: list[str]
    message: str
    args: list[Any] | None
    traceback: str


class Release(NamedTuple):
    """A client gives leases back: ``refs`` once each."""

    refs: list[str]


class Grant(NamedTuple):
    """A holder hands a reference on: whoever claims ``token`` gets a lease.

    For what is in a token see ``session.tokens``.
    """

    ref: str
    token: str


class Claim(NamedTuple):
    """A client takes up the lease that was granted to it with ``token``.

    It may do so over each of its process's connections.
    """

    ref: str
    token: str


class Withdraw(NamedTuple):
    """A grant whose receiver will never claim it (it has died)."""

    token: str


class Cancel(NamedTuple):
    """The request with this id need not be begun."""

    id: int


class Goodbye(NamedTuple):
    """The sender closes its side of the connection."""

    reason: str


class Move(NamedTuple):
    """The sender's next messages come over the direct road (see `Welcome`).

    ``token`` tells which connection that is.
    """

    token: str


Message = Union[
    Hello,
    Welcome,
    Request,
    Result,
    Failure,
    Release,
    Grant,
    Claim,
    Withdraw,
    Cancel,
    Goodbye,
    Move,
]

make = tuple.__new__
"""Makes a message, or another of these tuples, of its class and its fields.

The class itself would take a call of a Python function for that."""

_ID = (int,)
_LAYOUT: tuple[tuple[type[Any], tuple[tuple[type, ...], ...]], ...] = (
    (Hello, (_ID, (str,), (dict,))),
    (Welcome, (_ID, (str,), (dict,))),
    (Request, (_ID, (str,), (str,), (dict,))),
    (Result, (_ID, (object,))),
    (
        Failure,
        ((int, type(None)), (str,), (str,), (list,), (str,), (list, type(None)), (str,)),
    ),
    (Release, ((list,),)),
    (Grant, ((str,), (str,))),
    (Claim, ((str,), (str,))),
    (Withdraw, ((str,),)),
    (Cancel, (_ID,)),
    (Goodbye, ((str,),)),
    (Move, ((str,),)),
)
REQUEST, RESULT, MOVE = 2, 3, 11
"""Kinds of messages: those that there are most of, and the one that may overtake others."""

_PLAIN = 5
"""Elements of a request without what may be left out."""

MOST_DEPTH = 127
"""The largest depth that is told; it takes one byte, the last of a message."""

_KIND: dict[type[Any], int] = {cls: kind for kind, (cls, _) in enumerate(_LAYOUT)}
_STRING_LISTS: dict[Any, int] = {Failure: 3, Release: 0}

ACTIONS: dict[str, dict[str, tuple[type, ...]]] = {
    "call_obj": {"obj": (Target,), "args": (list,), "kwargs": (dict,)},
    "notify": {"obj": (Target,), "args": (list,)},
    "get_obj": {"obj": (Target,)},
    "get_item": {"name": (str,)},
    "set_item": {"name": (str,), "value": (object,)},
    "delete": {"obj_id": (str,), "ref_id": (str,)},
    "import": {"module": (str,)},
    "transfer": {"obj": (object,)},
    "iterate": {"obj": (Target,), "backwards": (bool,), "room": (int,)},
    "fetch": {"obj": (Target,), "at": (int,), "room": (int,)},
    "batch": {"requests": (list,), "unread": (list,)},
    "ping": {},
    "time": {},
    "close": {},
    "status": {},
    "stats": {},
    "interrupt": {"request": (int, type(None))},
    "names": {},
}
"""The options of each action, with the types they must have on the wire."""

URGENT = frozenset({"status", "stats", "names", "interrupt"})
"""Actions that are carried out at once where they overtake others, as `Cancel` does."""


def pack_fields(message: Message) -> list[Any]:
    """Return the kind and the fields of a message, ready for a codec.

    Examples
    --------
    >>> pack_fields(Cancel(7))
    [9, 7]
    """
    fields = [_KIND[type(message)], *message]
    if fields[0] == REQUEST:
        while len(fields) > _PLAIN and not fields[-1]:
            del fields[-1]
    return fields


def parse(fields: object) -> Message:
    """Check what a codec decoded and return it as a message.

    Raises
    ------
    ProtocolError
        If it is not exactly one well-formed message.

    Examples
    --------
    >>> parse([9, 7])
    Cancel(id=7)
    """
    if not isinstance(fields, list) or not fields:
        raise ProtocolError("a message is a non-empty list")
    kind = fields[0]
    # Its type first: other things, arrays for one, have a mind of their own about ``==``.
    is_known = type(kind) is int and 0 <= kind < len(_LAYOUT)
    if is_known and kind == RESULT and len(fields) == 3 and type(fields[1]) is int:
        return make(Result, fields[1:])
    if not is_known:
        raise ProtocolError(f"unknown kind of message: {_short(kind)}")
    if kind == REQUEST and _PLAIN <= len(fields) <= _PLAIN + 2:
        number, action, reply, options = fields[1:5]
        if type(number) is int and type(action) is type(reply) is str and type(options) is dict:
            context, depth = None, 0
            try:
                if len(fields) > _PLAIN:
                    context = fields[_PLAIN]
                    if len(fields) > _PLAIN + 1:
                        depth = _check_depth(fields[-1])
                    if context is not None or not depth:
                        check_context(context)
                request = make(Request, (number, action, reply, options, context, depth))
                return _check_request(request)
            except ProtocolError as error:
                error.request_id = number
                raise
        fields = fields[:_PLAIN]  # one of these is wrong, which is said below
    cls, layout = _LAYOUT[kind]
    if len(fields) != len(layout) + 1:
        raise ProtocolError(f"{cls.__name__} has {len(layout)} fields, not {len(fields) - 1}")
    for name, types, value in zip(cls._fields, layout, fields[1:]):
        if types[0] is not object and type(value) not in types:
            raise ProtocolError(f"{cls.__name__}.{name} may not be of type {type(value).__name__}")
    message: Message = cls(*fields[1:])
    if cls in _STRING_LISTS:
        _check_strings(cls.__name__, fields[1 + _STRING_LISTS[cls]])
    return message


def _check_depth(depth: object) -> int:
    if type(depth) is not int or not 0 < depth <= MOST_DEPTH:
        raise ProtocolError(f"a depth is an integer from 1 to {MOST_DEPTH}, not {_short(depth)}")
    return depth


def _check_request(request: Request) -> Request:
    if request.reply not in REPLIES:
        raise ProtocolError(f"unknown reply mode {_short(request.reply)}; known: {REPLIES}")
    wanted = ACTIONS.get(request.action)
    if wanted is None:
        raise ProtocolError(f"unknown action {_short(request.action)}; known: {list(ACTIONS)}")
    options = request.options
    if request.action == "call_obj" and len(options) == 3:
        # The same as below, for what there is most of.
        try:
            target, args, kwargs = options["obj"], options["args"], options["kwargs"]
        except KeyError:
            pass
        else:
            if (
                type(target) is type(args) is list
                and target
                and type(kwargs) is dict
                and _STRINGS.issuperset(map(type, target))
                and _STRINGS.issuperset(map(type, kwargs))
            ):
                options["obj"] = make(Target, (target[0], target[1:]))
                return request
    if options.keys() != wanted.keys():
        raise ProtocolError(
            f"action {request.action!r} takes the options {list(wanted)}, not {_short([*options])}"
        )
    for name, types in wanted.items():
        if types[0] is Target:
            options[name] = _target(options[name])
        elif types[0] is not object and type(options[name]) not in types:
            raise ProtocolError(
                f"option {name!r} of {request.action!r} may not be of type"
                f" {type(options[name]).__name__}"
            )
    if request.action == "call_obj":
        _check_strings("kwargs", options["kwargs"])
    return request


_STRINGS = frozenset({str})


def _target(value: object) -> Target:
    if not isinstance(value, list) or not value:
        raise ProtocolError("a target is a list: a reference, then attribute names")
    _check_strings("a target", value)
    return Target(value[0], value[1:])


def _check_strings(where: str, values: Sequence[Any] | dict[Any, Any]) -> None:
    for value in values:
        if type(value) is not str:
            raise ProtocolError(f"{where} may only hold strings, not {type(value).__name__}")


def _short(value: object) -> str:
    # Never the repr of a hostile object, which may be huge, nested too deep to
    # be written, or an integer of more digits than Python likes to write.
    if isinstance(value, list):
        inner = [_short(item) for item in value[:8]]
        return f"[{', '.join(inner + ['...'] * (len(value) > 8))}]"
    if isinstance(value, str) and len(value) <= 60:
        return repr(value)
    if type(value) is int and value.bit_length() <= 64:
        return str(value)
    return f"<{type(value).__name__}>"
