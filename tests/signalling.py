"""What a signal meets in a node: a request that is being taken, and a nap."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from pyacq_rpc import RPCServer, register_type, unregister_type
from pyacq_rpc.peers import running


class Signal:
    """Arrives as a signal, if both sides have registered it: while its request is being taken."""

    def __init__(self, number: int) -> None:
        self.number = int(number)


def _arrive(number: int) -> Signal:
    os.kill(os.getpid(), number)
    return Signal(number)


def register() -> None:
    """Let signals travel by value."""
    register_type(Signal, "signalling.Signal", lambda signal: signal.number, _arrive)


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """Let them do so for a while."""
    register()
    try:
        yield
    finally:
        unregister_type(Signal)


def miss_one() -> None:
    """Have the next interrupt of this process come in the moment where Python misses it."""
    send = running._raise_in

    def miss(ident: int) -> None:
        running._raise_in = send

    running._raise_in = miss


def delay_one() -> threading.Event:
    """Have the next interrupt of this process come when its request has just ended.

    Returns
    -------
    threading.Event
        Set when it is on its way, so that the request can end.
    """
    send, server = running._raise_in, RPCServer.get_server()
    assert server is not None
    is_meant = threading.Event()

    def send_late(ident: int) -> None:
        running._raise_in = send
        request = server.doing.request
        is_meant.set()
        while server.doing.request is request:
            time.sleep(0.001)
        send(ident)

    running._raise_in = send_late
    return is_meant


def sleep_and_clear_up(seconds: float, begun: str) -> str:
    """Make a file, sleep until it is interrupted, and again to clear up; tell what ended that."""
    try:
        open(begun, "x").close()
        time.sleep(seconds)
    except KeyboardInterrupt:
        try:
            time.sleep(0.5)
        except KeyboardInterrupt:
            return "interrupted again"
        return "cleared up"
    return "slept"


def nap(seconds: float, signal: Signal | None = None) -> None:
    """Sleep, in slices: Python sees no signal that comes as a long sleep begins."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.02)
