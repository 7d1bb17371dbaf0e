"""Messages as JSON text: one frame, for clients in any language.

A tagged value is an object with one member, ``{"$tuple": [1, 2]}``. A dict
whose keys are not all plain strings, or which could be mistaken for a tagged
value, is itself written as one. Bytes are written in base64, and the three
floats that JSON lacks by name. A Python integer keeps all of its digits.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

from ..errors import ProtocolError, RPCError
from .messages import Message, pack_fields
from .registry import TypeRegistry, registry
from .values import TAGS, Frame, Lowering, Raising, Refer, Resolve

__all__ = ["JsonCodec"]

_KNOWN_TAGS = frozenset(TAGS)


class _Lowering(Lowering):
    natives = Lowering.natives - {bytes, float}

    def __init__(self, refer: Refer, types: TypeRegistry) -> None:
        super().__init__(refer, types, [])
        self._special[bytes] = self._bytes
        self._special[float] = self._float

    def tag(self, tag: str, items: list[Any]) -> Any:
        return {"$" + tag: items}

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        if all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self(item, depth + 1) for key, item in value.items()}
        pairs = [[self(key, depth + 2), self(item, depth + 2)] for key, item in value.items()]
        return self.tag("dict", pairs)

    def _bytes(self, value: bytes, depth: int) -> Any:
        return self.tag("bytes", [base64.b64encode(value).decode("ascii")])

    def _float(self, value: float, depth: int) -> Any:
        return value if math.isfinite(value) else self.tag("float", [repr(value)])

    def _buffer(self, value: Any, depth: int) -> Any:
        return self._bytes(value.data.tobytes(), depth)


class _Raising(Raising):
    def __call__(self, tag: str, items: Any) -> Any:
        if type(items) is not list:
            raise ProtocolError("the items of a tagged value are a list")
        if tag == "bytes":
            (text,) = items
            return base64.b64decode(text, validate=True)
        if tag == "float":
            (name,) = items
            if name not in ("nan", "inf", "-inf"):
                raise ProtocolError(f"unknown float {name!r}")
            return float(name)
        return super().__call__(tag, items)

    def object(self, pairs: list[tuple[str, Any]]) -> Any:
        if len(pairs) == 1:
            key, items = pairs[0]
            if key.startswith("$") and key[1:] in _KNOWN_TAGS:
                return self(key[1:], items)
        return dict(pairs)


def _constant(name: str) -> Any:
    raise ProtocolError(f"{name} is not JSON")


class JsonCodec:
    """Turns messages into frames and back.

    Parameters
    ----------
    types : TypeRegistry
        The types that travel by value besides the common ones.
    """

    name = "json"

    def __init__(self, types: TypeRegistry = registry) -> None:
        self._types = types

    def encode(self, message: Message, refer: Refer) -> list[Frame]:
        """Return the frame of a message; see `MsgpackCodec.encode`."""
        fields = _Lowering(refer, self._types)(pack_fields(message))
        return [json.dumps(fields, allow_nan=False, separators=(",", ":")).encode("ascii")]

    def decode(self, frames: Sequence[Frame], resolve: Resolve) -> Message:
        """Return the message that this frame holds; see `MsgpackCodec.decode`."""
        raising = _Raising(resolve, self._types, frames)
        try:
            fields = json.loads(
                bytes(frames[0]), object_pairs_hook=raising.object, parse_constant=_constant
            )
        except RPCError:
            raise
        except (ValueError, TypeError, RecursionError) as error:
            raise ProtocolError(f"not a JSON message: {error}") from error
        return raising.finish(fields)
