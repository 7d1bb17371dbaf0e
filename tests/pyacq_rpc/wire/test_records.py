from __future__ import annotations

import copy
import os
import pickle
from collections import namedtuple
from typing import NamedTuple

import pytest

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.records import lower_namedtuple, raise_namedtuple

Point = namedtuple("Point", "x y")


def through(value):
    lowered = lower_namedtuple(value)
    assert lowered is not None
    return raise_namedtuple(*lowered)


def test_it_compares_and_prints_as_the_original():
    point = through(Point(1, 2))
    assert point == Point(1, 2)
    assert point == (1, 2)
    assert repr(Point(1, 2)) == repr(point)
    assert hash(Point(1, 2)) == hash(point)


def test_its_fields_are_there_under_their_names():
    point = through(Point(1, 2))
    assert (point.x, point.y) == (1, 2)
    assert point._fields == ("x", "y")
    assert point._asdict() == {"x": 1, "y": 2}
    assert point._replace(y=3) == (1, 3)
    with pytest.raises(ValueError, match="z"):
        point._replace(z=3)
    with pytest.raises(AttributeError):
        point.x = 2


def test_it_can_be_copied_and_pickled():
    point = through(Point(1, [2]))
    for again in (copy.copy(point), copy.deepcopy(point), pickle.loads(pickle.dumps(point))):
        assert again == (1, [2])
        assert type(again) is type(point)


def test_another_one_can_be_made_of_its_class():
    point = through(Point(1, 2))
    assert type(point)(3, 4).y == 4


def test_it_travels_on():
    """What came as a named tuple leaves as one."""
    twice = through(through(Point(1, 2)))
    assert type(twice) is type(through(Point(1, 2)))


def test_equal_kinds_are_one_class():
    assert type(through(Point(1, 2))) is type(through(Point(3, 4)))


@pytest.mark.parametrize(
    "value",
    [
        namedtuple("Tally", "count index")(1, 2),
        namedtuple("Renamed", ["a", "a", "class"], rename=True)(1, 2, 3),
        namedtuple("_", "a")(1),
        namedtuple("Empty", "")(),
        namedtuple("Wide", [f"f{i}" for i in range(300)])(*range(300)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_unusual_names(value):
    arrived = through(value)
    assert value == arrived
    assert [getattr(arrived, name) for name in value._fields] == list(value)


class Child(Point):
    pass


class Fake(tuple):
    __slots__ = ()
    _fields = ("__class__",)


class Typed(NamedTuple):
    x: int


def test_typed_ones_are_named_tuples_too():
    assert through(Typed(1)).x == 1


@pytest.mark.parametrize("value", [(), (1,), os.stat("."), Child(1, 2), Fake([1]), 5])
def test_others_are_none(value):
    assert lower_namedtuple(value) is None


@pytest.mark.parametrize(
    ("name", "fields", "items"),
    [
        ("P", ["x"], []),
        ("P", ["x"], [1, 2]),
        ("P", ["x", "x"], [1, 2]),
        ("P", ["__class__"], [1]),
        ("P", ["__init_subclass__"], [1]),
        ("P", ["_fields"], [1]),
        ("P", ["_"], [1]),
        ("P", ["_make"], [1]),
        ("P", ["x y"], [1]),
        ("P", [""], [1]),
        ("P", [1], [1]),
        ("P", ["a\0"], [1]),
        ("", ["x"], [1]),
        ("a.b", ["x"], [1]),
        ("\ud800", ["x"], [1]),
    ],
)
def test_evil_names_break_the_protocol(name, fields, items):
    with pytest.raises(ProtocolError):
        raise_namedtuple(name, fields, items)
