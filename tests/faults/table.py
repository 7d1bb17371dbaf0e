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
NO_ARRAYS = _all(UNHARMED, array=DISCONNECTED)

SERVER = [
    Row("killed", "its process is killed", ENDED, 0.5, 0.021),
    Row("killed, a fork lives on", "the same, and a fork of it lives on", ENDED, 5.0, 0.068),
    Row("frozen", "its process or machine is frozen", ENDED, 5.0, 4.4),
    Row("GIL held", "something in it holds the GIL for 6 s", HARMLESS),
    Row("slow reader", "another client does not read what it has asked for", HARMLESS),
    Row("closes", "it closes", ENDED, 0.5, 0.010),
    Row("forks", "it forks", HARMLESS),
    Row("client forks", "the client's process forks", HARMLESS),
]

NETWORK = [
    Row("reset", "the connection is reset", ENDED, 0.5, 0.024),
    Row("cut", "the cable is cut", ENDED, 5.0, 4.4),
    Row("cut and healed", "the cable is cut for a second", HARMLESS),
    Row("corrupted", "somebody turns a bit", ENDED, 0.5, 0.048),
    Row("duplicated", "somebody repeats a frame", ENDED, 0.5, 0.040),
    Row("reordered", "somebody swaps two frames", ENDED, 5.0, 1.3),
    Row("truncated", "somebody cuts off the end of a frame", ENDED, 5.0, 1.2),
    Row("left out", "somebody takes out a whole frame", _all(TIMEOUT, timer=UNHARMED)),
]

CLIENT = [
    Row("client killed", "its process is killed", _all(GIVEN_BACK), 0.5, 0.033),
    Row("client frozen", "its process or machine is frozen", _all(GIVEN_BACK), 5.0, 4.5),
    Row("client exits", "its interpreter ends with calls pending", _all(GIVEN_BACK), 2.5, 0.13),
    Row("thread ends", "the thread that uses it ends", _all(GIVEN_BACK), 0.5, 0.22),
]

RESOURCES = [
    Row("client's descriptors", "the client's process may open no more descriptors", NO_ARRAYS),
    Row("node's descriptors", "the server's process may open no more", NO_ARRAYS),
    Row("no shared memory", "there is no more memory to be shared", HARMLESS),
    Row("disk full", "the disk is full", HARMLESS),
]

SLOW = frozenset(
    row.fault
    for row in (*SERVER, *NETWORK, *CLIENT)
    if row.outcomes is HARMLESS or row.within not in (0.5, None)
) | {"left out"}
"""Those that take seconds, or are awaited for seconds: a test brings them upon all at once."""

HEADINGS = {
    "The server": SERVER,
    "The way to it": NETWORK,
    "The client": CLIENT,
    "What runs out": RESOURCES,
}

_SAYS = {
    DISCONNECTED: "`ServerDisconnected`",
    TIMEOUT: "`CallTimeout`",
    STOPS: "stops",
}


def as_rst() -> str:
    """Return the table as it is in the page."""
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "   :widths: 40 40 10 10",
        "",
        "   * - Fault",
        "     - What comes of it",
        "     - within",
        "     - measured",
    ]
    for heading, rows in HEADINGS.items():
        lines += [f"   * - **{heading}**", "     -", "     -", "     -"]
        for row in rows:
            within = "" if row.within is None else f"{row.within:g} s"
            measured = "" if row.measured is None else f"{row.measured:g} s"
            lines += [f"   * - {row.says}", f"     - {_in_words(row.outcomes)}"]
            lines += [f"     - {within}".rstrip(), f"     - {measured}".rstrip()]
    return "\n".join(lines) + "\n"


def _in_words(outcomes: dict[str, str]) -> str:
    """Say what comes of most kinds of use, then what of others."""
    most = outcomes["sync"]
    others = {kind: what for kind, what in outcomes.items() if what != most}
    words = [_SAYS.get(most, most)]
    words += [f"{kind}: {_SAYS.get(what, what)}" for kind, what in others.items()]
    return "; ".join(words)


if __name__ == "__main__":
    print(as_rst(), end="")
