"""The tables of the protocol page say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pyacq_rpc.session import questions, remote_errors
from pyacq_rpc.wire import messages, values
from pyacq_rpc.wire.registry import TypeRegistry

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.rst").read_text()


def table(first_column: str) -> list[list[str]]:
    """The rows of the table whose head begins so; columns are two blanks apart."""
    head = re.search(rf"^=+  .*\n{first_column} .*\n=+.*\n", PAGE, re.MULTILINE)
    assert head is not None
    body = re.split(r"^=+  .*\n", PAGE[head.end() :], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [re.split(r"  +", line) for line in body.splitlines()]
    return [row for row in rows if row[0]]  # others go on with the row before


def kinds() -> dict[str, tuple[str, ...]]:
    return {cls.__name__: cls._fields for cls, _ in messages._LAYOUT}


def test_the_kinds_of_messages():
    said = {row[1]: tuple(row[3].split(", ")) for row in table("Kind")}
    assert kinds() == said
    assert list(range(len(kinds()))) == [int(row[0]) for row in table("Kind")]


def test_the_actions_and_their_options():
    said = {}
    for row in table("Action"):
        options = row[1].split(", ") if len(row) > 2 else []
        said[row[0]] = options
    assert {name: list(options) for name, options in messages.ACTIONS.items()} == said


def test_the_reply_modes():
    assert list(messages.REPLIES) == [row[0] for row in table("Mode")]


def test_the_questions():
    assert [f"``{name}``" for name in questions.QUESTIONS] == [row[0] for row in table("Question")]


def test_the_tags():
    assert [(str(n), tag) for n, tag in enumerate(values.TAGS)] == [
        (row[0], row[1]) for row in table("Number")
    ]


def test_the_names_of_qts_types():
    from pyacq_rpc.qt.values import register

    types = TypeRegistry()
    register(types)
    said = {name for row in table("Name") for name in row[0].split(", ")}
    assert types._by_name.keys() == said


def test_the_codes_of_errors():
    said = {row[0]: row[-1] for row in table("Code")}
    code = {name: cls.__name__ for name, cls in remote_errors._CODES.items()}
    assert {
        **code,
        "exception": "RemoteCallException",
        "stranger": "ServerDisconnected",
        "withdrawn": "CancelledError",
    } == said


@pytest.mark.parametrize(
    "fact",
    [
        f"version {messages.VERSION} of the protocol",
        f"up to {values.SMALL_BUFFER} bytes",
        f"at most {values.MAX_DEPTH} levels deep",
    ],
)
def test_the_numbers(fact: str):
    assert fact in PAGE
