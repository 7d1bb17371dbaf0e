"""Many small calls at once: ``python -m benchmarks.batches [CALLS]``.

One after the other, as futures, and in a batch, on the two roads between two processes of a
host; and chains, in which each call is one of the result of the one before. The ratios mean
something, the times only on an idle machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from spawner import ProcessSpawner

__all__ = ["main", "measure"]

CALLS = 1000
ROUNDS = 7
DEPTH = 10


def _ways(client: Any, thing: Any, calls: int) -> dict[str, Callable[[], object]]:
    def one_by_one() -> None:
        for number in range(calls):
            thing.add(number, 1)

    def futures() -> None:
        pending = [thing.add(number, 1, _sync="async") for number in range(calls)]
        for future in pending:
            future.result()

    def batch() -> None:
        with client.batch():
            pending = [thing.add(number, 1) for number in range(calls)]
        for promise in pending:
            promise.result()

    def chains_one_by_one() -> None:
        for _ in range(calls // DEPTH):
            total = 0
            for _ in range(DEPTH):
                total = thing.add(total, 1)

    def chains_in_batches() -> None:
        for _ in range(calls // DEPTH):
            with client.batch():
                total: Any = 0
                for _ in range(DEPTH):
                    total = thing.add(total, 1)
            total.result()

    return {
        "one by one": one_by_one,
        "async": futures,
        "a batch": batch,
        f"chains of {DEPTH}, one by one": chains_one_by_one,
        f"chains of {DEPTH}, a batch for each": chains_in_batches,
    }


def measure(calls: int = CALLS, rounds: int = ROUNDS) -> dict[str, float]:
    """Return the microseconds for each call, by how it was made: the median of the rounds."""
    with ProcessSpawner(name="bench") as node:
        thing = node._import("benchmarks.things").Thing()
        ways = _ways(node.client, thing, calls)
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds + 1):  # in turns; the first does not count
            for name, run in ways.items():
                start = time.perf_counter()
                run()
                if number:
                    taken[name].append((time.perf_counter() - start) / calls * 1e6)
    return {name: statistics.median(times) for name, times in taken.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    calls = int(arguments[0]) if arguments else CALLS
    road = os.environ.get("PYACQ_RPC_ROADS")
    print("over ZeroMQ" if road == "zmq" else "over the direct road", "(µs for each call):")
    found = measure(calls)
    first = found["one by one"]
    for name, each in found.items():
        print(f"  {name:32} {each:8.1f}   {first / each:5.1f} times as fast as one by one")
    if road is None:
        again = [sys.executable, "-m", "benchmarks.batches", *arguments]
        return subprocess.run(again, env={**os.environ, "PYACQ_RPC_ROADS": "zmq"}).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
