from __future__ import annotations

import collections
import sys
import types

import numpy as np
import pytest

from pyacq_rpc.session.describing import describe_object, keys_of, rendering_of


class Camera:
    """Takes frames."""

    def shoot(self, seconds: float, *where, count=1, stage=sys, **more) -> list:
        """Take some.

        More about it.
        """


def test_a_method():
    told = describe_object(Camera().shoot)
    assert told["doc"] == "Take some.\n\nMore about it."
    assert told["type"] == "method"
    parameters, returns = told["signature"]
    assert parameters == [
        ["seconds", 1, None, "float"],
        ["where", 2, None, None],
        ["count", 3, ["value", 1], None],
        ["stage", 3, ["text", "<module 'sys' (built-in)>"], None],
        ["more", 4, None, None],
    ]
    assert returns == "list"


def test_an_object_is_described_by_its_class():
    told = describe_object(Camera(), "object")
    assert told["doc"] == "Takes frames."
    assert told["signature"] is None
    assert told["file"] == __file__
    assert told["shown"].startswith("<")
    assert told["length"] is None


def test_source_comes_when_it_is_asked_for():
    assert "source" not in describe_object(Camera.shoot, "object")
    assert describe_object(Camera.shoot, "source")["source"].lstrip().startswith("def shoot(self")
    assert describe_object(Camera(), "source")["source"].startswith("class Camera:")
    assert describe_object(5, "source")["source"] is None


def test_help_is_that_of_python():
    text = describe_object(Camera, "help")["help"]
    assert "class Camera(builtins.object)" in text
    assert "Take some." in text


def test_help_about_a_string_looks_for_nothing_of_that_name(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    assert "class str(object)" in describe_object("this", "help")["help"]
    assert "this" not in sys.modules


class TestToThoseWhoMayNotSeeSource:
    """Clients of a service."""

    def test_what_a_call_needs(self):
        told = describe_object(Camera().shoot, "source", whole=False)
        assert told["doc"].startswith("Take some.")
        assert set(told) == {"type", "doc", "signature"}
        defaults = [default for _, _, default, _ in told["signature"][0]]
        assert defaults == [None, None, ["text", "..."], ["text", "..."], None]

    def test_no_code_of_an_object_runs(self):
        class Talking:
            """What the class says."""

            @property
            def __doc__(self):
                raise AssertionError("was asked")

            @property
            def __signature__(self):
                raise AssertionError("was asked")

            def __call__(self):
                pass

        told = describe_object(Talking(), whole=False)
        assert told["signature"] is None


@pytest.mark.parametrize("value", [print, 5, None, Camera, np.add, np, len, [], sys.stdout])
def test_whatever_it_is(value):
    for detail in ("", "object", "source", "help"):
        assert describe_object(value, detail)["type"] == type(value).__name__


def test_what_raises_when_it_is_shown():
    class Broken:
        def __repr__(self):
            raise OSError

        def __len__(self):
            raise OSError

    def function(where=Broken()):  # noqa: B008
        pass

    ((parameter,), _) = describe_object(function)["signature"]
    assert parameter[2] == ["text", "<Broken, whose repr raises OSError>"]
    assert describe_object(Broken(), "object")["length"] is None


class TestKeys:
    def test_of_mappings(self):
        keys = {"gain": 1, 5: 2, (1, "x"): 3, object(): 4}
        assert keys_of(keys) == ["gain", 5, (1, "x")]
        assert keys_of(collections.OrderedDict(a=1)) == ["a"]

    def test_of_arrays(self):
        assert keys_of(np.zeros(2, [("x", int), ("y", int)])) == ["x", "y"]
        assert keys_of(np.zeros(2)) == []

    def test_as_the_object_itself_tells(self):
        class Table:
            def _ipython_key_completions_(self):
                return ["red", "green"]

        assert keys_of(Table()) == ["red", "green"]

    def test_of_what_has_none(self):
        assert keys_of([1, 2]) == keys_of(5) == keys_of("text") == []

    def test_of_very_many(self):
        assert len(keys_of(dict.fromkeys(range(5000)))) == 1000


class TestRendering:
    def test_what_its_methods_return(self):
        class Frame:
            def _repr_html_(self):
                return "<b>frame</b>"

            def _repr_png_(self):
                return b"png", {"width": 5}

            def _repr_latex_(self):
                return None

            def _repr_svg_(self):
                raise NotImplementedError

            def __repr__(self):
                return "<frame>"

        assert rendering_of(Frame()) == {
            "data": {"text/html": "<b>frame</b>", "image/png": b"png", "text/plain": "<frame>"},
            "metadata": {"image/png": {"width": 5}},
            "problems": [],
        }

    def test_a_bundle(self):
        class Frame:
            def _repr_mimebundle_(self):
                return {"text/plain": "a frame", "x/y": "z"}, {"x/y": {"a": 1}}

        told = rendering_of(Frame())
        assert told["data"] == {"text/plain": "a frame", "x/y": "z"}
        assert told["metadata"] == {"x/y": {"a": 1}}

    def test_a_method_that_fails_is_told_and_spoils_nothing(self):
        class Frame:
            def _repr_html_(self):
                raise ValueError("no light")

            def _repr_png_(self):
                return b"png"

        told = rendering_of(Frame())
        assert told["data"]["image/png"] == b"png"
        assert told["problems"] == ["_repr_html_: ValueError: no light"]

    def test_what_makes_up_any_attribute_is_not_believed(self):
        class Anything:
            def __getattr__(self, name):
                return lambda *args: "made up"

        assert set(rendering_of(Anything())["data"]) == {"text/plain"}

    def test_a_class_is_not_asked_as_its_objects_are(self):
        class Frame:
            def _repr_html_(self):
                return "<b>frame</b>"

        assert set(rendering_of(Frame)["data"]) == {"text/plain"}

    def test_a_figure_is_drawn(self, monkeypatch):
        class Figure:
            def savefig(self, file, format, bbox_inches):  # noqa: A002  # the name is matplotlib's
                file.write(b"drawn")

        figures = types.SimpleNamespace(Figure=Figure)
        monkeypatch.setitem(sys.modules, "matplotlib.figure", figures)
        assert rendering_of(Figure())["data"]["image/png"] == b"drawn"
