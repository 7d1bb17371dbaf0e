"""Where the time of one synchronous call goes: ``python -m benchmarks.stages [CALLS]``.

Both processes note the time at the seams of a call. Their clock is the same,
so that the notes of one fit between those of the other. What the notes
themselves take is in the figures: about a quarter of a microsecond each.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from pyacq_rpc.transport.stream import Stream
from pyacq_rpc.wire.msgpack_codec import MsgpackCodec
from spawner import ProcessSpawner

from .things import Thing

__all__ = ["main", "measure", "note_seams", "taken"]

CALLS = 3000

_SEAMS: list[tuple[type[Any], str]] = [
    (MsgpackCodec, "encode"),
    (MsgpackCodec, "decode"),
    (Stream, "send"),
    (Stream, "receive"),
    (Thing, "add"),
]

STAGES = [
    ("client", "looks the method up, and finds its way here", "client encode begins"),
    ("client", "writes the request", "client encode ends"),
    ("client", "puts it on its way", "client send begins"),
    ("", "the socket; the server wakes up, or was looking", "server receive begins"),
    ("server", "takes the request from the socket", "server receive ends"),
    ("server", "finds whose it is", "server decode begins"),
    ("server", "reads it, and checks its shape", "server decode ends"),
    ("server", "finds the object and the method, asks the policy", "server add begins"),
    ("server", "runs the method", "server add ends"),
    ("server", "looks at what it has returned", "server encode begins"),
    ("server", "writes the answer", "server encode ends"),
    ("server", "puts it on its way", "server send begins"),
    ("", "the socket; the client wakes up, or was looking", "client receive begins"),
    ("client", "takes the answer from the socket", "client receive ends"),
    ("client", "puts it in its turn", "client decode begins"),
    ("client", "reads it", "client decode ends"),
    ("client", "gives it to whoever waits", "end"),
]
"""Where it is spent, on what, and the note at its end."""

_notes: list[tuple[str, float]] = []


def note_seams(where: str) -> None:
    """Note the time at the seams from now on, in this process."""
    for owner, name in _SEAMS:
        setattr(owner, name, _noting(getattr(owner, name), f"{where} {name}"))


def _noting(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    begins, ends = f"{name} begins", f"{name} ends"
    clock, notes = time.perf_counter, _notes

    @functools.wraps(function)
    def noting(*args: Any, **kwds: Any) -> Any:
        notes.append((begins, clock()))
        try:
            return function(*args, **kwds)
        finally:
            notes.append((ends, clock()))

    return noting


def taken() -> list[tuple[str, float]]:
    """Return what was noted since this was last asked."""
    notes = list(_notes)
    _notes.clear()
    return notes


def measure(calls: int = CALLS) -> list[float]:
    """Return the seconds that each of `STAGES` takes: the median of so many calls."""
    with ProcessSpawner() as node:
        there = node._import("benchmarks.stages")
        thing = node._import("benchmarks.things").Thing()
        for _ in range(calls // 3):
            thing.add(1, 2)
        there.note_seams("server")
        note_seams("client")
        for _ in range(calls):
            _notes.append(("begin", time.perf_counter()))
            thing.add(1, 2)
            _notes.append(("end", time.perf_counter()))
        mine = taken()
        theirs = there.taken(_return_type="value")
    lasted: list[list[float]] = [[] for _ in STAGES]
    for notes in _by_call(sorted([*mine, *theirs], key=lambda note: note[1])):
        times = [notes["begin"], *(notes[name] for _, _, name in STAGES)]
        for durations, before, after in zip(lasted, times, times[1:]):
            durations.append(after - before)
    return [statistics.median(durations) for durations in lasted]


def _by_call(notes: list[tuple[str, float]]) -> Iterator[dict[str, float]]:
    """Yield the last note of each name for each call that has them all."""
    call: dict[str, float] = {}
    for name, at in notes:
        if name == "begin":
            call = {}
        call[name] = at
        if name == "end" and call.keys() >= {"begin", *(name for _, _, name in STAGES)}:
            yield call


def main(calls: int = CALLS) -> None:
    """Print the table."""
    seconds = measure(calls)
    width = max(len(what) for _, what, _ in STAGES)
    print(f"{'where':8}{'on what':{width}}  {'µs':>5}      %")
    for (where, what, _), lasts in zip(STAGES, seconds):
        print(f"{where:8}{what:{width}}  {lasts * 1e6:5.1f}  {lasts / sum(seconds):5.0%}")
    print(f"{'':8}{'a call':{width}}  {sum(seconds) * 1e6:5.1f}   100%")


if __name__ == "__main__":
    # Not as `__main__`: the node notes in the module of its name, as this must.
    from benchmarks import stages

    stages.main(*map(int, sys.argv[1:]))
