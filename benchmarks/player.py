"""A contender in a process of its own: both ends of the pipe to it.

Every client is in such a process, also ours and plain pyzmq's, so that none
lives with another's threads, event loop or memory.

``python -m benchmarks.player CONTENDER FOLDER`` is the process: it reads a line
of JSON for each turn, and answers with one.
"""

from __future__ import annotations

import contextlib
import json
import signal
import statistics
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import stdout

__all__ = ["Failed", "Player", "start"]

_WARM_UP = 5
"""Calls at the beginning of a turn that never count; see `works.Phase.settling` for more."""

_PATIENCE = 120
"""Seconds after which a turn is given up, and its player with it."""


class Failed(Exception):
    """A contender could not do a work; says why."""


class Player:
    """The near end.

    Parameters
    ----------
    name : str
        Of the contender.
    process : subprocess.Popen
        The far end.
    """

    def __init__(self, name: str, process: subprocess.Popen[str]) -> None:
        self.name = name
        self._process = process
        self.can = self._answer()["can"]

    def play(self, **turn: Any) -> dict[str, float]:
        """Let it take a turn.

        Parameters
        ----------
        **turn
            The arguments of `take_turn`.

        Returns
        -------
        dict
            What was measured, by its name; a single one has none.

        Raises
        ------
        Failed
            If it could not do it.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(json.dumps(turn) + "\n")
            self._process.stdin.flush()
        answer = self._answer()
        if "error" in answer:
            raise Failed(answer["error"])
        found: dict[str, float] = answer["found"]
        return found

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        alarm = threading.Timer(_PATIENCE, self._process.kill)
        alarm.start()
        try:
            line = self._process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            raise Failed(f"the process of {self.name} has ended, or was ended after {_PATIENCE} s")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextlib.contextmanager
def start(name: str, folder: str) -> Iterator[Player]:
    """Start a contender's process, and end it in the end.

    Parameters
    ----------
    name : str
        Of the contender.
    folder : str
        For its sockets.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.player", name, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        try:
            yield Player(name, process)
        except BaseException:
            process.kill()  # what it has started ends with it
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()


def take_turn(
    contender: object,
    method: str,
    arguments: list[Any],
    count: int,
    timed: str,
    seconds: float,
    settling: float = 0.0,
) -> dict[str, float]:
    """Let a contender do a work, and measure it.

    Parameters
    ----------
    contender : Contender
    method : str
        The one that does the work.
    arguments : list
        For it.
    count : int
        How many times.
    timed : {'each', 'all', 'itself'}
        Whether to take the median of the single calls; the time of a call
        that does all `count`, for each of them; or what the method returns.
    seconds : float
        After which not to begin another of the single calls.
    settling : float
        Seconds before, for which the single calls do not count.
    """
    function: Callable[..., Any] = getattr(contender, method)
    if timed == "itself":
        found: dict[str, float] = function(*arguments)
        return found
    if timed == "all":
        begin = time.perf_counter()
        function(count, *arguments)
        return {"": (time.perf_counter() - begin) / count}
    for _ in range(min(_WARM_UP, count // 5)):
        function(*arguments)
    end = time.perf_counter() + settling
    while time.perf_counter() < end:
        function(*arguments)
    times = []
    end = time.perf_counter() + seconds
    while len(times) < count:
        begin = time.perf_counter()
        function(*arguments)
        now = time.perf_counter()
        times.append(now - begin)
        if now > end:
            break
    return {"": statistics.median(times)}


def be_player(name: str, folder: str) -> None:
    """Be the far end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the near end
    from .contenders import find

    with stdout.take() as answers, find(name)(Path(folder)) as contender:

        def answer(**what: object) -> None:
            print(json.dumps(what), file=answers, flush=True)

        kind = type(contender)
        answer(can=[name for name in dir(kind) if callable(getattr(kind, name))])
        for line in sys.stdin:
            try:
                answer(found=take_turn(contender, **json.loads(line)))
            except Exception:  # noqa: BLE001  # the others go on
                answer(error=traceback.format_exc())


if __name__ == "__main__":
    be_player(*sys.argv[1:])
