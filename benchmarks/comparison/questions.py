"""What is asked. Each question is a function of a `Case`, and returns a sentence or raises."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .peers import Peer

__all__ = ["QUESTIONS", "Case", "ask", "short"]

PATIENCE = 45.0
"""Seconds after which a call is said to go on waiting."""

FILE = "things.py"
"""It is in the remote traceback, and in no other."""


@dataclass
class Case:
    """One question to one project.

    Attributes
    ----------
    peer : Peer
    port : int
        Where its server listens.
    server : int
        The id of the server's process.
    """

    peer: Peer
    port: int
    server: int

    def thing(self) -> Any:
        """Return the served thing, and keep it: to drop it may take a server that answers."""
        self.kept = self.peer.connect(self.port)
        return self.kept


QUESTIONS: dict[str, Callable[[Case], str]] = {}


def question(function: Callable[[Case], str]) -> Callable[[Case], str]:
    QUESTIONS[function.__name__] = function
    return function


def ask(call: Callable[[], object]) -> str:
    """Return what a call returns or raises, and after how many seconds."""
    begin = time.monotonic()
    try:
        found = short(repr(call()))
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        classes = ", ".join(kind.__name__ for kind in type(error).__mro__[:-3])
        found = f"raises {classes}: {short(str(error) or repr(error))}"
    return f"{found}, after {time.monotonic() - begin:.1f} s"


def short(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 150 else line[:147] + "..."


def later(seconds: float, signum: signal.Signals, pid: int) -> None:
    """Have a signal sent by another process, whatever this one waits for meanwhile."""
    code = f"import os, time; time.sleep({seconds}); os.kill({pid}, {int(signum)})"
    subprocess.Popen([sys.executable, "-c", code])


# -- values ------------------------------------------------------------------------------


@question
def values(case: Case) -> str:
    """Which type arrives, there and here."""
    import numpy as np

    thing = case.thing()
    here = {name: kind(getattr(thing, name)) for name in ("pair", "array", "item")}
    there = {}
    for value in ((1, 2), {1}, 1j, b"a", np.arange(3), {1: 2}):  # the last one is the end of some
        there[type(value).__name__] = kind(functools.partial(thing.kind, value), str)
    return f"there {there}, here {here}"


def kind(
    call: Callable[[], object], show: Callable[[Any], str] = lambda it: type(it).__name__
) -> str:
    """Return what a call returns, as it is to be shown, or the class of what it raises."""
    try:
        return show(call())
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        return type(error).__name__


@question
def writable(case: Case) -> str:
    """Whether an array that arrives can be written to."""
    array = case.thing().array()
    return f"{type(array).__name__}, writable: {array.flags.writeable}"


# -- faults -------------------------------------------------------------------------------


@question
def error(case: Case) -> str:
    """What a ValueError of the server is here, and whether its traceback comes along."""
    import traceback

    try:
        case.thing().fail()
    except Exception as found:  # noqa: BLE001  # whatever it is, it is told
        pyro = "".join(getattr(found, "_pyroTraceback", ()))
        shown = "".join(traceback.format_exception(found))
        where = "shown" if FILE in shown else "on request" if FILE in pyro else "lost"
        return f"a ValueError: {isinstance(found, ValueError)}, remote traceback {where}"
    return "nothing is raised"


@question
def own_error(case: Case) -> str:
    """The same of an exception of a class that is not Python's own, derived from ValueError."""
    return ask(case.thing().fail_in_its_own_way)


@question
def killed(case: Case) -> str:
    """The server is killed while a call waits, after one second."""
    thing = case.thing()
    later(1.0, signal.SIGKILL, case.server)
    return ask(lambda: thing.sleep(60))


@question
def frozen(case: Case) -> str:
    """The server is stopped while a call waits, after one second."""
    thing = case.thing()
    later(1.0, signal.SIGSTOP, case.server)
    return ask(lambda: thing.sleep(60))


@question
def busy(case: Case) -> str:
    """A call takes 40 seconds, with nothing wrong."""
    thing = case.thing()
    return ask(lambda: thing.sleep(40))


