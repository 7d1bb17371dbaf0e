from __future__ import annotations

import pytest

from pyacq_rpc.session.about import describe_action, short_name
from pyacq_rpc.wire.messages import Target


@pytest.mark.parametrize(
    ("action", "options", "words"),
    [
        ("call_obj", {"obj": Target("r", ["a", "b"])}, "thing.a.b"),
        ("call_obj", {"obj": Target("unknown", ["a"])}, "call_obj"),
        ("notify", {"obj": Target("@camera", [])}, "camera"),
        ("get_item", {"name": "camera"}, "get_item camera"),
        ("import", {"module": "os.path"}, "import os.path"),
        ("transfer", {"obj": [1]}, "transfer"),
        ("ping", {}, "ping"),
    ],
)
def test_what_an_action_is_about(action, options, words):
    assert describe_action(action, options, {"r": "thing"}.get) == words


@pytest.mark.parametrize(
    ("type_name", "name"),
    [
        ("list", "list"),
        ("a.b.Camera", "Camera"),
        ("class a.b.Camera", "Camera"),
        ("module os.path", "os.path"),
        ("function <lambda>", "<lambda>"),
        ("builtin expose", "expose"),
        ("", ""),
    ],
)
def test_the_short_name_of_an_object(type_name, name):
    assert short_name(type_name) == name
