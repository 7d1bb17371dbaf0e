"""What is made of the results: the lines, and what each is compared with."""

from __future__ import annotations

import operator
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .contenders import OURS, PEERS, RAW
from .measure import Results
from .works import MEGABYTES

__all__ = ["LINES", "Comparison", "Line", "compare", "median", "shown"]

Series = Sequence["float | None"]


@dataclass(frozen=True)
class Line:
    """One line of the table: how we do next to somebody else.

    Attributes
    ----------
    title : str
    quantity : str
        Of the results: ours.
    unit : str
        How a value is shown; see `UNITS`.
    to : tuple of str
        What it is compared with: a contender, or ``'best peer'``, and
        quantities of theirs, of which the best counts. Empty for nothing.
    what : str
        What that is, in words.
    reach : str
        What the ratio, or the value if there is no ratio, should come to.
    """

    title: str
    quantity: str
    unit: str
    to: tuple[str, ...] = ()
    what: str = ""
    reach: str = ""

    @property
    def rated(self) -> bool:
        """Whether the ratio is of rates, not of times or sizes."""
        return self.unit in ("/s", "GB/s")


UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "MB": 1e6, "B": 1.0, "": 1.0, "s for 100,000": 1e-5}
"""Of what is shown as it was measured."""

_RAW_ECHO = "raw echo over ipc"
_RAW_PIPELINE = "raw echo over ipc, 500 in flight"
_IMPORTING = "python -c 'import zmq, msgpack'"
_RAW_FRAMES = "raw zero-copy frames over ipc"


def _calls(prefix: str, title: str, reach: str) -> list[Line]:
    call, bound = prefix + "call", prefix + "bound"
    return [
        Line(f"sync call{title}", call, "µs", (RAW, call), _RAW_ECHO, reach),
        Line(f"sync call{title}", call, "µs", ("best peer", call, bound), "", "≤ 0.8"),
    ]


def _arrays(work: str, title: str) -> list[Line]:
    return [
        Line(
            f"{title}, {size} MB",
            f"{work} {size} MB",
            "GB/s",
            (RAW, f"{work} {size} MB"),
            _RAW_FRAMES,
            f"≥ {reach}",
        )
        for size, reach in zip(MEGABYTES, ("0.8", "1.5", "4"))
    ]


LINES = [
    *_calls("", "", "≤ 0.8"),
    *_calls("busy ", ", cores busy", "≤ 1.3"),
    Line("thread to thread", "inproc", "µs", (RAW, "inproc"), "raw echo over inproc", "≤ 1.4"),
    Line("async, 10,000 in flight", "async", "/s", (RAW, "async"), _RAW_PIPELINE, "≥ 0.8"),
    Line("fire and forget, 20,000", "fire", "/s", (RAW, "async"), _RAW_PIPELINE, "≥ 1.2"),
    *_arrays("send", "len(array)"),
    *_arrays("get", "array returned"),
    Line(
        "start of a node", "start", "ms", (RAW, "start"), "python -c 'import zmq, msgpack'", "≤ 1.8"
    ),
    Line("warm start of a node", "warm", "ms", (RAW, "start"), "the same", "≤ 0.5"),
    Line("memory of a node", "memory", "MB", (RAW, "memory"), "python with zmq, msgpack", "≤ 1.3"),
    Line("200 clients, all calls", "crowd rate", "/s", (OURS, "async"), "our async rate", "≥ 0.8"),
    Line("200 clients, slowest", "crowd evenness", "", (), "the fastest one's rate", "≥ 0.33"),
    Line("live proxy, at the client", "proxies client", "B", reach="≤ 600"),
    Line("live proxy, at the server", "proxies server", "B", reach="≤ 600"),
    Line("release of all proxies", "proxies release", "s for 100,000", reach="≤ 2"),
]
"""The lines, in the order in which they are shown."""


@dataclass(frozen=True)
class Comparison:
    """What a line says.

    Attributes
    ----------
    ours : float
        As it was measured.
    theirs : float or None
    ratio : float or None
        Of times and sizes: ours to theirs. Of rates: the same of rates.
    to : str
        What they are.
    reached : bool or None
        None if there is nothing to reach.
    """

    ours: float
    theirs: float | None
    ratio: float | None
    to: str
    reached: bool | None


def median(results: Results, quantity: str, contender: str) -> float | None:
    """Return the median of the rounds, or None if there were none."""
    values = [value for value in results.get(quantity, {}).get(contender, []) if value is not None]
    return statistics.median(values) if values else None


def compare(line: Line, results: Results) -> Comparison | None:
    """Return what comes of a line, or None if we took no part.

    The ratio is the median of the ratios of each round: what goes on in the
    machine in one round concerns both. Only where they were not measured
    together is it the ratio of the medians.
    """
    ours = median(results, line.quantity, OURS)
    if ours is None:
        return None
    chosen = _chosen(line, results)
    if chosen is None:
        value = shown_number(line, ours)
        return Comparison(ours, None, None, line.what, None if line.to else _reached(line, value))
    quantity, contender = chosen
    theirs = median(results, quantity, contender)
    assert theirs is not None
    ratio = _ratio(results[line.quantity][OURS], results[quantity][contender])
    if line.rated:
        ratio = 1 / ratio
    return Comparison(ours, theirs, ratio, _to(line, quantity, contender), _reached(line, ratio))


def shown(line: Line, value: float) -> str:
    """Write a value with its unit."""
    number = shown_number(line, value)
    if line.unit == "/s":
        return f"{number:,.0f} /s"
    digits = f"{number:,.0f}" if number >= 1000 else f"{number:#.3g}".rstrip(".")
    return f"{digits} {line.unit.split()[0] if line.unit else ''}".rstrip()


def shown_number(line: Line, value: float) -> float:
    """Return a value in the unit of its line."""
    if line.unit == "/s":
        return 1 / value
    if line.unit == "GB/s":
        return int(line.quantity.split()[1]) / 1000 / value
    return value / UNITS[line.unit]


def _chosen(line: Line, results: Results) -> tuple[str, str] | None:
    """Which quantity of whom it is compared with: the least of those that there are."""
    if not line.to:
        return None
    who, *quantities = line.to
    found = [
        (value, quantity, contender)
        for quantity in quantities
        for contender in (PEERS if who == "best peer" else [who])
        if (value := median(results, quantity, contender)) is not None
    ]
    return min(found)[1:] if found else None


def _to(line: Line, quantity: str, contender: str) -> str:
    if line.what:
        return line.what
    return f"{contender}, bound method" if quantity.endswith("bound") else contender


def _ratio(ours: Series, theirs: Series) -> float:
    together = [
        one / other for one, other in zip(ours, theirs) if one is not None and other is not None
    ]
    if together and len(ours) == len(theirs):
        return statistics.median(together)
    first, second = ([value for value in one if value is not None] for one in (ours, theirs))
    return statistics.median(first) / statistics.median(second)


def _reached(line: Line, value: float) -> bool | None:
    if not line.reach:
        return None
    sign, limit = line.reach.split()
    return {"≤": operator.le, "≥": operator.ge}[sign](value, float(limit))
