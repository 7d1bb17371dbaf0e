"""Lets nodes and workers do mixed work while some of them are killed, and looks what is left.

Run it for as long as you like::

    python tests/soak/run.py --seconds 3600

Every answer is checked. Now and then everybody pauses; then the node, the worker and the process
that are never killed must have what they had before: memory, descriptors, threads, leases and
segments.
The exit code is 1 if something was wrong, and it is printed. The same seed kills in the same order.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from soak import work  # noqa: E402

from pyacq_rpc.peers.reception import GRANT_GRACE  # noqa: E402
from pyacq_rpc.transport.direct import DirectListener, private_directory  # noqa: E402
from pyacq_rpc.transport.keys import KEY_VARIABLE  # noqa: E402
from spawner import NodeTemplate, ProcessSpawner  # noqa: E402

NODES, WORKERS, THREADS = 3, 2, 3

KILL_EVERY = 0.5
"""Seconds between two kills, on average."""

MEMORY = 1.2, 20
"""How many times, and how many MB more, a process may have than it had after the warm-up."""

SPARE = {"descriptors": 60, "threads": 2, "leases": 0, "grants": 10, "segments": 60, "sockets": 2}
"""How many more may be in use than at first, when not each thread has a client of each node yet.

What a process that was killed had granted is kept for a minute.
"""

NOTICING = 10.0
"""Seconds after a kill in which a worker may still begin something with that node."""

SETTLING = 20.0
"""Seconds in which everything has to be given back when nobody works any more."""

LAST_SETTLING = GRANT_GRACE + 20.0
"""The same at the end, when nothing may be granted any more either."""


class Soak:
    """The process that starts and kills the others.

    Parameters
    ----------
    seed : int
    stack : contextlib.ExitStack
        Ends what this has started.
    """

    def __init__(self, seed: int, stack: contextlib.ExitStack) -> None:
        self._chance = random.Random(seed)
        preload = ["pyacq_rpc", "pyacq_rpc.peers.client", "numpy", "soak.work"]
        self._origin = stack.enter_context(NodeTemplate(preload=preload))
        self._nodes = [self._start_node() for _ in range(NODES)]
        self._workers = [self._start_worker() for _ in range(WORKERS)]
        stack.callback(self.stop)
        self.kills: list[tuple[float, str]] = []  # when, and the address
        self.done = self.disturbed = self.killed = 0
        self.wrong: list[str] = []
        for _, worker in self._workers:
            worker.go_on()

    def _start(self) -> ProcessSpawner:
        return ProcessSpawner(template=self._origin)

    def stop(self) -> None:
        """End all nodes and workers."""
        for process in (*self._nodes, *(process for process, _ in self._workers)):
            process.stop()

    def _start_node(self) -> ProcessSpawner:
        node = self._start()
        node._import("soak.work").publish()
        return node

    def _start_worker(self) -> tuple[ProcessSpawner, Any]:
        process = self._start()
        seed = self._chance.randrange(1 << 30)
        there = process._import("soak.work")
        return process, there.begin(seed, self._addresses(), THREADS)

    def _addresses(self) -> list[str]:
        return [node.address for node in self._nodes]

    def run(self, seconds: float) -> None:
        """Let them work that long, and kill one now and then; the first of each never."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._chance.expovariate(1 / KILL_EVERY)))
            if end - time.monotonic() > 1:
                self._kill_one()

    def _kill_one(self) -> None:
        self.killed += 1
        if self._chance.random() < 0.3:
            process, worker = self._workers[1]
            self._take_report(worker)
            process.kill()
            self._workers[1] = self._start_worker()
            self._workers[1][1].go_on()
            return
        number = self._chance.randrange(1, NODES)
        node = self._nodes[number]
        begun = time.monotonic()
        node.kill()
        # At the same address, sometimes: what was meant for the old one must not reach it.
        self._nodes[number] = self._start_node()
        self.kills.append((begun, node.address))
        for _, worker in self._workers:
            worker.see(self._addresses())

    def pause(self) -> None:
        """Have everybody stop, and hear what they have done."""
        for _, worker in self._workers:
            worker.pause(_timeout=60.0)
            self._take_report(worker)
        for node in self._nodes:
            node.client["bench"].forget()

    def go_on(self) -> None:
        """Have everybody work again."""
        for _, worker in self._workers:
            worker.go_on()

    def _take_report(self, worker: Any) -> None:
        done, disturbed, wrong = worker.report()
        self.done += done
        self.wrong += wrong
        for job in disturbed:
            self.disturbed += 1
            if not self._is_excused(*job):
                self.wrong.append(f"{job[3]}, but nobody was killed")

    def _is_excused(self, begun: float, ended: float, nodes: Sequence[str], what: str) -> bool:
        """Whether one of its nodes had been killed, and the worker may not have known yet."""
        return any(
            address in nodes and killed <= ended and begun <= killed + NOTICING
            for killed, address in self.kills
        )

    def settled(self, first: dict[str, dict[str, int]], is_last: bool) -> dict[str, dict[str, int]]:
        """Return what each of those has that are never killed, once it has given all back.

        Parameters
        ----------
        first : dict
            What they had in the beginning, if that is known.
        is_last : bool
            Whether nothing may be granted any more.
        """
        previous: dict[str, dict[str, int]] = {}
        deadline = time.monotonic() + (LAST_SETTLING if is_last else SETTLING)
        while True:
            for process in (*self._nodes, *(process for process, _ in self._workers)):
                process._import("gc").collect()  # any of them may hold what is the node's
            found = {
                "node": self._nodes[0]._import("soak.work").figures(),
                "worker": self._workers[0][0]._import("soak.work").figures(),
                "supervisor": self._own(),
            }
            without_memory = [{**some, "MB": 0} for some in found.values()]
            is_still = without_memory == previous
            has_grown = any(grown(first[name], found[name], is_last) for name in first)
            if (is_still and not has_grown) or time.monotonic() > deadline:
                return found
            previous = without_memory
            time.sleep(0.5)

    def _own(self) -> dict[str, int]:
        DirectListener().close()  # which removes the sockets of those that were killed
        return {**work.figures(), "sockets": len(os.listdir(private_directory()))}


