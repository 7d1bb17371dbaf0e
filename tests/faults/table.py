"""The faults, the kinds of use, and what comes of each: what the tests and the page show."""

from __future__ import annotations

from typing import NamedTuple

KINDS = ("sync", "async", "off", "callback", "iterator", "timer", "array")

UNHARMED = "unharmed"
DISCONNECTED = "ServerDisconnected"
TIMEOUT = "CallTimeout"
STOPS = "TimerStopped"
GIVEN_BACK = "given back"


class Row(NamedTuple):
    """One fault.

    Attributes
    ----------
    fault : str
        Its name in the tests.
    says : str
        The same for people.
    outcomes : dict
        What comes of each kind of use: an exception, or UNHARMED; or, of what the user of
        a node held there, GIVEN_BACK.
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

CLIENT = [
    Row("client killed", "its process is killed", _all(GIVEN_BACK), 0.5),
    Row("client frozen", "its process or machine is frozen", _all(GIVEN_BACK), 5.0),
    Row("client exits", "its interpreter ends with calls pending", _all(GIVEN_BACK), 2.5),
    Row("thread ends", "its thread ends", _all(GIVEN_BACK), 0.5),
]

RESOURCES = [
    Row(
        "client's descriptors",
        "it may open no more descriptors",
        _all(UNHARMED, array=DISCONNECTED),
    ),
    Row("node's descriptors", "the node may open none", _all(UNHARMED, array=DISCONNECTED)),
    Row("no shared memory", "there is no memory to be shared", HARMLESS),
    Row("disk full", "the disk is full", HARMLESS),
]

SLOW = frozenset(
    row.fault
    for row in (*SERVER, *NETWORK, *CLIENT)
    if row.outcomes is HARMLESS or row.within not in (0.5, None)
) | {"left out"}
"""Those that take seconds, or are awaited for seconds: a test brings them upon all at once."""
