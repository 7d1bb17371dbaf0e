"""A quick measurement of calls to another process, next to raw pyzmq between the same two."""

from __future__ import annotations

import collections
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import zmq

from pyacq_rpc.transport.sockets import connect, listen, new_dealer, new_router
from spawner import ProcessSpawner

__all__ = ["Echo", "Measurement", "measure"]

ARRAY = 8 * 1024 * 1024
"""Bytes of the array that is fetched."""

WINDOW = 100
"""Calls that are on their way at the same time."""

_PARTS = 6


class Measurement(NamedTuple):
    """One line of the result.

    Attributes
    ----------
    what : str
        What was done.
    unit : str
        Of both numbers; less is better for ``'µs'`` and ``'ms'``.
    here : float
        By this package.
    raw : float or None
        By pyzmq alone.
    """

    what: str
    unit: str
    here: float
    raw: float | None = None

    def cells(self) -> list[str]:
        """Return it as it is shown."""
        here = f"{self.here:,.0f} {self.unit}"
        if self.raw is None:
            return [self.what, here, "-", "-"]
        return [self.what, here, f"{self.raw:,.0f} {self.unit}", f"{self.here / self.raw:.2f}"]


class Echo:
    """Answers each message over a plain socket, in a thread of its own; runs in the node.

    A message of digits is answered by so many bytes, any other one by itself.

    Parameters
    ----------
    address : str
        Where it listens: an ``ipc`` address in a directory that only this user can enter.
    """

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = new_router(self._context)
        listen(self._socket, address)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        data = bytes(ARRAY)
        while True:
            identity, message = self._socket.recv_multipart()
            if message == b"end":
                break
            answer = data[: int(message)] if message.isdigit() else message
            self._socket.send_multipart([identity, answer], copy=len(answer) < 65536)
        self._socket.close(linger=0)
        self._context.term()


def measure(seconds: float, tell: Callable[[str], object]) -> list[Measurement]:
    """Measure calls to a node.

    Parameters
    ----------
    seconds : float
        How long to measure in all.
    tell : callable
        Is told what is measured next.
    """
    each = seconds / _PARTS
    number = 0

    def step(what: str) -> None:
        nonlocal number
        number += 1
        tell(f"{number} of {_PARTS + 1}: {what}")

    step("starting a node")
    began = time.perf_counter()
    with ProcessSpawner(name="bench") as node, tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter() - began
        address = f"ipc://{os.path.join(directory, 'echo')}"
        echo = node._import("pyacq_rpc.people.measuring").Echo(address)
        with zmq.Context() as context, new_dealer(context) as socket:
            connect(socket, address)
            ask = _asker(socket)
            identity = node._import("operator").pos
            step("synchronous calls")
            call = _median(lambda: identity(1), each)
            step("the same with raw pyzmq")
            raw_call = _median(lambda: ask(b"x"), each)
            step(f"asynchronous calls, {WINDOW} at a time")
            many = _rate(lambda: identity(1, _sync="async"), lambda future: future.result(), each)
            step("the same with raw pyzmq")
            raw_many = _rate(lambda: socket.send(b"x"), lambda _: socket.recv(), each)
            step("arrays")
            fetch = _fetcher(node)
            array = _median(fetch, each)
            step("the same with raw pyzmq")
            raw_array = _median(lambda: ask(b"%d" % ARRAY), each)
            socket.send(b"end")
        del echo
    mega = ARRAY / 1e6
    return [
        Measurement("a synchronous call", "µs", call * 1e6, raw_call * 1e6),
        Measurement(f"calls, {WINDOW} at a time", "/s", many, raw_many),
        Measurement("fetching 8 MB", "MB/s", mega / array, mega / raw_array),
        Measurement("starting a node", "ms", started * 1e3),
    ]


def _asker(socket: zmq.Socket[bytes]) -> Callable[[bytes], object]:
    def ask(message: bytes) -> object:
        socket.send(message)
        return socket.recv(copy=False)

    return ask


def _fetcher(node: ProcessSpawner) -> Callable[[], object]:
    """Return what fetches that many bytes: an array if numpy is there, else a bytearray."""
    try:
        data = node._import("numpy").ones(ARRAY, "u1", _return_type="proxy")
    except ImportError:
        data = node._import("builtins").bytearray(ARRAY, _return_type="proxy")
    fetch: Callable[[], object] = data._get_value
    return fetch


def _median(act: Callable[[], object], seconds: float) -> float:
    """Return how long something takes; each time counts the same, however long it was."""
    act()
    times = []
    end = time.perf_counter() + seconds
    while True:
        began = time.perf_counter()
        act()
        now = time.perf_counter()
        times.append(now - began)
        if now >= end:
            return statistics.median(times)


def _rate(begin: Callable[[], Any], finish: Callable[[Any], object], seconds: float) -> float:
    """Return how often in a second something is done, when much of it is on its way."""
    waiting: collections.deque[Any] = collections.deque(begin() for _ in range(WINDOW))
    done = 0
    began = time.perf_counter()
    while True:
        finish(waiting.popleft())
        done += 1
        if done % WINDOW == 0 and time.perf_counter() - began >= seconds:
            break
        waiting.append(begin())
    took = time.perf_counter() - began
    while waiting:
        finish(waiting.popleft())
    return done / took