def grown(first: dict[str, int], last: dict[str, int], is_last: bool) -> list[str]:
    """Say what is not as it was."""
    times, more = MEMORY
    limits = {name: count + SPARE.get(name, 0) for name, count in first.items()}
    limits["grants"] = 0 if is_last else SPARE["grants"]  # there may have been some at first, too
    limits["MB"] = int(first["MB"] * times) + more
    return [
        f"{name}: {count}, after {first[name]} in the beginning"
        for name, count in last.items()
        if count > limits[name]
    ]


def soak(seconds: float, seed: int, looks: int) -> list[str]:
    """Let it run; return what was wrong.

    Parameters
    ----------
    seconds : float
    seed : int
    looks : int
        How often to compare what everybody has with what it was at first.
    """
    with contextlib.ExitStack() as stack:
        here = Soak(seed, stack)
        begun = time.monotonic()
        wrong: list[str] = []
        first: dict[str, dict[str, int]] = {}
        for look in range(looks + 1):
            here.run(seconds / (looks + 1))
            here.pause()
            is_last = look == looks
            found = here.settled(first, is_last)
            if look == 0:
                first = found  # by now everybody has warmed up
                print(f"{'seconds':>7} {'jobs':>8} {'kills':>6} {'disturbed':>9}", end="")
                print("".join(f"  {name} {', '.join(some)}" for name, some in found.items()))
            line = f"{time.monotonic() - begun:7.0f} {here.done:8} {here.killed:6}"
            figures = ("  " + " ".join(f"{n:>5}" for n in some.values()) for some in found.values())
            print(f"{line} {here.disturbed:9}{''.join(figures)}", flush=True)
            wrong += [
                f"{name}, after {time.monotonic() - begun:.0f} s: {what}"
                for name in found
                for what in grown(first[name], found[name], is_last)
            ]
            here.go_on()
        here.pause()
        return here.wrong + wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--looks", type=int, default=10, help="how often to look what is left")
    options = parser.parse_args(argv)
    print(f"seed {options.seed}")
    with tempfile.TemporaryDirectory(prefix="pyacq-rpc-soak-") as folder:
        # A directory in which nobody else has sockets, and a key of its own.
        own = {"XDG_RUNTIME_DIR": folder, KEY_VARIABLE: os.path.join(folder, "key")}
        with mock.patch.dict(os.environ, own):
            wrong = soak(options.seconds, options.seed, options.looks)
    for what, times in collections.Counter(wrong).items():
        print(f"wrong: {what}" + (f" ({times} times)" if times > 1 else ""))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
