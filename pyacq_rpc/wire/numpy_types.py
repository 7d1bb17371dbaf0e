"""Numpy's arrays and scalars by value, through the type registry.

A dtype is written structurally and read back by a small parser: no string of
a peer's ever reaches a place that would evaluate it. A dtype that does not
come back equal (object, or one of an extension package) makes its array
travel by proxy.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from ..errors import ProtocolError
from .registry import Buffer, TypeRegistry

__all__ = ["register"]

_PLAIN = re.compile(
    r"[<>|=](?:b1|[iufcSUV]\d{1,9}|[mM]8(?:\[(?:[1-9]\d{0,8})?[A-Za-zμ]{1,7}\])?)\Z"
)


def register(registry: TypeRegistry) -> None:
    """Register arrays and scalars; called when the first of them is met."""
    registry.register(np.ndarray, "numpy.ndarray", _lower_array, _raise_array)
    scalar: Any = np.generic
    registry.register(scalar, "numpy.generic", _lower_scalar, _raise_scalar, subclasses=True)


def lower_dtype(dtype: np.dtype[Any]) -> Any:
    """Write a dtype with lists, strings and numbers; None if it cannot travel."""
    if dtype.hasobject or dtype.metadata or dtype.kind not in "biufcmMSUV":
        return None
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        lowered = lower_dtype(base)
        return None if lowered is None else ["array", lowered, list(shape)]
    if dtype.names is None:
        # An extension's dtype (ml_dtypes' bfloat16, say) calls itself raw bytes.
        return dtype.str if np.dtype(dtype.str) == dtype else None
    fields = []
    for name in dtype.names:
        part, offset, *titles = dtype.fields[name]  # type: ignore[index]  # there are, with names
        title: Any = titles[0] if titles else None
        lowered = lower_dtype(part)
        if lowered is None or not isinstance(title, (str, type(None))):
            return None
        fields.append([name, lowered, offset, title])
    return ["struct", fields, dtype.itemsize, dtype.isalignedstruct]


def raise_dtype(lowered: Any) -> np.dtype[Any]:
    """Read a dtype back.

    Raises
    ------
    ProtocolError
        If it is none that `lower_dtype` writes.
    """
    if isinstance(lowered, str) and _PLAIN.match(lowered):
        return np.dtype(lowered)
    if isinstance(lowered, list) and lowered and lowered[0] == "array":
        _, base, shape = lowered
        return np.dtype((raise_dtype(base), _shape(shape)))
    if isinstance(lowered, list) and lowered and lowered[0] == "struct":
        _, fields, itemsize, aligned = lowered
        if type(fields) is not list or type(itemsize) is not int or type(aligned) is not bool:
            raise ProtocolError("malformed dtype")
        spec: Any = {
            "names": [_text(name) for name, _, _, _ in fields],
            "formats": [raise_dtype(part) for _, part, _, _ in fields],
            "offsets": [_offset(offset) for _, _, offset, _ in fields],
            "titles": [title if title is None else _text(title) for _, _, _, title in fields],
            "itemsize": itemsize,
        }
        dtype: np.dtype[Any] = np.dtype(spec, align=aligned)
        return dtype
    raise ProtocolError("malformed dtype")


def _lower_array(array: np.ndarray[Any, Any]) -> object:
    dtype = lower_dtype(array.dtype)
    if dtype is None:
        return NotImplemented
    order: Any = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    flat = np.ravel(array, order=order)
    raw: Any = flat.view(np.uint8) if flat.size and flat.itemsize else b""
    return [dtype, list(array.shape), order, Buffer(memoryview(raw))]


def _raise_array(payload: Any) -> np.ndarray[Any, Any]:
    lowered, shape, order, data = payload
    dtype, dims = raise_dtype(lowered), _shape(shape)
    if order not in ("C", "F"):
        raise ProtocolError("malformed array")
    size = math.prod(dims) * dtype.itemsize
    # The limit that numpy has for arrays that are not empty.
    if math.prod(dim or 1 for dim in dims) * (dtype.itemsize or 1) >= 1 << 63:
        raise ProtocolError("malformed array shape")
    if type(data) not in (bytes, memoryview):
        raise ProtocolError("malformed array")
    view = memoryview(data)
    if view.nbytes != size:
        raise ProtocolError("the shape of an array does not fit its data")
    if not size:
        # Not `np.zeros`, which makes one byte of a string of none.
        empty: np.ndarray[Any, Any] = np.ndarray(dims, dtype, order=order)
        return empty
    # A frame of its own is ours to write to; what lay inside a message is not.
    raw: Any = bytearray(view) if view.readonly else view
    array: np.ndarray[Any, Any] = np.ndarray(dims, dtype, raw, order=order)
    return array


def _lower_scalar(scalar: Any) -> object:
    if isinstance(scalar, (np.str_, np.bytes_)):
        # As the plain type; `item`, like an array, would lose trailing NULs.
        return scalar[:]
    lowered = lower_dtype(scalar.dtype)
    return NotImplemented if lowered is None else [lowered, scalar.tobytes()]


def _raise_scalar(payload: Any) -> Any:
    if isinstance(payload, str):
        return np.str_(payload)
    if isinstance(payload, bytes):
        return np.bytes_(payload)
    lowered, data = payload
    return _raise_array([lowered, [], "C", data])[()]


def _shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or len(shape) > 64:
        raise ProtocolError("malformed array shape")
    if not all(type(dim) is int and 0 <= dim < 1 << 62 for dim in shape):
        raise ProtocolError("malformed array shape")
    return tuple(shape)


def _offset(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ProtocolError("malformed dtype")
    return value


def _text(value: Any) -> str:
    if type(value) is not str:
        raise ProtocolError("malformed dtype")
    return value
