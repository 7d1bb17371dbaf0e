"""What the nodes of the soak offer, and what its workers do with them."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

import numpy as np

from pyacq_rpc import ReferenceReleased, RPCClient, RPCServer
from pyacq_rpc.peers.runtime import current

PATIENCE = 10.0
"""Seconds that a call may take. Nothing here takes long, but the machine may be busy."""

SIZES = (100, 20_000, 40_000, 500_000)
"""Of the arrays, in numbers of eight bytes: below and above what goes by shared memory."""

DISTURBED = (ConnectionError, TimeoutError, ReferenceReleased)
"""What a job may end with when a node of it was killed, and only then."""


class Bench:
    """Published by each node."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def add(self, a: Any, b: Any) -> Any:
        return a + b

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def fail(self, message: str) -> None:
        raise ValueError(message)

    def apply(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def keep(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def kept(self, key: str) -> Any:
        return self._kept[key]

    def give(self, key: str) -> Any:
        return self._kept.pop(key)

    def forget(self) -> None:
        """Let go of what workers have left here that were killed before they took it back."""
        self._kept.clear()

    def numbers(self, count: int) -> Iterator[int]:
        return iter(range(count))


def publish() -> None:
    """Be a node."""
    server()["bench"] = Bench()


def server() -> RPCServer:
    found = RPCServer.get_server()
    assert isinstance(found, RPCServer)
    return found


def figures() -> dict[str, int]:
    """What this process has; taken while nobody works."""
    gc.collect()
    with open("/proc/self/maps") as maps:
        segments = {line.split()[4] for line in maps if "memfd:pyacq-rpc" in line}
    leases, grants = _held()
    descriptors = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that lists them
            descriptors.append(os.readlink(f"/proc/self/fd/{fd}"))
    with open("/proc/self/status") as status:
        (own,) = (int(line.split()[1]) for line in status if line.startswith("RssAnon:"))
    return {
        "MB": own >> 10,  # without segments, which both sides keep for a while
        "descriptors": sum("memfd" not in what for what in descriptors),
        "threads": threading.active_count(),
        "leases": leases,
        "grants": grants,
        "segments": len(segments),
    }


def _held() -> tuple[int, int]:
    """Count what others hold of this process, and what they have granted and nobody claimed."""
    if RPCServer.get_server() is None:
        return 0, 0
    table = server().table
    table.collect()
    accounts = list(table._peers.values())
    return sum(len(each.leases) for each in accounts), sum(len(each.granted) for each in accounts)


# -- the jobs ------------------------------------------------------------------

keys = map(str, itertools.count())


class Job(NamedTuple):
    """What a job is given.

    Attributes
    ----------
    chance : random.Random
    near, far : str
        The addresses of two nodes, perhaps the same.
    """

    chance: random.Random
    near: str
    far: str

    def bench(self, address: str) -> Any:
        client = RPCClient.get_client(address)
        assert client is not None
        client.timeout = PATIENCE
        return client["bench"]


def check(holds: object, *what: object) -> None:
    assert holds, what


def call(job: Job) -> None:
    n = job.chance.randrange(1000)
    check(job.bench(job.near).add(n, 1) == n + 1)


def call_many(job: Job) -> None:
    bench = job.bench(job.near)
    futures = [bench.add(n, 1, _sync="async") for n in range(50)]
    got = [future.result(PATIENCE) for future in futures]
    check(got == list(range(1, 51)), got)


def tell(job: Job) -> None:
    bench, key = job.bench(job.near), _key()
    bench.keep(key, 7, _sync="off")
    check(bench.give(key) == 7)


def be_called(job: Job) -> None:
    got: list[int] = []
    bench = job.bench(job.near)
    for n in range(5):
        bench.apply(got.append, n)
    check(got == [0, 1, 2, 3, 4], got)


def have_nodes_call(job: Job) -> None:
    n = job.chance.randrange(1000)
    near, far = job.bench(job.near), job.bench(job.far)
    check(near.apply(far.apply, near.add, n, 1) == n + 1)


def hand_on(job: Job) -> None:
    near, key = job.bench(job.near), _key()
    client = RPCClient.get_client(job.far)
    assert client is not None
    numbers = client.transfer([1, 2, 3])
    near.keep(key, numbers)
    del numbers
    back = near.give(key, _return_type="proxy")
    check(back._get_value() == [1, 2, 3])


def iterate(job: Job) -> None:
    check(list(job.bench(job.near).numbers(10)) == list(range(10)))


def exchange_arrays(job: Job) -> None:
    sent = np.full(job.chance.choice(SIZES), job.chance.random())
    bench = job.bench(job.near)
    both = [bench.add(sent, n, _sync="async") for n in range(3)]
    for n, future in enumerate(both):
        check(np.array_equal(future.result(PATIENCE), sent + n))


def be_called_by_a_timer(job: Job) -> None:
    called = threading.Event()
    client = RPCClient.get_client(job.near)
    assert client is not None
    there = client._import("soak.work").server()
    timer = there.start_timer(called.set, 0.005)
    try:
        # One that calls somebody who was killed keeps the others waiting, once.
        if not called.wait(3 * PATIENCE):
            client.ping(timeout=0.5)  # raises if it is gone
            check(False, "the timer has not called")
    finally:
        timer.stop()


def publish_a_name(job: Job) -> None:
    client, key = RPCClient.get_client(job.near), _key()
    assert client is not None
    client[key] = [key]
    check(client[key] == [key])
    names = client._import("soak.work").server()
    del names[key]
    with contextlib.suppress(KeyError):
        check(False, client[key])


def fail(job: Job) -> None:
    key = _key()
    try:
        job.bench(job.near).fail(key)
    except ValueError as error:
        check(str(error) == key, error)
    else:
        check(False, "it has not failed")


def cancel(job: Job) -> None:
    bench, key = job.bench(job.near), _key()
    first = bench.sleep(0.005, _sync="async")
    second = bench.keep(key, key, _sync="async")
    if second.cancel():
        with contextlib.suppress(CancelledError):
            check(False, second.result(PATIENCE))
    first.result(PATIENCE)
    bench.keep(key, None)
    bench.give(key)


def use_another_thread(job: Job) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            job.chance.choice(SIMPLE)(job)
        except BaseException as error:  # noqa: BLE001  # raised again below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors.pop()


def use_another_client(job: Job) -> None:
    client = RPCClient(job.near, serializer=job.chance.choice(["msgpack", "json"]))
    try:
        check(client["bench"].add("x", "y") == "xy")
    finally:
        client.close()


SIMPLE: list[Callable[[Job], None]] = [
    call,
    call_many,
    tell,
    be_called,
    have_nodes_call,
    hand_on,
    iterate,
    exchange_arrays,
    publish_a_name,
    fail,
    cancel,
]
JOBS = [*SIMPLE, be_called_by_a_timer, use_another_thread, use_another_client]


def _key() -> str:
    return f"{os.getpid()}-{next(keys)}"


# -- who does them ---------------------------------------------------------------


class Disturbance(NamedTuple):
    """A job that has failed as it may, if one of its nodes was killed meanwhile."""

    begun: float
    ended: float
    nodes: tuple[str, str]
    what: str


class Worker:
    """Some threads of a process that do one job after the other.

    Parameters
    ----------
    seed : int
    nodes : list of str
        Addresses, which change while it works.
    threads : int
    """

    def __init__(self, seed: int, nodes: list[str], threads: int) -> None:
        self._nodes = nodes
        self._may_work = threading.Event()
        self._over = False
        self._idle = threading.Semaphore(0)
        self.done: dict[str, int] = {job.__name__: 0 for job in JOBS}
        self.disturbed: list[tuple[float, float, tuple[str, str], str]] = []
        self.wrong: list[str] = []
        self._threads = [
            threading.Thread(target=self._work, args=(random.Random(seed + n),), daemon=True)
            for n in range(threads)
        ]
        for thread in self._threads:
            thread.start()
        self.pause()

    def see(self, nodes: list[str]) -> None:
        """Work with these nodes from now on."""
        self._nodes = nodes

    def go_on(self) -> None:
        """Let the threads work."""
        self._may_work.set()

    def pause(self) -> None:
        """Return when all threads have done what they were at."""
        self._may_work.clear()
        for _ in self._threads:
            self._idle.acquire()

    def end(self) -> None:
        """Return when all threads have ended; it is paused."""
        self._over = True
        self._may_work.set()
        for thread in self._threads:
            thread.join()

    def report(self) -> tuple[int, list[tuple[float, float, tuple[str, str], str]], list[str]]:
        """Tell how many jobs were done, what was disturbed, and what was wrong."""
        disturbed, self.disturbed = self.disturbed, []
        return sum(self.done.values()), disturbed, self.wrong

    def _work(self, chance: random.Random) -> None:
        while True:
            if not self._may_work.is_set():
                self._idle.release()
                self._may_work.wait()
            if self._over:
                return
            near, far = chance.choices(self._nodes, k=2)
            job = chance.choice(JOBS)
            begun = time.monotonic()
            try:
                job(Job(chance, near, far))
                self.done[job.__name__] += 1
            except DISTURBED as error:
                what = f"{job.__name__}: {type(error).__name__}: {error}"
                self.disturbed.append((begun, time.monotonic(), (near, far), what))
                _give_up(near)
                _give_up(far)
            except Exception as error:  # noqa: BLE001  # the supervisor prints it
                self.wrong.append(f"{job.__name__}: {type(error).__name__}: {error}")


def _give_up(address: str) -> None:
    """Close a client of a node that was killed before it was reached: nobody will come."""
    client = current().thread().clients.get(address)
    if client is not None and not client.welcomed():
        client.close()


_here: list[Worker] = []


def begin(seed: int, nodes: list[str], threads: int) -> Worker:
    """Be a worker."""
    _here.append(Worker(seed, nodes, threads))
    return _here[0]
