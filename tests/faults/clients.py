"""What befalls those who use a node: the node goes on, and has back all that they held."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from conftest import eventually
from processes import ROOT

from pyacq_rpc import RPCClient
from spawner import NodeTemplate, ProcessSpawner

from .cells import MARGIN, Outcomes, check_that_no_socket_is_left, template
from .table import GIVEN_BACK, Row
from .uses import PATIENCE, USES

EXITING = (
    "import sys; sys.path[:0] = [sys.argv[3]]\n"
    "from faults.uses import begin; begin(sys.argv[1], sys.argv[2]); print('begun', flush=True)\n"
    "sys.stdin.readline()"
)


class Used:
    """A node, and somebody else who uses it."""

    def __init__(self, origin: NodeTemplate, use: str) -> None:
        self.use = use
        self.origin = origin
        self.stack = contextlib.ExitStack()
        self.node = self.stack.enter_context(ProcessSpawner(template=origin))
        self.there = self.node._import("faults.bench")
        self.there.publish()

    def warm_up(self) -> None:
        """Have it open what it opens once for all of its clients."""
        with ProcessSpawner(template=self.origin) as first:
            uses = first._import("faults.uses")
            uses.begin(self.use, self.node.address)
            uses.end()
        previous: dict[str, int] = {}

        def is_settled() -> bool:
            before, now = dict(previous), self.there.books()
            previous.update(now)
            time.sleep(0.02)
            return bool(before == now and now["clients"] == 1)

        assert eventually(is_settled)
        self.before = previous

    def has_all_back(self) -> bool:
        """Whether the node keeps nothing of what the other one held."""
        now: dict[str, int] = self.there.books()
        return all(now[name] <= self.before[name] for name in self.before)


# -- who uses it, and what befalls him -------------------------------------------


def _signalled(number: int) -> Callable[[Used], Callable[[], object]]:
    def begin(used: Used) -> Callable[[], object]:
        user = used.stack.enter_context(ProcessSpawner(template=used.origin))
        used.stack.callback(user.kill)
        user._import("faults.uses").begin(used.use, used.node.address)
        return lambda: os.kill(user.pid, number)

    return begin


def _exiting(used: Used) -> Callable[[], object]:
    # What ends it in libzmq would tell the line there, but not whose call that was.
    with_faulthandler = [sys.executable, "-X", "faulthandler"]
    user = subprocess.Popen(
        [*with_faulthandler, "-c", EXITING, used.use, used.node.address, str(ROOT / "tests")],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )

    assert user.stdout is not None
    assert user.stdin is not None

    def check() -> None:
        complaints = user.communicate(timeout=PATIENCE)[1]
        assert (user.returncode, complaints) == (0, ""), f"{user.returncode}: {complaints}"

    used.stack.callback(check)
    assert user.stdout.readline() == "begun\n"

    def end() -> None:
        user.stdin.write("\n")
        user.stdin.flush()

    return end


def _ending_thread(used: Used) -> Callable[[], object]:
    go = threading.Event()
    begun: list[Any] = []

    def run() -> None:
        use = USES[used.use](used.node.address)
        use.round()
        begun.append(use.begin())
        go.wait(PATIENCE)

    thread = threading.Thread(target=run)
    thread.start()
    assert eventually(lambda: begun)

    def end() -> None:
        go.set()
        thread.join(PATIENCE)
        begun.pop()()

    return end


BEFALLS: dict[str, Callable[[Used], Callable[[], object]]] = {
    "client killed": _signalled(signal.SIGKILL),
    "client frozen": _signalled(signal.SIGSTOP),
    "client exits": _exiting,
    "thread ends": _ending_thread,
}


def befall(row: Row, uses: Sequence[str]) -> Outcomes:
    """Bring a fault upon those who use some nodes, each one of its own, side by side."""
    found: Outcomes = {}
    pids: list[int] = []
    with template() as origin, contextlib.ExitStack() as stack:
        strikes = {}
        for use in uses:
            # A thread's own timers are what ends with it.
            kind = "timer there" if use == "timer" and row.fault != "thread ends" else use
            used = Used(origin, kind)
            stack.push(used.stack)
            if row.fault == "thread ends":
                # The node goes on to know our server for callbacks. And once a proxy has
                # outlived its thread, the I/O thread keeps a client of the node.
                used.before = {"leases": 1, "clients": 2, "timers": 0}
            else:
                used.warm_up()
            strikes[use] = used, BEFALLS[row.fault](used)
        struck = {}
        for use, (_, strike) in strikes.items():
            struck[use] = time.monotonic()
            strike()
        for use, (used, _) in strikes.items():
            patience = (row.within or 0.0) + MARGIN
            is_back = eventually(used.has_all_back, patience)
            outcome = GIVEN_BACK if is_back else f"{used.there.books()} instead of {used.before}"
            pids.append(used.node.pid)
            found[use] = outcome, time.monotonic() - struck[use]
            client = RPCClient.get_client(used.node.address)
            assert client is not None
            assert client["bench"].work(0, 1) == 2
    check_that_no_socket_is_left(pids)
    return found
