"""``python -m benchmarks.gui``: does a window freeze, and what does a GUI cost.

* While another process keeps many calls in flight, a timer of 10 ms ticks in the GUI:
  how late is it, at worst? Beside it, the same without any calls.
* Calls there and back again, ten deep: between a GUI and a plain node, and
  between two plain nodes.
* A synchronous call to a GUI, to one to a plain node.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from typing import Any

from qtpy import QtCore

from pyacq_rpc import RPCServer
from spawner import ProcessSpawner

IN_FLIGHT = 200
DEPTH = 10


class Ticker:
    """Lives in the GUI, and notes when its timer ticks."""

    def __init__(self, interval_ms: int = 10) -> None:
        self._ticks: list[float] = []
        self._timer = QtCore.QTimer()
        self._timer.setTimerType(QtCore.Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(lambda: self._ticks.append(time.perf_counter()))
        self._timer.start(interval_ms)

    def begin(self) -> None:
        self._ticks = [time.perf_counter()]

    def gaps(self) -> list[float]:
        """Seconds from each tick to the next, the last of them to now."""
        ticks = [*self._ticks, time.perf_counter()]
        return [b - a for a, b in itertools.pairwise(ticks)]

    def work(self, a: int, b: int) -> int:
        return a + b


def gaps(gui: ProcessSpawner, seconds: float) -> tuple[list[float], list[float], float]:
    """Return the gaps without and with calls in flight, and the calls per second."""
    ticker = gui._import("benchmarks.gui").Ticker()
    ticker.begin()
    time.sleep(seconds)
    without = ticker.gaps()
    ticker.begin()
    begun, done, flight = time.perf_counter(), 0, []
    while time.perf_counter() < begun + seconds:
        while len(flight) < IN_FLIGHT:
            flight.append(ticker.work(1, 2, _sync="async"))
        flight.pop(0).result(30)
        done += 1
    with_calls = ticker.gaps()
    for future in flight:
        future.result(30)
    return without, with_calls, done / seconds


def bounce(call: Callable[..., Any], depth: int) -> int:
    """Call back whoever called, and so on: in a node, by way of the other's `bounce`."""
    return depth and 1 + call(bounce, depth - 1)


def ping_pong(node: ProcessSpawner, rounds: int) -> float:
    """Median seconds of ten calls within each other, between here and a node."""
    there = node._import("benchmarks.gui").bounce

    def call(function: Callable[..., Any], depth: int) -> int:
        return there(call, depth)

    return median(lambda: there(call, DEPTH), rounds)


def median(act: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        begun = time.perf_counter()
        act()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of calls, and of none (default: 10)"
    )
    seconds = parser.parse_args().seconds
    server = RPCServer()
    server.run_lazy()
    rounds = max(10, int(30 * seconds))
    with ProcessSpawner(qt=True) as gui, ProcessSpawner() as plain:
        without, with_calls, rate = gaps(gui, seconds)
        print(f"largest gap of a 10 ms timer, no calls:     {max(without) * 1e3:8.1f} ms")
        print(f"the same, {IN_FLIGHT} calls in flight:           {max(with_calls) * 1e3:8.1f} ms")
        print(f"calls meanwhile:                            {rate:8.0f} /s")
        deep, plainly = ping_pong(gui, rounds), ping_pong(plain, rounds)
        print(f"{DEPTH} deep with a GUI, more than with a node: {(deep - plainly) * 1e3:8.2f} ms")
        print(f"the one to the other:                       {deep / plainly:8.2f}")
        one = median(gui._import("time").time, 20 * rounds)
        other = median(plain._import("time").time, 20 * rounds)
        print(f"a call of a GUI to one of a plain node:     {one / other:8.2f}")
    server.close()


if __name__ == "__main__":
    main()
