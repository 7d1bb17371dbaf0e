"""Hypothesis strategies that the tests share: every value that travels by value."""

from __future__ import annotations

import datetime
import math
import zoneinfo
from collections import namedtuple
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

Point = namedtuple("Point", "x y")  # the untyped kind too
Odd = namedtuple("Odd", ["count", "index", "class", "x"], rename=True)


class Reading(NamedTuple):
    channel: str
    volts: float


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal in type, value and nesting; a NaN equals a NaN."""
    if isinstance(a, tuple) and hasattr(a, "_fields"):
        if type(a).__name__ != type(b).__name__ or a._fields != b._fields:
            return False
        return all(map(same, a, b))
    if type(a) is not type(b):
        # Numpy has several classes for one dtype: longlong and int64.
        return isinstance(a, np.generic) and a.dtype == b.dtype and _same_items(a, b)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        # Equal dicts keep their order too.
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if isinstance(a, float):
        return _float_bits(a) == _float_bits(b)
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, slice):
        return same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    if isinstance(a, range):
        return same((a.start, a.stop, a.step), (b.start, b.stop, b.step))
    if isinstance(a, (datetime.datetime, datetime.time)):
        alike = a.replace(tzinfo=None) == b.replace(tzinfo=None) and a.fold == b.fold
        return alike and same_zone(a.tzinfo, b.tzinfo)
    if isinstance(a, (np.str_, np.bytes_)):
        return a[:] == b[:]  # plain ones: numpy's own comparison drops NULs
    if isinstance(a, (np.ndarray, np.generic)):
        return a.dtype == b.dtype and a.shape == b.shape and _same_items(a, b)
    return bool(a == b)


def same_zone(a: datetime.tzinfo | None, b: datetime.tzinfo | None) -> bool:
    """Whether two zones are equal, in their names too."""
    return type(a) is type(b) and (a is None or (a == b and a.tzname(None) == b.tzname(None)))


def _same_items(a: Any, b: Any) -> bool:
    if a.dtype.names is None:
        return bool(a.tobytes() == b.tobytes())
    # Field by field: what lies between them need not be equal.
    return all(_same_items(a[name], b[name]) for name in a.dtype.names)


def _float_bits(value: float) -> Any:
    return "nan" if math.isnan(value) else value.hex()


any_text = st.text(st.characters(codec=None, exclude_categories=())) | st.text(
    st.sampled_from("\ud800\udbff\udc00\udfff😀$a")
)
zones = (
    st.none()
    | st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]).map(zoneinfo.ZoneInfo)
    | st.just(datetime.timezone.utc)
    | st.builds(
        datetime.timezone,
        st.timedeltas(
            datetime.timedelta(hours=-23, minutes=-59), datetime.timedelta(hours=23, minutes=59)
        ),
    )
    | st.builds(
        datetime.timezone,
        st.timedeltas(datetime.timedelta(hours=-12), datetime.timedelta(hours=12)),
        st.text(max_size=5),
    )
)


def _fold(strategy: Any) -> Any:
    return st.builds(lambda at, fold: at.replace(fold=fold), strategy, st.integers(0, 1))


big_ints = st.integers() | st.builds(
    lambda sign, bits, low: sign * ((1 << bits) + low),
    st.sampled_from([-1, 1]),
    st.sampled_from([31, 32, 63, 64, 65, 127, 1999, 2000, 2001, 20_000]),
    st.integers(-2, 2),
)
hashable_scalars = (
    st.none()
    | st.booleans()
    | big_ints
    | st.floats()
    | st.complex_numbers()
    | any_text
    | st.binary()
    | st.dates()
    | _fold(st.times(timezones=zones))
    | _fold(st.datetimes(timezones=zones))
    | st.timedeltas()
    | st.just(...)
    | st.builds(range, st.integers(), st.integers(), st.integers().filter(bool))
)
_hashables = st.recursive(
    hashable_scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.frozensets(inner, max_size=3)
        | st.builds(Point, inner, inner)
    ),
    max_leaves=5,
)

# Deferred: otherwise each name would be replaced by its definition, pages long,
# wherever hypothesis shows a strategy.
hashables = st.deferred(lambda: _hashables)
"""Values of every type that may be a dict's key."""

