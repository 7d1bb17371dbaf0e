from __future__ import annotations

import functools
import operator

from pyacq_rpc.session.caller import is_attribute_syntax


class Thing:
    def __getattr__(self, name):
        return is_attribute_syntax(1)


def test_a_dot_is_attribute_syntax():
    thing = Thing()
    assert thing.name
    assert [t.name for t in (thing, thing)] == [True, True]
    assert (lambda: thing.name)()
    nested = {"thing": thing}
    assert nested["thing"].name


def test_a_dot_before_a_call_is_too():
    class Callable(Thing):
        def __getattr__(self, name):
            found = is_attribute_syntax(1)
            return lambda: found

    assert Callable().name()


def test_questions_are_not():
    thing = Thing()
    assert not getattr(thing, "name")  # noqa: B009
    assert not getattr(thing, "name", None)
    assert not operator.attrgetter("name")(thing)
    assert not functools.reduce(getattr, ["name"], thing)
    assert not next(map(getattr, [thing], ["name"]))


def test_hasattr_is_a_question():
    class Asked(Thing):
        def __getattr__(self, name):
            if not is_attribute_syntax(1):
                raise AttributeError(name)
            return

    assert not hasattr(Asked(), "name")


def test_many_names_make_no_difference():
    """With more than 256 names in a function its instructions get prefixes."""
    names = [f"name_{i}" for i in range(600)]
    source = "def many(thing):\n return [" + ", ".join(f"thing.{name}" for name in names) + "]"
    space: dict[str, object] = {}
    exec(source, space)
    assert space["many"](Thing()) == [True] * 600
