"""Lets hostile clients talk to a live server, over its sockets.

They are admitted, and send mutated recordings of real conversations, whole
messages and raw bytes, by either road; they read or do not, and hang up in the
middle of things.

The invariant: all the while the server serves a well-behaved client right, and
in time; it logs nothing but what it refuses and whom it cuts off; and when the
hostile clients have gone, so are their leases and descriptors, and its memory
is what it was.

Run it for as long as you like::

    python tests/fuzz/fuzz_server.py --seconds 600 --road direct
    python tests/fuzz/fuzz_server.py --seconds 600 --road zmq
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import resource
import struct
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import psutil
from conftest import eventually, open_descriptors, settled, start_pyzmq_collector
from fuzz.conversations import Player, serializer_of
from fuzz.fuzz_wire import Cautious, Frames, Harmless, Invariant
from plain_client import PlainClient

from pyacq_rpc import Limits, RPCClient, RPCError, RPCServer, ServerDisconnected, reset
from pyacq_rpc.peers import reception
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport.keys import KEY_VARIABLE
from pyacq_rpc.wire.messages import Result

LIMITS = Limits(message=1 << 20, frames=50, nesting=50, requests=100, unsent=1 << 20, leases=200)

MAX_SECONDS = 10.0
"""Longer than a call of the well-behaved client may take, on a busy machine too."""

MAX_GROWTH = 64 << 20
"""Bytes by which the memory may grow while everything warms up, and not again after that."""

REFUSALS = (
    "refused a message",
    "dropped a message",
    "a stream is closed",
    "cut off a client",
    "requests of a client are refused",
    "a call that wanted no answer failed",
    "a request of a batch that wanted no answer failed",
)
"""What a server may say of a client."""


class Guarded(Cautious):
    """Lets nobody close the server, or leave anything in it."""

    granted = Cautious.granted - {"close", "set_item"}


class Watch(logging.Handler):
    """Keeps what was logged and should not have been."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info or not any(refusal in text for refusal in REFUSALS):
            self.found.append(text + str(record.exc_info or ""))


