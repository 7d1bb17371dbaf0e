"""What is measured, and how often."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

__all__ = ["PHASES", "Phase", "Work", "busy", "named", "tiny"]

MEGABYTES = (1, 8, 64)


@dataclass(frozen=True)
class Work:
    """Something to do.

    Attributes
    ----------
    name : str
        On the command line and in the results. What a contender measures
        itself may have several values: each has a name of its own after it.
    method : str
        Of the contender.
    count : int
        How many times in a turn.
    timed : {'each', 'all', 'itself'}
        See `player.take_turn`.
    arguments : tuple
        For the method.
    tiny : tuple
        The arguments of a run that only sees whether it works; None: left out.
    """

    name: str
    method: str
    count: int = 1
    timed: str = "each"
    arguments: tuple[Any, ...] = ()
    tiny: tuple[Any, ...] | None = ()


@dataclass(frozen=True)
class Phase:
    """Works that are measured together.

    Attributes
    ----------
    works : list of Work
    rounds : int
        How many turns each contender has at each of them.
    seconds : float
        After which a turn of single calls ends, however many there were.
    settling : float
        Seconds at the beginning of a turn whose single calls do not count.
    patience : float
        Seconds for all turns of one contender at one work: one that needs
        more has fewer turns, but two at least.
    warm : bool
        Whether a round that does not count comes first.
    fresh : bool
        Whether each turn is one of a new process.
    busy : bool
        Whether all cores are kept busy meanwhile.
    """

    works: list[Work]
    rounds: int
    seconds: float = 1.0
    settling: float = 0.0
    patience: float = 12.0
    warm: bool = True
    fresh: bool = False
    busy: bool = False


_CALLS = [Work("call", "call", 200), Work("bound", "bound", 200)]

_SETTLING = 0.03
"""Seconds until a machine that was idle is awake. Two processes that call each other may share a
core while another one sleeps; Linux needs a few of its ticks to see that."""

PHASES = [
    Phase([*_CALLS, Work("inproc", "inproc", 200)], rounds=40, seconds=0.05, settling=_SETTLING),
    Phase(
        [
            Work("async", "pipeline", 10_000, "all"),
            Work("fire", "fire", 20_000, "all"),
        ],
        rounds=5,
        patience=10.0,
    ),
    Phase(
        [
            Work(f"{name} {size} MB", method, 60 // size or 2, "each", (size,), tiny)
            for name, method in (("send", "send_array"), ("get", "get_array"))
            for size in MEGABYTES
            for tiny in [(size,) if size == 1 else None]
        ],
        rounds=12,
        seconds=0.1,
        patience=5.0,
    ),
    Phase(
        [
            Work("start", "start", timed="itself"),
            Work("warm", "warm_start", timed="itself"),
            Work("memory", "memory", timed="itself"),
        ],
        rounds=7,
    ),
    Phase(
        [Work("crowd", "crowd", timed="itself", arguments=(4, 50, 3.0), tiny=(2, 2, 0.05))],
        rounds=3,
        warm=False,
        patience=20.0,
    ),
    Phase(
        [Work("proxies", "proxies", timed="itself", arguments=(100_000,), tiny=(100,))],
        rounds=3,
        warm=False,
        fresh=True,
        patience=15.0,
    ),
]
"""Works that take little time are measured together, in many short turns."""

BUSY = Phase(
    [dataclasses.replace(work, name=f"busy {work.name}") for work in _CALLS],
    rounds=40,
    seconds=0.05,
    settling=_SETTLING,
    busy=True,
)
"""What is measured once more on a busy machine, if asked for."""


def named(phases: list[Phase], names: Collection[str]) -> list[Phase]:
    """Return what has one of these names; the first word of one is enough."""
    chosen = []
    for phase in phases:
        works = [
            work
            for work in phase.works
            if {work.name, work.name.split()[0], work.name.removeprefix("busy ")} & set(names)
        ]
        if works:
            chosen.append(dataclasses.replace(phase, works=works))
    return chosen


def tiny(phases: list[Phase]) -> list[Phase]:
    """Return the same with next to nothing to do."""
    return [
        dataclasses.replace(
            phase,
            rounds=1,
            warm=False,
            works=[
                dataclasses.replace(work, count=1, arguments=work.tiny)
                for work in phase.works
                if work.tiny is not None
            ],
        )
        for phase in phases
    ]


def busy(phases: list[Phase]) -> list[Phase]:
    """Return the same, and the calls once more on a busy machine."""
    return [phases[0], BUSY, *phases[1:]]
