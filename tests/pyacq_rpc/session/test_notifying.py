from __future__ import annotations

import functools

import pytest

from pyacq_rpc.session.notifying import notify


def none():
    return ()


def one(a):
    return (a,)


def two_at_most(a, b=0):
    return (a, b)


def rest(a, *others):
    return (a, *others)


def keywords(a, *, b=0, **others):
    return (a, b, others)


class Thing:
    def method(self, a):
        return (a,)

    def __call__(self, a, b):
        return (a, b)


class TestWhatSaysWhatItTakes:
    @pytest.mark.parametrize(
        ("function", "got"),
        [
            (none, ()),
            (one, (1,)),
            (two_at_most, (1, 2)),
            (rest, (1, 2, 3)),
            (keywords, (1, 0, {})),
            (Thing().method, (1,)),
            (Thing(), (1, 2)),
            (functools.partial(two_at_most, 0), (0, 1)),
            (lambda a: (a,), (1,)),
        ],
    )
    def test_gets_that_much(self, function, got):
        assert notify(function, [1, 2, 3]) == got

    def test_is_not_given_what_there_is_not(self):
        with pytest.raises(TypeError, match="missing"):
            notify(one, [])

    def test_is_called_once_though_it_raises(self):
        calls = []

        def function(a):
            calls.append(a)
            raise TypeError("mine")

        with pytest.raises(TypeError, match="mine"):
            notify(function, [1, 2])
        assert calls == [1]


class TestWhatDoesNotSay:
    """Some functions of C, and those of Qt."""

    def test_gets_all(self):
        assert notify(max, [1, 3, 2]) == 3

    def test_gets_less_if_it_refuses(self):
        thing = Thing()
        thing.x = 1
        assert notify(vars, [thing, 2, 3]) == {"x": 1}

    def test_raises_what_it_raised_first(self):
        with pytest.raises(TypeError, match="at most 3"):
            notify(getattr, [1, 2, 3, 4])

    def test_is_called_once_if_it_has_begun(self):
        calls = []

        class Key:
            def __gt__(self, other):
                calls.append(other)
                raise TypeError("mine")

        with pytest.raises(TypeError, match="mine"):
            notify(max, [Key(), Key(), Key()])
        assert len(calls) == 1