# -- numpy ---------------------------------------------------------------------

_ORDERS = "<>="
plain_dtypes = (
    st.sampled_from([order + code for order in _ORDERS for code in "?bBhHiIqQefdgFDG"])
    | st.builds("{}S{}".format, st.just("|"), st.integers(0, 9))
    | st.builds("{}U{}".format, st.sampled_from(_ORDERS), st.integers(0, 9))
    | st.builds("|V{}".format, st.integers(0, 9))
    | st.builds(
        "{}{}8[{}{}]".format,
        st.sampled_from(_ORDERS),
        st.sampled_from("mM"),
        st.integers(1, 30),
        st.sampled_from(["Y", "M", "D", "h", "m", "s", "ms", "us", "ns"]),
    )
    | st.sampled_from(["<M8", ">m8"])
).map(np.dtype)
_names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4)


def _structs(parts: Any) -> Any:
    shapes = st.just(()) | st.tuples(st.integers(0, 2), st.integers(0, 2))
    fields = st.lists(
        # Numpy makes no subarray of what has no size.
        st.builds(
            lambda name, part, shape: (name, part, shape) if part.itemsize else (name, part),
            _names,
            parts,
            shapes,
        ),
        max_size=3,
        unique_by=lambda field: field[0],
    )
    return st.builds(np.dtype, fields, align=st.booleans())


dtypes = st.recursive(plain_dtypes, _structs, max_leaves=4)
"""Every dtype but those that hold objects."""


def _has_text(dtype: np.dtype[Any]) -> bool:
    base = dtype.base
    parts = [base.fields[name][0] for name in base.names or ()]
    return base.kind == "U" or any(map(_has_text, parts))


def _data(dtype: np.dtype[Any], count: int) -> Any:
    """Strategy for the bytes of this many items."""
    size = count * dtype.itemsize
    # Numpy cannot show what is no code point.
    return st.just(bytes(size)) if _has_text(dtype) else st.binary(min_size=size, max_size=size)


@st.composite
def arrays(draw: Any) -> Any:
    """Arrays of any layout: contiguous, Fortran, sliced, transposed, read-only, 0-d, empty."""
    dtype = draw(dtypes)
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    data = draw(_data(dtype, math.prod(shape)))
    array = np.ndarray(shape, dtype, bytearray(data) if data else None)
    layout = draw(st.sampled_from(["C", "F", "T", "reversed", "strided", "readonly"]))
    if layout == "F":
        array = np.asfortranarray(array) if array.ndim else array
    elif layout == "T":
        array = array.T
    elif layout == "reversed" and array.ndim:
        array = array[::-1]
    elif layout == "strided" and array.ndim:
        array = array[..., ::2]
    elif layout == "readonly":
        array.flags.writeable = False
    return array


# These have plain classes of their own.
_scalar_dtypes = dtypes.filter(lambda dtype: dtype.kind not in "SU")


@st.composite
def _scalars(draw: Any) -> Any:
    dtype = draw(_scalar_dtypes)
    data = draw(_data(dtype, 1))
    return np.ndarray((), dtype, bytearray(data) if data else None)[()]


numpy_scalars = (
    _scalars()
    | any_text.map(lambda text: np.str_(text))
    | st.binary().map(lambda data: np.bytes_(data))
)

# -- everything ------------------------------------------------------------------

_values = st.recursive(
    hashables
    | st.binary().map(bytearray)
    | st.builds(slice, hashables, hashables, hashables)
    | arrays()
    | numpy_scalars
    | st.builds(Odd, hashables, hashables, hashables, hashables),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(any_text, inner, max_size=4)
        | st.dictionaries(hashables, inner, max_size=4)
        | st.sets(hashables, max_size=4)
        | st.builds(Reading, inner, inner)
    ),
    max_leaves=8,
)
values = st.deferred(lambda: _values)
"""Nested values of every type that travels by value."""
