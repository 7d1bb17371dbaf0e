"""What clients have really said to servers, and what garbage can be made of it.

A recording is what one client has sent in one conversation: a file in
``corpus/`` with a message on each line, its frames in hexadecimal. What differs
from time to time stands there as placeholders: the server's address and
incarnation. References are put in when a recording is played, since the server
makes new ones each time.

Record them anew with ``python tests/fuzz/conversations.py``.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgpack
from fuzz.fuzz_wire import INTERESTING, Frames, Mutator

from pyacq_rpc.wire.messages import ACTIONS
from pyacq_rpc.wire.values import TAGS

CORPUS = Path(__file__).parent / "corpus"
ADDRESS, SERVER = "tcp://127.0.0.1:65535", "the-incarna-"
KINDS = 12

_REFERENCE = re.compile("[A-Za-z0-9_-]{12}")
_PROXY = TAGS.index("proxy")


def recordings() -> dict[str, list[Frames]]:
    """The messages of each recording, by its name."""
    found = {}
    for path in sorted(CORPUS.glob("*.txt")):
        lines = path.read_text().splitlines()
        found[path.stem] = [[bytes.fromhex(frame) for frame in line.split(",")] for line in lines]
    return found


class Player:
    """Makes of recordings what a hostile client sends.

    Parameters
    ----------
    seed : int
    address, server : str
        Of the server, and its incarnation.

    Attributes
    ----------
    refs : list of str
        References that the server has given; those of the recordings become these.
    """

    def __init__(self, seed: int, address: str, server: str) -> None:
        self.random = random.Random(seed)
        self.bytes = Mutator(seed)
        self.refs: list[str] = []
        self._known = {ADDRESS: address, SERVER: server}
        self._recordings = list(recordings().values())
        self._all = [message for recording in self._recordings for message in recording]

    def seed(self, seed: int) -> None:
        """Begin anew with other random numbers."""
        self.random.seed(seed)
        self.bytes.random.seed(seed)

    def conversation(self) -> list[Frames]:
        """Return the messages of one conversation, all in the same serializer at first.

        Who plays it has said hello; mostly it is not said twice.
        """
        r = self.random
        played = list(r.choice(self._recordings))
        if r.random() < 0.9:
            played = [frames for frames in played if kind_of(frames) not in (0, 11)]
        for _ in range(r.choice([0, 0, 1, 2, 5])):  # in another order, twice, not at all
            at = r.randrange(len(played))
            way = r.randrange(4)
            if way == 0:
                played.insert(r.randrange(len(played)), played.pop(at))
            elif way == 1:
                played[at:at] = [played[at]] * r.choice([1, 2, 50])
            elif way == 2 and len(played) > 2:
                del played[at]
            else:
                played.insert(at, r.choice(self._all))
        chance = r.choice([0.0, 0.05, 0.3, 1.0])
        return [self.message(frames, r.random() < chance) for frames in played]

    def message(self, frames: Frames, mutate: bool) -> Frames:
        """Return one message, perhaps mutated, for this server."""
        r = self.random
        if mutate and r.random() < 0.3:
            return self.bytes.mutated(frames)
        head, *rest = frames
        fields = _read(head)
        if fields is None:
            return self.bytes.mutated(frames) if mutate else frames
        fields = self._placed(fields)
        if mutate:
            fields = self._changed(fields)
            if rest and r.random() < 0.2:
                rest.pop()
        try:
            return [_write(fields, head), *rest]
        except (ValueError, TypeError, OverflowError):
            return self.bytes.mutated(frames)

    def _placed(self, value: Any) -> Any:
        """Put this server, and references of it, into what was recorded."""
        if isinstance(value, list):
            if value and value[0] == msgpack.ExtType(_PROXY, b"") and len(value) == 7:
                return [*map(self._placed, value[:2]), self._ref(), *map(self._placed, value[3:])]
            return [self._placed(item) for item in value]
        if isinstance(value, dict):
            return {key: self._placed(item) for key, item in value.items()}
        if isinstance(value, bytes):  # perhaps a message of a batch
            fields = _read(value)
            return _write(self._placed(fields), value) if isinstance(fields, list) else value
        if isinstance(value, str):
            if _REFERENCE.fullmatch(value) and value != SERVER:
                return self._ref()
            for known, own in self._known.items():
                value = value.replace(known, own)
        return value

    def _ref(self) -> str:
        return self.random.choice(self.refs) if self.refs else "no-reference"

    def _changed(self, fields: Any) -> Any:
        """Change one thing, anywhere."""
        r = self.random
        way = r.randrange(5)
        if way == 0 and isinstance(fields, list) and fields:
            return [r.randrange(-1, KINDS + 1), *fields[1:]]
        if way == 1 and isinstance(fields, list) and len(fields) > 1:
            return [fields[0], r.choice([*INTERESTING, -5, "x", None, True]), *fields[2:]]
        return self._changed_within(fields)

    def _changed_within(self, value: Any) -> Any:
        r = self.random
        if isinstance(value, list) and value and r.random() < 0.9:
            at = r.randrange(len(value))
            if r.random() < 0.15:
                return [*value[:at], *value[at + 1 :]]
            return [*value[:at], self._changed_within(value[at]), *value[at + 1 :]]
        if isinstance(value, dict) and value and r.random() < 0.9:
            key = r.choice(list(value))
            if r.random() < 0.15:
                return {k: v for k, v in value.items() if k != key}
            return {**value, key: self._changed_within(value[key])}
        if isinstance(value, bytes) and r.random() < 0.9:
            fields = _read(value)
            if isinstance(fields, list):
                return _write(self._changed(fields), value)
        texts = [*ACTIONS, "off", "proxy", "ack", "@thing", "#1", ""]
        return r.choice([r.choice(texts), self._ref(), self.bytes._value(3), [], {}])


def _read(head: bytes) -> Any:
    """The fields of a message as its serializer has them, tags and all; None if it has none."""
    try:
        if head[:1] == b"[":
            return json.loads(head)
        return msgpack.unpackb(head, strict_map_key=False, unicode_errors="surrogatepass")
    except Exception:  # noqa: BLE001  # what was recorded may be garbage by then
        return None


def kind_of(frames: Frames) -> object:
    """The number of a message's kind, if it has one."""
    fields = _read(frames[0])
    return fields[0] if isinstance(fields, list) and fields else None


