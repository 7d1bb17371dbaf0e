"""The faults, the kinds of use, and what comes of each: what the tests and the page show."""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("sync", "async", "off", "callback", "iterator", "timer", "array")

UNHARMED = "unharmed"
DISCONNECTED = "ServerDisconnected"
TIMEOUT = "CallTimeout"
STOPS = "TimerStopped"


class Row(NamedTuple):
    """One fault.

    Attributes
    ----------
    fault : str
        Its name in the tests.
    says : str
        The same for people.
    outcomes : dict
        What comes of each kind of use: an exception, or UNHARMED.
    within : float or None
        Seconds after which that is so, on a machine that has nothing else to do.
    measured : float or None
        Seconds that the slowest use took, by ``python tests/faults/measure.py``.
    """

    fault: str
    says: str
    outcomes: dict[str, str]
    within: float | None = None
    measured: float | None = None


def _all(outcome: str, **others: str) -> dict[str, str]:
    return {**dict.fromkeys(KINDS, outcome), **others}


ENDED = _all(DISCONNECTED, timer=STOPS)
HARMLESS = _all(UNHARMED)

SERVER = [
    Row("killed", "its process is killed", ENDED, 0.5),
    Row("killed, a fork lives on", "the same, and a fork of it lives on", ENDED, 5.0),
    Row("frozen", "its process or machine is frozen", ENDED, 5.0),
    Row("GIL held", "something in it holds the GIL for 6 s", HARMLESS),
    Row("slow reader", "another client does not read what it has asked for", HARMLESS),
    Row("closes", "it closes", ENDED, 0.5),
    Row("forks", "it forks", HARMLESS),
    Row("client forks", "the client's process forks", HARMLESS),
]

NETWORK = [
    Row("reset", "the connection is reset", ENDED, 0.5),
    Row("cut", "the cable is cut", ENDED, 5.0),
    Row("cut and healed", "the cable is cut for a second", HARMLESS),
    Row("corrupted", "somebody turns a bit", ENDED, 5.0),
    Row("duplicated", "somebody repeats a frame", ENDED, 5.0),
    Row("reordered", "somebody swaps two frames", ENDED, 5.0),
    Row("truncated", "somebody cuts off a frame's end", ENDED, 5.0),
    Row("left out", "somebody takes out a whole frame", _all(TIMEOUT, timer=UNHARMED), None),
]

SLOW = {"frozen", "GIL held", "slow reader", "cut", "corrupted", "duplicated", "reordered",
        "truncated", "killed, a fork lives on", "left out", "cut and healed"}  # fmt: skip
