"""The kinds of use: each goes on, round after round, until a fault ends it."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pyacq_rpc import RPCClient, RPCServer

PATIENCE = 30.0
"""Seconds that calls wait: longer than any fault of which a client is told."""

PAUSE = 0.005
"""Seconds between two rounds, for the others that use the machine."""


class Use:
    """One kind of use of a bench; everything happens in one thread.

    Parameters
    ----------
    address : str
        Of the node with the bench.
    patience : float
        Seconds that calls wait.
    """

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        self.client = RPCClient(address)
        self.client.timeout = self.patience = patience
        self.bench = self.client["bench"]

    def round(self) -> None:
        """Use it once more, and check what comes of it."""

    def begin(self) -> Callable[[], object]:
        """Begin something that its thread does not see the end of; return a check of that."""
        return lambda: None

    def end(self) -> None:
        """Check what is left to be checked, whatever has happened."""


class Sync(Use):
    def round(self) -> None:
        assert self.bench.work(0.01, 1) == 2


class Async(Use):
    def round(self) -> None:
        futures = [self.bench.work(0.002, n, _sync="async") for n in range(5)]
        assert [future.result(self.patience) for future in futures] == [1, 2, 3, 4, 5]

    def begin(self) -> Callable[[], object]:
        future = self.bench.work(0.2, 1, _sync="async")
        return lambda: check(future.result(PATIENCE) == 2)


class Off(Use):
    def round(self) -> None:
        for n in range(20):
            self.bench.note(n, _sync="off")
        assert self.bench.noted() == list(range(20))

    def begin(self) -> Callable[[], object]:
        bench = self.bench
        bench.note(7, _sync="off")
        return lambda: check(bench.noted() == [7])


class Callback(Use):
    def round(self) -> None:
        assert self.bench.call_often(lambda n: n + 1, 5) == 15

    def begin(self) -> Callable[[], object]:
        future = self.bench.call_often(lambda n: n + 1, 5, _sync="async")
        return lambda: check(future.result(PATIENCE) == 15)


class Iterating(Use):
    def round(self) -> None:
        assert list(self.bench.numbers(5)) == [0, 1, 2, 3, 4]

    def begin(self) -> Callable[[], object]:
        numbers = iter(self.bench.numbers(5))
        assert next(numbers) == 0
        return lambda: check(list(numbers) == [1, 2, 3, 4])


class Timing(Use):
    """A timer of this side, which calls there."""

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        super().__init__(address, patience)
        self.server = RPCServer(name="with a timer")
        self.server.run_lazy()
        self.timer = self.server.start_timer(self.bench.note, 0.01, n=0)

    def round(self) -> None:
        self.server._read_and_process_one(0.05)
        if self.timer.stopped():
            raise TimerStopped

    def begin(self) -> Callable[[], object]:
        timer = self.timer
        return lambda: check(timer.stopped())

    def end(self) -> None:
        self.server.close()


class TimingThere(Use):
    """A timer of the other side, which calls here."""

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        super().__init__(address, patience)
        self.called = threading.Event()
        there = self.client._import("pyacq_rpc").RPCServer.get_server()
        self.timer = there.start_timer(self.called.set, 0.01)

    def round(self) -> None:
        self.called.clear()
        assert self.called.wait(self.patience)

    def end(self) -> None:
        self.timer.stop()


class Array(Use):
    """Arrays that are large enough for shared memory, where there is some."""

    SIZE = 40_000

    def __init__(self, address: str, patience: float = PATIENCE) -> None:
        super().__init__(address, patience)
        self.numbers = np.arange(self.SIZE, dtype=float)
        self.held = self.bench.work(0, self.numbers)

    def round(self) -> None:
        assert np.array_equal(self.bench.work(0.005, self.numbers), self.numbers + 1)

    def begin(self) -> Callable[[], object]:
        held, wanted = self.held, self.numbers + 1
        future = self.bench.work(0.2, self.numbers, _sync="async")
        return lambda: check(
            all(map(np.array_equal, (held, future.result(PATIENCE)), [wanted] * 2))
        )

    def end(self) -> None:
        assert np.array_equal(self.held, self.numbers + 1)  # whatever has become of the sender


def check(holds: bool) -> None:
    assert holds


class TimerStopped(Exception):
    """The node has stopped the timer, whose callback is out of reach."""


USES: dict[str, type[Use]] = {
    "sync": Sync,
    "async": Async,
    "off": Off,
    "callback": Callback,
    "iterator": Iterating,
    "timer": Timing,
    "timer there": TimingThere,
    "array": Array,
}


class Pursuit:
    """One use in a thread of its own, until it fails or is over.

    Attributes
    ----------
    begun : threading.Event
        Set when one round is done.
    error : Exception or None
        What has ended it.
    ended : float
        When that was.
    rounds : int
        How many it has done.
    slowest : float
        Seconds that the slowest of them has taken.
    """

    def __init__(self, use: str, address: str, patience: float = PATIENCE) -> None:
        self.begun = threading.Event()
        self.error: Exception | None = None
        self.ended = 0.0
        self.rounds = 0
        self.slowest = 0.0
        self._over = threading.Event()
        arguments = (USES[use], address, patience)
        # A daemon, since an interpreter may end while it is at it.
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()

    def _run(self, kind: type[Use], address: str, patience: float) -> None:
        use: Any = None
        try:
            use = kind(address, patience)
            use.round()
            self.begun.set()
            while not self._over.wait(PAUSE):
                begun = time.monotonic()
                use.round()
                self.slowest = max(self.slowest, time.monotonic() - begun)
                self.rounds += 1
        except Exception as error:  # noqa: BLE001  # which one it is, the test says
            self.error = error.with_traceback(None)  # that holds proxies
        finally:
            self.ended = time.monotonic()
            self.begun.set()
        try:
            if use is not None:
                use.end()
        except ConnectionError:
            pass  # it was told before
        except Exception as error:  # noqa: BLE001
            self.error = error.with_traceback(None)

    def failed(self) -> bool:
        """Whether something has ended it."""
        return self.error is not None

    def wait_until_failed(self) -> bool:
        """Wait for what ends it; whether it has come."""
        self._thread.join(PATIENCE)
        return self.failed()

    def over(self) -> None:
        """End it after this round."""
        self._over.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def outcome(self) -> str:
        """Return what has come of it: the name of an exception, or that it is unharmed."""
        return "unharmed" if self.error is None else type(self.error).__name__


_here: list[Pursuit] = []
"""Those of a process that uses a bench itself, for a test that tells it to."""


def begin(use: str, address: str) -> None:
    """Begin to use a bench, in a node."""
    pursuit = Pursuit(use, address)
    _here.append(pursuit)
    pursuit.begun.wait(PATIENCE)
    if pursuit.error is not None:
        raise pursuit.error


def ask_and_not_read(address: str, seconds: int) -> bool:
    """Ask for much, and let nothing here read it for a while; whether all came."""
    bench = RPCClient(address)["bench"]
    answers = [bench.text(50_000, _sync="async") for _ in range(100)]
    ctypes.PyDLL(None).sleep(seconds)  # with the GIL held
    return all(answer.result(PATIENCE) == "x" * 50_000 for answer in answers)


def failed() -> bool:
    """Wait until the use that this node has begun has failed."""
    return _here[-1].wait_until_failed()


def end() -> str:
    """End the use that this node has begun; return what has come of it."""
    pursuit = _here.pop()
    pursuit.over()
    return pursuit.outcome() if pursuit.error is None else f"{pursuit.outcome()}: {pursuit.error}"
