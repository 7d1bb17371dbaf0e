"""Many clients in a few processes, all calling one server.

``python -m benchmarks.crowd CONTENDER ADDRESS CLIENTS SECONDS`` is one of the
processes: it says when its clients are connected, waits for a line, lets each
make calls for that long, and prints how many a second. Who can have several
calls on their way has some; the others make one after the other.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import stdout

__all__ = ["watch"]


def watch(
    contender: str, address: str, processes: int, clients: int, seconds: float
) -> dict[str, float]:
    """Let a crowd call a server.

    Parameters
    ----------
    contender : str
    address : str
        Of a server that runs.
    processes : int
        In how many the clients are.
    clients : int
        How many in each of them.
    seconds : float
        How long they call.

    Returns
    -------
    dict
        ``rate``, the seconds for one call of all together, and ``evenness``,
        the rate of the slowest client over that of the fastest.
    """
    command = [sys.executable, "-m", "benchmarks.crowd", contender, address]
    with contextlib.ExitStack() as opening:
        crowd = []
        for _ in range(processes):
            process = subprocess.Popen(
                [*command, str(clients), str(seconds)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            opening.enter_context(process)
            crowd.append(process)
        for process in crowd:
            _line(process)
        for process in crowd:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        rates = [rate for process in crowd for rate in json.loads(_line(process))]
    return {"rate": 1 / sum(rates), "evenness": min(rates) / max(rates)}


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError("a part of the crowd has failed")
    return line


def be_part(name: str, address: str, clients: int, seconds: float) -> None:
    """Be one process of the crowd."""
    from .contenders import find

    contender = find(name)(Path())
    connected: list[int] = []
    rates: list[float] = []
    going: list[bool] = []

    def be_client(number: int) -> None:
        with contender.joined(address) as call:
            call()
            connected.append(number)
            while not going:
                contender.pause(0.02)
            try:
                rates.append(_rate(call, seconds))
            finally:
                connected.remove(number)
            # A connection that closes may take the time of those who still call.
            while connected:
                contender.pause(0.02)

    with stdout.take() as answers, contender:
        members = [
            contender.spawn(lambda number=number: be_client(number), number)
            for number in range(clients)
        ]
        deadline = time.monotonic() + 60
        while len(connected) < clients and time.monotonic() < deadline:
            contender.pause(0.02)
        if len(connected) < clients:
            raise RuntimeError(f"{clients - len(connected)} of {clients} clients did not connect")
        print("ready", file=answers, flush=True)
        if not sys.stdin.readline():
            raise SystemExit(1)  # whoever wanted to watch has gone
        going.append(True)
        for member in members:
            member.join()
        if len(rates) < clients:
            raise RuntimeError(f"{clients - len(rates)} of {clients} clients failed")
        print(json.dumps(rates), file=answers, flush=True)


def _rate(call: Callable[[], int], seconds: float) -> float:
    calls = 0
    begin = now = time.perf_counter()
    while not calls or now < begin + seconds:  # once at least, however late it begins
        calls += call()
        now = time.perf_counter()
    return calls / (now - begin)


if __name__ == "__main__":
    be_part(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
