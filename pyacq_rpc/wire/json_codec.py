"""Messages as JSON text: one frame, for clients in any language.

A tagged value is an object with one member, ``{"$tuple": [1, 2]}``. A dict
whose keys are not all plain strings, or which could be mistaken for a tagged
value, is itself written as one. Bytes are written in base64, and the three
floats that JSON lacks by name. An integer keeps its digits up to some hundreds
of them; a longer one is written as its bytes. A string that JSON would read
back as another one (with two halves of a surrogate pair that do not belong
together) is written in pieces.
"""

from __future__ import annotations

import base64
import itertools
import json
import math
import re
from collections.abc import Sequence
from typing import Any, ClassVar

from ..errors import ProtocolError, RPCError
from .messages import RESULT, Message, pack_fields
from .nesting import check_nesting
from .packing import ITEM_DEPTH, Packing
from .registry import TypeRegistry, registry
from .values import ANY_NESTING, TAGS, Frame, Lowering, Raising, Refer, Resolve, lower_int

__all__ = ["JsonCodec"]

_KNOWN_TAGS = frozenset(TAGS)
_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_HALVES = re.compile("[\ud800-\udbff](?=[\udc00-\udfff])")

# Python limits how many digits it reads or writes, since that takes quadratic
# time: to 4300 by default, to 640 at the least.
_PLAIN_BITS = 2000
_MAX_DIGITS = 4300


class _Lowering(Lowering):
    special: ClassVar[dict[type[Any], str]] = {
        **Lowering.special,
        bytes: "_bytes",
        float: "_float",
        int: "_int",
        str: "_str",
    }
    natives: ClassVar[frozenset[type[Any]]] = frozenset({type(None), bool})

    def __init__(self, refer: Refer, types: TypeRegistry) -> None:
        super().__init__(refer, types, [])

    def tag(self, tag: str, items: list[Any]) -> Any:
        return {"$" + tag: items}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if all(
            type(key) is str
            and not key.startswith("$")
            and (key.isascii() or not _HALVES.search(key))
            for key in value
        ):
            return {key: self(item, depth + 1) for key, item in value.items()}
        pairs = [[self(key, depth + 2), self(item, depth + 2)] for key, item in value.items()]
        return self.tag("dict", pairs)

    def _bytes(self, value: bytes, depth: int) -> Any:
        return self.tag("bytes", [base64.b64encode(value).decode("ascii")])

    def _float(self, value: float, depth: int) -> Any:
        return value if math.isfinite(value) else self.tag("float", [repr(value)])

    def _int(self, value: int, depth: int) -> Any:
        if value.bit_length() <= _PLAIN_BITS:
            return value
        return self.tag("int", self._items(lower_int(value), depth))

    def _str(self, value: str, depth: int) -> Any:
        if value.isascii() or not _HALVES.search(value):
            return value
        cuts = [0, *(half.end() for half in _HALVES.finditer(value)), len(value)]
        return self.tag("str", [value[i:j] for i, j in itertools.pairwise(cuts)])

    def _buffer(self, value: Any, depth: int) -> Any:
        return self._bytes(value.data.tobytes(), depth)


def _text(fields: object) -> bytes:
    return json.dumps(fields, allow_nan=False, separators=(",", ":")).encode("ascii")


class _Packing(Packing):
    def __init__(self, refer: Refer, types: TypeRegistry) -> None:
        super().__init__()
        self._lower = _Lowering(refer, types)

    def pack(self, item: object) -> bytes:
        return _text(self._lower(item, ITEM_DEPTH))

    def head(self, request_id: int, rest: Sequence[object]) -> bytes:
        items = b"[%b]" % b",".join(self.parts)
        value = b",".join((items, *map(self.pack, rest)))
        return b"[%d,%d,[%b]]" % (RESULT, request_id, value)


class _Raising(Raising):
    def __call__(self, tag: str, items: Any) -> Any:
        if type(items) is not list:
            raise ProtocolError("the items of a tagged value are a list")
        if tag not in ("bytes", "float", "str"):
            return super().__call__(tag, items)
        if not all(type(item) is str for item in items):
            raise ProtocolError(f"a {tag} value is written with strings")
        if tag == "str":
            return "".join(items)
        (text,) = items
        return _FLOATS[text] if tag == "float" else base64.b64decode(text, validate=True)

    def object(self, pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1:
            key, items = pairs[0]
            if key.startswith("$") and key[1:] in _KNOWN_TAGS:
                return self(key[1:], items)
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ProtocolError("an object has two members of the same name")
        if any(key.startswith("$") for key in members):
            raise ProtocolError("an object with a $ is one known tag; write others as $dict")
        return members


def _constant(name: str) -> Any:
    raise ProtocolError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ProtocolError(f"an integer has more than {_MAX_DIGITS} digits; write it as $int")
    return int(digits)


class JsonCodec:
    """Turns messages into frames and back.

    Parameters
    ----------
    types : TypeRegistry
        The types that travel by value besides the common ones.
    nesting : int
        Levels of containers that a message may have to be read.
    """

    name = "json"

    def __init__(self, types: TypeRegistry = registry, nesting: int = ANY_NESTING) -> None:
        self._types = types
        self._nesting = nesting

    def encode(self, message: Message, refer: Refer) -> list[Frame]:
        """Return the frame of a message; see `MsgpackCodec.encode`."""
        return [_text(_Lowering(refer, self._types)(pack_fields(message)))]

    def packing(self, refer: Refer) -> Packing:
        """Begin a result with items; see `MsgpackCodec.packing`."""
        return _Packing(refer, self._types)

    def decode(self, frames: Sequence[Frame], resolve: Resolve) -> Message:
        """Return the message that this frame holds; see `MsgpackCodec.decode`."""
        raising = _Raising(resolve, self._types, frames)
        try:
            fields = json.loads(
                str(frames[0], "utf-8"),
                object_pairs_hook=raising.object,
                parse_constant=_constant,
                parse_int=_integer,
            )
        except RPCError:
            raise
        except Exception as error:  # the parser's own ways to say "malformed"
            raise ProtocolError(f"not a JSON message: {error}") from error
        message = raising.finish(fields)
        if len(frames[0]) > self._nesting:
            check_nesting(message, self._nesting, raising.opaque)
        return message