@question
def interrupted(case: Case) -> str:
    """Ctrl-C ends a wait; then the connection is used again."""
    thing = case.thing()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored, if run in the background
    later(1.0, signal.SIGINT, os.getpid())
    try:
        thing.sleep(3)
    except KeyboardInterrupt:
        return "the next call: " + ask(lambda: thing.kind(()))
    return "the wait was not ended"


@question
def back(case: Case) -> str:
    """The server is killed and started again at its address; then two calls are made."""
    thing = case.thing()
    thing.pair()
    os.kill(case.server, signal.SIGKILL)
    again = [
        sys.executable,
        "-m",
        "benchmarks.comparison",
        case.peer.name,
        "--serve",
        str(case.port),
    ]
    with subprocess.Popen(
        again, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            return "; ".join(f"{n} {ask(lambda: thing.pair())}" for n in ("first", "second"))
        finally:
            server.kill()


# -- objects -------------------------------------------------------------------------------


@question
def client_killed(case: Case) -> str:
    """A client that holds an object is killed; is the object freed?"""
    code = (
        "import sys, time\n"
        "from benchmarks.comparison.peers import PEERS\n"
        f"thing = PEERS[{case.peer.name!r}].connect({case.port})\n"
        "item = thing.item()\n"
        "print('held', flush=True)\n"
        "time.sleep(60)\n"
    )
    thing = case.thing()
    holder = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert holder.stdout is not None
    if holder.stdout.readline().strip() != "held":
        return "there are no proxies of what is not registered"
    before = thing.items_alive()
    holder.kill()
    time.sleep(3)
    return f"{before} object before, {thing.items_alive()} three seconds after"


@question
def dropped(case: Case) -> str:
    """The proxy of an object is dropped; is the object freed?"""
    thing = case.thing()
    item = thing.item()
    before = thing.items_alive()
    kind = type(item).__name__
    del item
    time.sleep(1)
    return f"{kind}: {before} object before, {thing.items_alive()} a second after"


@question
def callback(case: Case) -> str:
    """A function is passed, and called back while the call waits."""
    thing = case.thing()
    function = case.peer.callback(lambda number: 2 * number)
    return ask(lambda: thing.call(function))


@question
def items(case: Case) -> str:
    """A generator: how far it has got when the first item is here."""
    thing = case.thing()
    numbers = iter(thing.count(1000))
    first = next(numbers)
    time.sleep(0.5)
    return f"first item {first}, {thing.given()} produced by then"


# -- the prompt ----------------------------------------------------------------------------


@question
def tab(case: Case) -> str:
    """What ``dir`` and ``hasattr`` tell."""
    thing = case.thing()
    thing.pair()  # Pyro5 learns what there is when it connects
    return (
        f"dir has kind: {'kind' in dir(thing)}, hasattr of nonsense: {hasattr(thing, 'nonsense')}"
    )


@question
def repr_when_frozen(case: Case) -> str:
    """Whether ``repr`` of a proxy needs the server."""
    thing = case.thing()
    os.kill(case.server, signal.SIGSTOP)
    return ask(lambda: repr(thing))


# -- processes -----------------------------------------------------------------------------


@question
def orphan(case: Case) -> str:
    """A process that the project has started, when its parent is killed."""
    code = (
        "import time\n"
        "from benchmarks.comparison.peers import PEERS\n"
        "if __name__ == '__main__':\n"
        f"    print(PEERS[{case.peer.name!r}].start(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = parent.stdout.readline().strip()
    if not said.isdigit():
        parent.kill()
        return "starts none"
    parent.kill()
    parent.wait()
    begin = time.monotonic()
    while time.monotonic() - begin < 20:
        if is_gone(int(said)):
            return f"ends {time.monotonic() - begin:.1f} s after its parent"
        time.sleep(0.05)
    os.kill(int(said), signal.SIGKILL)
    return "still runs 20 s after its parent"


def is_gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
