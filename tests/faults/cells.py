"""Brings a fault upon uses of a node, and tells what has come of them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from conftest import eventually
from processes import in_a_fork
from relay import Relay, corrupt, duplicate, leaving_out, reorder, truncate

from pyacq_rpc import RPCClient, ServerDisconnected
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport import sockets
from pyacq_rpc.transport.direct import private_directory
from spawner import NodeTemplate, ProcessSpawner

from .table import UNHARMED, Row
from .uses import PATIENCE, Pursuit

MARGIN = 8.0
"""Seconds that a busy machine may take longer than is promised."""

PRELOAD = ["pyacq_rpc", "pyacq_rpc.peers.client", "numpy", "logging", "faults.uses", "faults.bench"]

HOLD = 6
"""Seconds for which the GIL is held: longer than a silent peer is waited for."""

NOT_READ = 3
"""Seconds for which the slow reader reads nothing."""


def template() -> NodeTemplate:
    """What the nodes of a test are forked from."""
    return NodeTemplate(preload=PRELOAD)


class World:
    """One use of one node, which is all its own."""

    def __init__(self, origin: NodeTemplate, use: str, is_relayed: bool, patience: float) -> None:
        self._stack = contextlib.ExitStack()
        self.node = self._stack.enter_context(ProcessSpawner(template=origin))
        self.there = self.node._import("faults.bench")
        self.there.publish()
        address = self.node.address
        if is_relayed:
            self.relay = self._stack.enter_context(Relay(int(address.rpartition(":")[2])))
            address = self.relay.address
            self.there.advertise(address)
        self.address = address
        self.before = self.books()
        self.pursuit = Pursuit(use, address, patience)
        self._stack.callback(self.pursuit.over)
        self.pursuit.begun.wait(PATIENCE)
        assert self.pursuit.error is None
        self.template = origin

    def books(self) -> dict[str, int]:
        """What the node keeps for those that use it, but for us."""
        books: dict[str, int] = self.there.books()
        return {name: books[name] for name in ("leases", "clients", "timers")}

    def another(self) -> ProcessSpawner:
        """Return one more node, for whoever else is needed."""
        return self._stack.enter_context(ProcessSpawner(template=self.template))

    def close(self) -> None:
        """End all of it, however it is."""
        self.node.kill()
        self._stack.close()


# -- what strikes --------------------------------------------------------------


def _kill(world: World) -> None:
    os.kill(world.node.pid, signal.SIGKILL)


def _kill_with_fork(world: World) -> None:
    world.there.RPCServer.get_server()["bench"].fork()
    os.kill(world.node.pid, signal.SIGKILL)


def _freeze(world: World) -> None:
    os.kill(world.node.pid, signal.SIGSTOP)


def _thaw(world: World) -> None:
    os.kill(world.node.pid, signal.SIGCONT)


def _hold_gil(world: World) -> None:
    world.node["bench"].hold_gil(0.1, HOLD)


def _read_slowly(world: World) -> None:
    world.reader = world.another()
    reader = world.reader._import("faults.uses")
    world.reading = reader.ask_and_not_read(world.address, NOT_READ, _sync="async")


def _has_read(world: World) -> None:
    assert world.reading.result(PATIENCE)
    world.reader.kill()
    assert world.pursuit.slowest < NOT_READ  # nobody else had to wait for that one


def _close(world: World) -> None:
    assert world.node.client.close_server(timeout=PATIENCE)


def _fork_there(world: World) -> None:
    world.node["bench"].fork()


def _fork_here(world: World) -> None:
    """In the child nothing is left of the client, and a new one can be made."""

    client = world.node.client

    def act() -> str:
        with contextlib.suppress(ServerDisconnected):
            return f"still a client: {client.ping()}"
        return str(RPCClient(world.address).ping(timeout=PATIENCE))

    assert in_a_fork(act) == "pong"


def _reset(world: World) -> None:
    world.relay.reset()


def _cut(world: World) -> None:
    world.relay.cut()


def _heal(world: World) -> None:
    world.relay.heal()


def _tamper(how: Any) -> Callable[[World], None]:
    def strike(world: World) -> None:
        world.relay.tamper(how)

    return strike


def _nothing(world: World) -> None:
    pass


class Fault(NamedTuple):
    """How to bring it about.

    Attributes
    ----------
    strike : callable
    heal : callable
        Ends it.
    lasts : float
        Seconds from the one to the other, of a fault that does no harm.
    relayed : bool
        Whether it is one of the network.
    survives : bool
        Whether the node has to be as before afterwards, and can be used by a new client.
    patience : float
        Seconds that calls wait.
    heartbeats : bool
        Whether the client sends any. Their answers would be struck in place of a
        message, and look like one.
    """

    strike: Callable[[World], None]
    heal: Callable[[World], None] = _nothing
    lasts: float = 0.0
    relayed: bool = False
    survives: bool = True
    patience: float = PATIENCE
    heartbeats: bool = True


FAULTS = {
    "killed": Fault(_kill, survives=False),
    "killed, a fork lives on": Fault(_kill_with_fork, survives=False),
    "frozen": Fault(_freeze, _thaw),
    "GIL held": Fault(_hold_gil, lasts=HOLD + 0.5),
    "slow reader": Fault(_read_slowly, _has_read),
    "closes": Fault(_close, survives=False),
    "forks": Fault(_fork_there, lasts=0.2),
    "client forks": Fault(_fork_here, lasts=0.2),
    "reset": Fault(_reset, relayed=True),
    "cut": Fault(_cut, _heal, relayed=True),
    "cut and healed": Fault(_cut, _heal, lasts=1.0, relayed=True),
    "corrupted": Fault(_tamper(corrupt), relayed=True),
    "duplicated": Fault(_tamper(duplicate), relayed=True),
    "reordered": Fault(_tamper(reorder), relayed=True),
    "truncated": Fault(_tamper(truncate), relayed=True),
    # The connection goes on, and with it what is asked for and never answered.
    "left out": Fault(
        _tamper(leaving_out(0)), relayed=True, survives=False, patience=1.0, heartbeats=False
    ),
}

Outcomes = dict[str, tuple[str, float]]
"""For each use, what has come of it, and after how many seconds."""


@contextlib.contextmanager
def _roads(fault: Fault) -> Iterator[None]:
    """Have messages go through the relay."""
    before = current().direct, sockets.HEARTBEAT_INTERVAL
    current().direct = before[0] and not fault.relayed
    if not fault.heartbeats:
        sockets.HEARTBEAT_INTERVAL = 0
    yield
    current().direct, sockets.HEARTBEAT_INTERVAL = before


def strike(row: Row, uses: Sequence[str]) -> Outcomes:
    """Bring a fault upon some uses, each with a node of its own, side by side.

    Nothing of them is left afterwards.
    """
    fault = FAULTS[row.fault]
    found: Outcomes = {}
    with template() as origin, contextlib.ExitStack() as stack, _roads(fault):
        worlds: dict[str, World] = {}
        for use in uses:
            worlds[use] = World(origin, use, fault.relayed, fault.patience)
            stack.callback(worlds[use].close)
        struck: dict[str, float] = {}
        for use, world in worlds.items():
            struck[use] = time.monotonic()
            fault.strike(world)
        until = time.monotonic() + (row.within or 0.0) + MARGIN
        time.sleep(fault.lasts)  # it is what the test is about
        for use, world in worlds.items():
            if row.outcomes[use] != UNHARMED:
                eventually(world.pursuit.failed, until - time.monotonic())
        for use, world in worlds.items():
            fault.heal(world)
            pursuit = world.pursuit
            rounds = pursuit.rounds
            assert pursuit.failed() or eventually(lambda p=pursuit, n=rounds: p.rounds > n + 2)
            pursuit.over()
            found[use] = pursuit.outcome(), pursuit.ended - struck[use]
        if fault.survives:
            for world in worlds.values():
                _check_that_it_is_as_before(world)
    check_that_no_socket_is_left([world.node.pid for world in worlds.values()])
    return found


def check_that_no_socket_is_left(pids: Iterable[int]) -> None:
    """Of these processes, which have ended."""
    names = os.listdir(private_directory())
    assert {int(name.partition("-")[0]) for name in names}.isdisjoint(pids), names


def _check_that_it_is_as_before(world: World) -> None:
    """Whoever connects anew is served, and nothing is kept for those that are gone."""
    client = RPCClient(world.address)
    assert client["bench"].work(0, 1) == 2
    client.close()
    if world.there._link.gone:  # we have been told so, too
        world.there = RPCClient.get_client(world.node.address)._import("faults.bench")
    assert eventually(lambda: world.books() == world.before), (world.books(), world.before)
