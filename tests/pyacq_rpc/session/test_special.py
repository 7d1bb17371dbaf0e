from __future__ import annotations

import pytest

from pyacq_rpc.session.remote_errors import describe
from pyacq_rpc.session.special import BINARY, COMPARISONS, INPLACE, SPECIAL


class Trace:
    """Says which of its methods was called."""


def _method(name):
    return lambda self, *args: (name, *args)


for _name in (*BINARY, *("r" + name for name in BINARY), *COMPARISONS):
    setattr(Trace, f"__{_name}__", _method(f"__{_name}__"))


@pytest.mark.parametrize("name", [f"__{name}__" for name in (*BINARY, *COMPARISONS)])
def test_binary_operators(name):
    assert SPECIAL[name](Trace(), 5) == (name, 5)


@pytest.mark.parametrize("name", [f"__r{name}__" for name in BINARY])
def test_reflected_operators(name):
    """What came as the right operand is that of the operation."""
    assert SPECIAL[name](Trace(), 5) == (name, 5)


@pytest.mark.parametrize("text", ["%(x)s", b"%(x)s", bytearray(b"%(x)s")])
def test_texts_are_formatted_where_they_are(text):
    """Python does so; by hand, a text could read what it names in the object."""
    with pytest.raises(TypeError, match="done where the text is"):
        SPECIAL["__rmod__"]({"x": 5}, text)


@pytest.mark.parametrize("name", [f"__{name}__" for name in INPLACE])
def test_inplace_operators_fall_back_on_plain_ones(name):
    same, result = SPECIAL[name](Trace(), 5)
    assert not same
    assert result == (name.replace("__i", "__"), 5)


def test_an_inplace_operator_says_if_the_object_is_still_the_same():
    numbers = [1]
    assert SPECIAL["__iadd__"](numbers, [2]) == (True, None)
    assert numbers == [1, 2]
    assert SPECIAL["__iadd__"]((1,), (2,)) == (False, (1, 2))


def test_an_operation_that_is_not_defined_raises_as_at_home():
    with pytest.raises(TypeError, match="unsupported operand"):
        SPECIAL["__add__"](object(), 1)
    with pytest.raises(TypeError, match="not iterable"):
        SPECIAL["__iter__"](5)


def test_the_other_operand_may_know_how():
    """The operation runs, not the method: both sides are asked."""
    assert SPECIAL["__add__"](5, Trace()) == ("__radd__", 5)


@pytest.mark.parametrize(
    ("name", "obj", "args", "result"),
    [
        ("__len__", [1, 2], (), 2),
        ("__bool__", [], (), False),
        ("__int__", 2.5, (), 2),
        ("__float__", 2, (), 2.0),
        ("__complex__", 2, (), 2 + 0j),
        ("__index__", 2, (), 2),
        ("__bytes__", bytearray(b"a"), (), b"a"),
        ("__contains__", {"a": 1}, ("a",), True),
        ("__getitem__", {"a": 1}, ("a",), 1),
        ("__neg__", 1, (), -1),
        ("__abs__", -1, (), 1),
        ("__invert__", 1, (), -2),
        ("__round__", 2.56, (1,), 2.6),
        ("__round__", 2.56, (), 3),
        ("__pow__", 3, (4, 5), 1),
        ("__divmod__", 7, (2,), (3, 1)),
        ("__rdivmod__", 2, (7,), (3, 1)),
        ("__format__", 5, ("03d",), "005"),
        ("__instancecheck__", int, (5,), True),
        ("__subclasscheck__", int, (bool,), True),
    ],
)
def test_results(name, obj, args, result):
    assert SPECIAL[name](obj, *args) == result


def test_iterating():
    numbers = SPECIAL["__iter__"]([1, 2])
    assert SPECIAL["__next__"](numbers) == 1
    assert list(SPECIAL["__reversed__"]([1, 2])) == [2, 1]
    assert SPECIAL["__next__"](numbers) == 2
    with pytest.raises(StopIteration):
        SPECIAL["__next__"](numbers)


def test_setting_and_deleting():
    trace, items = Trace(), {"a": 1}
    SPECIAL["__setattr__"](trace, "x", 1)
    assert trace.x == 1
    SPECIAL["__delattr__"](trace, "x")
    assert not hasattr(trace, "x")
    SPECIAL["__setitem__"](items, "b", 2)
    SPECIAL["__delitem__"](items, "a")
    assert items == {"b": 2}


def test_dir_holds_names_only():
    class Strange:
        def __dir__(self):
            return [5]

    assert SPECIAL["__dir__"](Strange()) == []
    assert "append" in SPECIAL["__dir__"]([])


class Manager:
    entered_as: object = None
    left_with: object = None

    def __enter__(self):
        return self if self.entered_as is None else self.entered_as

    def __exit__(self, cls, error, tb):
        self.left_with = error
        assert cls is (None if error is None else type(error))
        return isinstance(error, KeyError)


class TestWith:
    def test_entering_says_if_it_is_the_same_object(self):
        manager = Manager()
        assert SPECIAL["__enter__"](manager) == (True, None)
        manager.entered_as = 5
        assert SPECIAL["__enter__"](manager) == (False, 5)

    def test_leaving_in_peace(self):
        manager = Manager()
        assert SPECIAL["__exit__"](manager, None) is False
        assert manager.left_with is None

    def test_leaving_with_an_error_shows_it(self):
        manager = Manager()
        assert SPECIAL["__exit__"](manager, list(describe(None, KeyError("x")))) is True
        assert isinstance(manager.left_with, KeyError)
        assert SPECIAL["__exit__"](manager, list(describe(None, ValueError("x")))) is False