class Arena:
    """A server with a well-behaved client, and whoever else comes."""

    def __init__(self, seed: int, road: str) -> None:
        self.watch = Watch()
        log = logging.getLogger("pyacq_rpc")
        log.addHandler(self.watch)
        log.propagate = False
        self._grace, reception.GRANT_GRACE = reception.GRANT_GRACE, 0.2
        self.road = road
        self.server = RPCServer(name="arena", policy=Guarded(), limits=LIMITS)
        self.server["thing"] = Harmless()
        # Where else it might connect to, since garbage says so, is not the subject.
        runtime = current()
        self._client_at = runtime.client_at
        runtime.client_at = self._only_here  # type: ignore[method-assign]
        self.thread = threading.Thread(target=self.server.run_forever)
        self.thread.start()
        self.client = RPCClient(self.server.address)
        self.thing = self.client["thing"]
        self.player = Player(seed, self.server.address, self.server.server_id)
        self.outcomes: dict[str, int] = {}
        start_pyzmq_collector()
        settled(self.client)  # before it has memory to share
        self.serve()
        eventually(lambda: len(self.server.table) == 1)  # that thing, and nothing else
        self.baseline = self.measure()

    def _only_here(self, address: str) -> RPCClient:
        if address != self.server.address or threading.current_thread() is self.thread:
            raise ServerDisconnected(f"nobody connects to {address} from here")
        return self._client_at(address)

    def measure(self) -> tuple[int, int]:
        """How many descriptors are open, and references held."""
        return len(open_descriptors()), len(self.server.table)

    def serve(self) -> None:
        """Have the server do some work, right and in time.

        Raises
        ------
        Invariant
        """
        start = time.monotonic()
        try:
            assert self.thing.add(1, x=(2,)) == ((1,), {"x": (2,)})
            array = np.arange(20_000)
            (back,), _ = self.thing.add(array)
            assert np.array_equal(array, back)
            held = self.client.transfer([1, 2, 3])
            assert held._get_value() == [1, 2, 3]
            assert self.thing.add(0, _sync="async").result(MAX_SECONDS) == ((0,), {})
        except Exception as error:
            raise Invariant("a well-behaved client was not served") from error
        took = time.monotonic() - start
        if took > MAX_SECONDS:
            raise Invariant(f"a well-behaved client waited {took:.1f} s")
        if self.watch.found:
            raise Invariant(f"logged: {self.watch.found}")

    def attack(self, messages: list[Frames]) -> None:
        """Let a hostile client say all that, and hang up."""
        r = self.player.random
        client = PlainClient(
            self.server.address,
            r.choice(["zmq", "stamped"]) if self.road == "zmq" else self.road,
            peer=r.choice(["hostile", "another"]),
            serializer=serializer_of(messages),
            hello=self.road == "direct" or r.random() < 0.95,
        )
        reads = r.choice([0.0, 0.5, 1.0])
        try:
            for frames in messages:
                self._say(client, frames)
                if r.random() < reads:
                    self._note(client)
            if r.random() < 0.3:
                self.serve()
        finally:
            client.close()

    def _say(self, client: PlainClient, frames: Frames) -> None:
        r = self.player.random
        if client.stream is None or r.random() < 0.1:
            client.send_over_socket(frames, as_agreed=r.random() < 0.95)
        elif r.random() < 0.9:
            client.send_frames([bytes(frame) for frame in frames])
        else:
            client.send_raw(self._raw(frames))
        if client.stream is not None:
            client.stream.flush()

    def _raw(self, frames: Frames) -> bytes:
        """What would be written for a message, with something wrong about it."""
        r = self.player.random
        way = r.randrange(5)
        size = r.choice(
            [0, 1, len(frames[0]), 2**16, 2**20, 2**31 - 1, 2**31, 2**31 + 3, 2**32 - 1]
        )
        if way == 0:
            return struct.pack("<I", size) + frames[0]
        if way == 1:
            lengths = [r.choice([0, 5, 2**20, 2**48, 2**63 + 5, 2**64 - 1]) for _ in range(3)]
            return struct.pack("<I3Q", 2**31 + 3, *lengths) + frames[0]
        if way == 2:
            return struct.pack("<II", 2**31, r.randrange(2**32))  # a segment that is none
        written = struct.pack("<I", len(frames[0])) + frames[0]
        return (
            written[: r.randrange(len(written) + 1)] if way == 3 else r.randbytes(r.randrange(60))
        )

    def _note(self, client: PlainClient) -> None:
        """Read what is there, and remember references for later."""
        try:
            message = client.receive(0.0 if self.player.random.random() < 0.5 else 0.02)
        except RPCError:  # it was asked for something that cannot be read here
            return
        kind = type(message).__name__
        code = getattr(message, "code", "")
        self.outcomes[f"{kind} {code}"] = self.outcomes.get(f"{kind} {code}", 0) + 1
        ref = getattr(message.value, "ref", None) if isinstance(message, Result) else None
        if isinstance(ref, str):
            self.player.refs = [*self.player.refs[-20:], ref]

    def check(self) -> None:
        """All hostile clients have gone: make sure that nothing of theirs is left.

        Raises
        ------
        Invariant
        """
        self.serve()
        listener = self.server.listener

        def is_clean() -> bool:
            descriptors, references = self.measure()
            return (
                descriptors <= self.baseline[0]
                and references <= self.baseline[1]
                and len(listener.connections) == 1
                and not listener.connections._strangers
                and not listener.inbox.waiting
                and not listener.inbox.refused
                and not self.server.table._grants
                and len(self.server.table._peers) <= 1
            )

        if not eventually(lambda: gc.collect() >= 0 and is_clean()):
            raise Invariant(
                f"left: {self.measure()} of (descriptors, references) instead of {self.baseline};"
                f" {len(listener.connections)} clients, {len(listener.connections._strangers)}"
                f" strangers, {listener.inbox.waiting} {listener.inbox.refused} in the inbox,"
                f" {self.server.table._grants} grants, {list(self.server.table._peers)}"
            )
        if not self.thread.is_alive():
            raise Invariant("the server has ended")

    def close(self) -> None:
        """End the server."""
        self.server.close()
        self.thread.join(10)
        reception.GRANT_GRACE = self._grace
        log = logging.getLogger("pyacq_rpc")
        log.removeHandler(self.watch)
        log.propagate = True
        reset()


def memory() -> int:
    return int(psutil.Process().memory_info().rss)


def run(seconds: float, seed: int, road: str) -> dict[str, int]:
    """Attack a server for so long; return what the hostile clients were told, by kind.

    Raises
    ------
    Invariant
    """
    arena = Arena(seed, road)
    told: list[str] = []
    try:
        begin = time.monotonic()
        before = after = 0
        rounds = 0
        while time.monotonic() - begin < seconds:
            messages = arena.player.conversation()
            told = [repr(frames) for frames in messages]
            arena.attack(messages)
            rounds += 1
            if rounds % 20 == 0:
                arena.check()
                after = memory()
                if rounds <= 200 or not before:
                    before = after  # until everything has been used once
                if after - before > MAX_GROWTH:
                    raise Invariant(f"took {(after - before) >> 20} MB more")
        arena.check()
        arena.outcomes["conversations"] = rounds
        arena.outcomes["MB more"] = (after - before) >> 20
        return arena.outcomes
    except Invariant as error:
        raise Invariant(f"{error}; seed {seed}, the last conversation: {told}") from error
    finally:
        arena.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--road", choices=["direct", "zmq"], default="direct")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
    with tempfile.TemporaryDirectory() as keys:
        os.environ.setdefault(KEY_VARIABLE, os.path.join(keys, "key"))
        print("seed", options.seed)
        outcomes: dict[str, Any] = run(options.seconds, options.seed, options.road)
    for outcome, count in sorted(outcomes.items(), key=lambda item: -item[1]):
        print(f"{count:10} {outcome}")


if __name__ == "__main__":
    main()
