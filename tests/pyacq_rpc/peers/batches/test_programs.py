"""A program of calls comes to the same in a batch as one by one."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyacq_rpc import RPCClient


class Cell:
    """Something with state, whose methods return others, or values, or fail."""

    def __init__(self, value: int = 0) -> None:
        self.value = value

    def step(self, by: int) -> int:
        self.value += by
        return self.value

    def grow(self, by: int) -> Cell:
        return Cell(self.value + by)

    def merge(self, cell: Any, *more: Any) -> int:
        self.value += cell.value
        return self.value + sum(len(part) for part in more)

    def fail(self, number: int) -> int:
        if number % 2:
            raise ValueError(number)
        return number


class Failed:
    """Stands for a result that there is not: what needs it fails likewise."""


FAILED = Failed()

# What is done, and with which of the cells and numbers that there are by then.
STEPS = {
    "step": lambda cell, other, number: cell.step(number),
    "fail": lambda cell, other, number: cell.fail(number),
    "grow": lambda cell, other, number: cell.grow(number),
    "merge": lambda cell, other, number: cell.merge(other),
    "nested": lambda cell, other, number: cell.merge(other, [number, [number]], {"n": number}),
    "value": lambda cell, other, number: cell.value,
    "double": lambda cell, other, number: number + number,
    "assign": lambda cell, other, number: setattr(cell, "value", number),
}
NEEDS_OTHER = {"merge", "nested"}
NEEDS_NO_NUMBER = {"merge", "value"}

index = st.integers(0, 30)
programs = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), index, index, index), max_size=25)


def follow(program, root, do):
    """Do the steps, and return what each has come to."""
    cells, numbers, outcomes = [root], [1], []
    for what, first, second, third in program:
        cell, other = cells[first % len(cells)], cells[second % len(cells)]
        number = numbers[third % len(numbers)]
        needed = [] if what == "double" else [cell]
        needed += [other] if what in NEEDS_OTHER else []
        needed += [] if what in NEEDS_NO_NUMBER else [number]
        outcome = do(STEPS[what], needed, (cell, other, number))
        outcomes.append(outcome)
        if what != "assign":
            (cells if what == "grow" else numbers).append(outcome)
    return outcomes


def at_once(step, needed, arguments):
    if FAILED in needed:
        return FAILED
    try:
        return step(*arguments)
    except ValueError:
        return FAILED


def promised(step, needed, arguments):
    return step(*arguments)


def seen(outcome):
    return ("cell", outcome.value) if isinstance(outcome, Cell) else outcome


def come_to(promise):
    """What a promise has come to, in the same terms."""
    if not hasattr(promise, "exception"):  # of an assignment
        return promise
    error = promise.exception(10)
    if error is not None:
        assert isinstance(error, ValueError)
        return FAILED
    result = promise.result()
    return result if isinstance(result, int) else ("cell", result.value._get_value())


@pytest.fixture(params=["msgpack", "json"])
def client(request, server):
    return RPCClient(server.address, serializer=request.param)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # each program has its own root
)
@given(program=programs)
def test_it_comes_to_the_same(server, client, program):
    """As one step after the other, at home."""
    expected = follow(program, Cell(), at_once)
    server["root"] = Cell()
    with contextlib.suppress(ValueError), client.batch():  # of an assignment
        outcomes = follow(program, client["root"], promised)
    assert [come_to(promise) for promise in outcomes] == [
        None if what == "assign" else seen(outcome)
        for (what, *_), outcome in zip(program, expected)
    ]
