from __future__ import annotations

import pytest

from pyacq_rpc import ProtocolError
from pyacq_rpc.wire.context import MOST_ENTRIES, MOST_TEXT, check_context


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"a": ""},
        {str(number): "" for number in range(MOST_ENTRIES)},
        {"a": "x" * (MOST_TEXT - 1)},
        {"a": "\ud800"},
    ],
)
def test_what_may_travel(context):
    check_context(context)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ([], "a map of strings, not of type list"),
        ({"a": 1}, "not int"),
        ({b"a": "b"}, "not bytes"),
        ({str(number): "" for number in range(MOST_ENTRIES + 1)}, "16 entries at most, not 17"),
        ({"a": "x" * MOST_TEXT}, "4096 characters at most, not 4097"),
        ({"x" * MOST_TEXT: "a"}, "4096 characters at most, not 4097"),
    ],
)
def test_what_may_not(context, words):
    with pytest.raises(ProtocolError, match=words):
        check_context(context)


def test_a_subclass_is_no_string():
    class Text(str):
        __slots__ = ()

    with pytest.raises(ProtocolError, match="not Text"):
        check_context({"a": Text("b")})