def serializer_of(messages: list[Frames]) -> str:
    """What most of the messages are written in."""
    return "json" if sum(m[0][:1] == b"[" for m in messages) * 2 > len(messages) else "msgpack"


def _write(fields: Any, head: bytes) -> bytes:
    if head[:1] == b"[":
        return json.dumps(fields).encode()
    written: bytes = msgpack.packb(fields, unicode_errors="surrogatepass")
    return written


# -- recording -------------------------------------------------------------------


def record() -> None:
    """Let clients talk to a server, and write down what they have sent."""
    from things import Thing

    from pyacq_rpc import RPCClient, RPCServer, reset
    from pyacq_rpc.peers import reception

    taken: dict[bytes, list[Frames]] = {}
    take = reception.Reception.take

    def taking(self: Any, items: Any) -> None:
        identity, frames = items[0]
        if frames is not None:
            taken.setdefault(identity, []).append([bytes(frame) for frame in frames])
        take(self, items)

    reception.Reception.take = taking  # type: ignore[method-assign]
    for old in CORPUS.glob("*.txt"):
        old.unlink()
    for name, talk in TALKS.items():
        for serializer in ("msgpack", "json"):
            taken.clear()
            server = RPCServer("tcp://127.0.0.1:65535")
            server.server_id = SERVER
            server["thing"] = Thing()
            thread = threading.Thread(target=server.run_forever)
            thread.start()
            client = RPCClient(server.address, serializer=serializer)
            client.ping()
            talk(client)
            client.ping()
            client.close()
            server.close()
            thread.join()
            messages = max(taken.values(), key=len)
            # Which road it takes is up to whoever plays it.
            lines = [",".join(frame.hex() for frame in message) for message in messages[:60]]
            (CORPUS / f"{name}-{serializer}.txt").write_text("\n".join(lines) + "\n")
            reset()


def _calls(client: Any) -> None:
    thing = client["thing"]
    thing.add(1, 2)
    thing.note("x", _sync="off")
    thing.echo({"a": [1, (2, 3)], 4: {5}, "b": b"x" * 20, "c": 1 + 2j, "d": slice(1, 2)})
    futures = [thing.add(i, 1, _sync="async") for i in range(3)]
    futures[1].cancel()
    [future.exception() if not future.cancelled() else None for future in futures]


def _proxies(client: Any) -> None:
    thing = client["thing"]
    held = [client.transfer([1, 2, 3]) for _ in range(3)]
    thing.note(held[0])
    list(held[1])
    held[1]._get_value()
    held[2]._delete()
    client["other"] = held[0]
    del held
    with contextlib.suppress(AttributeError):
        client["other"].append.nothing()


def _handed_on(client: Any) -> None:
    thing = client["thing"]
    lease, holder = thing._lease, client.channel.holder
    token = holder.grant(lease)
    holder.claim(lease.ref, token)
    holder.withdraw(holder.grant(lease))
    other = holder.grant(lease)
    thing.add(1, 2)
    holder.withdraw(other)


def _arrays(client: Any) -> None:
    import numpy as np

    thing = client["thing"]
    thing.echo(np.arange(3))
    thing.echo([np.zeros(1100, "u4"), np.float64(1.5)])


def _errors(client: Any) -> None:
    for call in (
        lambda: client["nothing"],
        lambda: client["thing"].add(1, "x"),
        lambda: client["thing"].nothing(),
        lambda: client.send("transfer", {"obj": object}, return_type="value"),
        lambda: client._import("no.such.module"),
    ):
        with contextlib.suppress(Exception):  # what they are is not the subject
            call()


def _iterations(client: Any) -> None:
    numbers = client.transfer(list(range(300)))
    list(numbers)
    list(reversed(numbers))
    with iter(client.transfer(range(1000))) as items:
        next(items)
    with contextlib.suppress(TypeError):
        iter(client["thing"])


def _batches(client: Any) -> None:
    thing = client["thing"]
    with contextlib.suppress(AttributeError), client.batch():
        made = thing.make()
        total = made.add(1, 2)
        thing.echo([made, b"x" * 2000])
        thing.note(total, _sync="off")
        made.value = 5
        made.value.nothing()
    total.exception()


TALKS = {
    "arrays": _arrays,
    "batches": _batches,
    "calls": _calls,
    "errors": _errors,
    "handed-on": _handed_on,
    "iterations": _iterations,
    "proxies": _proxies,
}

if __name__ == "__main__":
    record()
