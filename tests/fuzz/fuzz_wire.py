"""Feeds garbage to the two lowest floors.

The invariant: whatever bytes come, reading them gives a message or an
`RPCError`, and carrying out what could be read gives a result, a `UserError`
or an `RPCError`; in bounded time and memory. Nothing else, ever.

Run it for as long as you like::

    python tests/fuzz/fuzz_wire.py --seconds 600

What breaks the invariant is printed as a line to paste into a test.
"""

from __future__ import annotations

import argparse
import random
import resource
import struct
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import msgpack
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from strategies import values

from pyacq_rpc.errors import AccessDenied, RPCError
from pyacq_rpc.session.dispatch import Dispatcher, UserError
from pyacq_rpc.session.leases import ObjectTable
from pyacq_rpc.session.remote_errors import rebuild
from pyacq_rpc.session.stats import ServerStats
from pyacq_rpc.wire.codecs import codec_named, codec_of
from pyacq_rpc.wire.messages import Failure, Reference, Request, Result, Target
from pyacq_rpc.wire.values import TAGS

MAX_SECONDS = 2.0
"""Longer than any of these small messages may take, on a busy machine too."""

MAX_BYTES = 1 << 30
"""More than the whole process may ever take."""

Frames = list[bytes]


class Invariant(AssertionError):
    """Something else than a message or an RPCError came of these frames."""


class Harmless:
    """A published object that garbage may do anything to."""

    def __init__(self) -> None:
        self.numbers = [1, 2, 3]

    def add(self, *args: Any, **kwargs: Any) -> Any:
        return args, kwargs

    def __add__(self, other: Any) -> Any:
        return other


class Cautious:
    """Grants everything but what could end or change this process."""

    tracebacks = True
    granted = frozenset(
        {
            *("get_item", "set_item", "transfer", "value", "delete", "ping", "time", "close"),
            *("batch", "status", "stats", "names"),
        }
    )
    reading = frozenset({"__iter__", "__reversed__", "__next__", "__len__", "__getitem__"})

    def check(self, access: str, obj: object, name: str | None = None, *reached: object) -> None:
        if access in self.granted or (isinstance(obj, Harmless) and not str(name).startswith("__")):
            return
        if access == "special" and (
            isinstance(obj, Harmless)
            or (name in self.reading and type(obj).__module__ == "builtins")
        ):
            return
        if getattr(obj, "__func__", None) is Harmless.add:
            return
        raise AccessDenied(f"{access} {name!r}")


def refer(obj: object) -> Reference:
    return Reference("tcp://h:1", "ref", "s.1", type(obj).__name__, [], "")


def feed(frames: Frames) -> str:
    """Take in one message as a server would; return what became of it.

    Raises
    ------
    Invariant
        If that was anything that should not be.
    """
    start = time.perf_counter()
    try:
        outcome = _feed(frames)
    except Exception as error:
        raise Invariant(f"{frames!r}") from error
    took = time.perf_counter() - start
    if took > MAX_SECONDS:
        raise Invariant(f"took {took:.1f} s: {frames!r}")
    return outcome


class Nobody:
    """Whose objects they are."""

    def close(self) -> None:
        """Go on."""

    def status(self) -> dict[str, object]:
        """Say nothing."""
        return {}

    def stats(self) -> ServerStats:
        """Say nothing."""
        return ServerStats(*[0] * len(ServerStats._fields))

    def interrupt(self) -> bool:
        """Go on."""
        return False


def _feed(frames: Frames) -> str:
    table = ObjectTable()
    dispatcher = Dispatcher(table, Cautious(), Nobody())
    dispatcher.names["name"] = Harmless()
    ref = table.open(Harmless(), "peer")

    def resolve(reference: Reference) -> object:
        try:
            return dispatcher.resolve(Target(reference.ref, reference.attributes), "peer")
        except UserError as wrapped:
            raise wrapped.error from None

    try:
        codec = codec_of(frames)
        message = codec.decode(frames, resolve)
    except RPCError as error:
        return type(error).__name__
    if isinstance(message, Failure):
        assert isinstance(rebuild(message), RPCError)
    if not isinstance(message, Request):
        return type(message).__name__
    for target in (message.options.get("obj"), Target(ref, [])):
        if isinstance(target, Target) and target.ref == "ref":
            message.options["obj"] = Target(ref, target.attributes)
    try:
        result = dispatcher.run(message.action, message.options, "peer")
    except UserError:
        return "UserError"
    except RPCError as error:
        return f"Request, {type(error).__name__}"
    codec.encode(Result(message.id, result), refer)
    return "Request"


# -- what is fed ---------------------------------------------------------------


def corpus() -> list[Frames]:
    """Well-formed messages to start from, of every kind and tag."""
    from qtpy import QtCore, QtGui

    from pyacq_rpc.wire import messages as m

    target = Target("ref", ["add"])
    operator = Target("@name", ["__add__"])
    found = [
        m.Hello(1, "peer", {}),
        Request(1, "call_obj", "auto", {"obj": target, "args": [1, (2,)], "kwargs": {"x": {3}}}),
        Request(1, "call_obj", "ack", {"obj": operator, "args": [1], "kwargs": {}}),
        Request(1, "set_item", "auto", {"name": "n", "value": {1: "a", (2, 3): 2**70}}),
        Request(1, "get_obj", "value", {"obj": Target("@name", ["numbers"])}),
        Request(1, "delete", "auto", {"obj_id": "s.1", "ref_id": "r"}),
        Request(1, "transfer", "auto", {"obj": object()}),
        Request(1, "import", "auto", {"module": "os"}),
        Request(1, "ping", "auto", {}, {"traceparent": "00-1-2-01", "é": "\ud800"}),
        Request(1, "stats", "auto", {}),
        Request(1, "notify", "ack", {"obj": target, "args": [1]}),
        Request(1, "iterate", "auto", {"obj": target, "backwards": False, "room": 100}),
        Request(1, "fetch", "auto", {"obj": target, "at": 3, "room": 100}),
        Request(1, "batch", "value", {"requests": [[b"\x95\x02"], [b"x", b"y"]], "unread": [7]}),
        Request(1, "interrupt", "auto", {"request": 3}),
        Result(1, [np.arange(3), np.zeros(2000), np.zeros(2, [("a", "<i2"), ("b", "S3", (2,))])]),
        Result(1, [np.float64(1), np.datetime64("2020", "D"), 1j, bytearray(b"x"), slice(1), ...]),
        Result(1, [QtCore.QRect(1, 2, 3, 4), QtCore.QPointF(1, 2), QtCore.QByteArray(b"x")]),
        Result(1, [QtGui.QColor("red"), QtGui.QFont("x", 9), QtCore.Qt.AlignmentFlag.AlignCenter]),
        Result(1, [QtCore.QDateTime.fromMSecsSinceEpoch(0).toUTC(), QtCore.QUrl("a:b")]),
        Failure(1, "exception", "KeyError", ["KeyError"], "x", ["x"], "tb"),
        Failure(1, "exception", "a.B", ["UnicodeDecodeError", "ValueError"], "x", None, ""),
        m.Release(["a"]),
        m.Cancel(7),
    ]
    codecs = [codec_named("msgpack"), codec_named("json")]
    return [[bytes(f) for f in c.encode(message, refer)] for message in found for c in codecs]


INTERESTING = [0, 1, -1, 127, 128, 255, 256, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**64 - 1]

QT_NAMES = [
    f"qt.{name}"
    for name in [
        *("QPoint", "QPointF", "QSize", "QRect", "QRectF", "QLine", "QMargins", "QPolygon"),
        *("QByteArray", "QDate", "QTime", "QDateTime", "QUrl", "QColor", "QKeySequence"),
        *("QFont", "enum", "QWidget"),
    ]
]


class Mutator:
    """Makes other messages of well-formed ones.

    Parameters
    ----------
    seed : int
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.corpus = corpus()

    def message(self) -> Frames:
        return self.mutated(self.random.choice(self.corpus))

    def mutated(self, frames: Frames) -> Frames:
        """Return another message, made of this one or of none."""
        frames = list(frames)
        way = self.random.randrange(10)
        if way == 0:
            return [self._structured()]
        if way == 1:
            return [b"[" + self.random.randbytes(self.random.randrange(60))]
        if way == 2:
            return [bytes([0x90 | self.random.randrange(16)]) + self.random.randbytes(60)]
        for _ in range(self.random.choice([1, 1, 1, 2, 3, 8])):
            place = self.random.randrange(len(frames))
            frames[place] = self._mutate(frames[place])
        if way == 3:  # one frame cut in two
            cut = self.random.randrange(len(frames[0]) + 1)
            frames[:1] = [frames[0][:cut], frames[0][cut:]]
        if way == 4:
            frames.insert(self.random.randrange(len(frames) + 1), b"stray")
        return frames

    def _mutate(self, data: bytes) -> bytes:
        r, data_ = self.random, bytearray(data)
        at = r.randrange(len(data_) + 1)
        way = r.randrange(8)
        if way == 0:
            return data[:at]
        if way == 1 and at < len(data_):
            data_[at] ^= 1 << r.randrange(8)
        elif way == 2 and at < len(data_):
            data_[at] = r.randrange(256)
        elif way == 3:
            data_[at:at] = r.randbytes(r.randrange(1, 6))
        elif way == 4:
            del data_[at : at + r.randrange(1, 6)]
        elif way == 5:  # a piece of another message
            other = r.choice(r.choice(self.corpus))
            start = r.randrange(len(other) + 1)
            data_[at:at] = other[start : start + r.randrange(1, 40)]
        elif way == 6:
            number = r.choice(INTERESTING)
            packed = b"\xcf" + struct.pack(">Q", number % 2**64)
            data_[at : at + 1] = r.choice([packed, str(number).encode(), b"\xdd\0\0\xff\xff"])
        elif way == 7:  # another tag
            tag = r.randrange(len(TAGS) + 1)
            if data_[:1] == b"[":
                data_[at:at] = b'{"$%s":[' % r.choice(TAGS).encode()
            else:
                data_[at:at] = bytes([0x90 | r.randrange(1, 8), 0xC7, 0, tag])
        return bytes(data_)

    def _structured(self) -> bytes:
        """Return a well-formed head that holds tagged values of any shape."""
        return msgpack.packb([3, 1, self._value(4)], unicode_errors="surrogatepass")

    def _value(self, depth: int) -> Any:
        r = self.random
        way = r.randrange(12)
        if way < 5 and depth:
            items = [self._value(depth - 1) for _ in range(r.randrange(5))]
            return [msgpack.ExtType(r.randrange(len(TAGS)), b""), *items]
        if way == 5 and depth:
            return [self._value(depth - 1) for _ in range(r.randrange(10))]
        if way == 6 and depth:
            return {r.choice(["a", 1, None, b"x"]): self._value(depth - 1)}
        if way == 7 and r.random() < 0.5:
            texts = ["Europe/Berlin", "../x", "Rgb", "QtCore", "Qt.Key", "Ctrl+S", "http://["]
            parts = [r.choice([*INTERESTING, *texts, 0.5, None, True]) for _ in range(4)]
            payload = r.choice([parts, parts[:2], parts[0], [parts[:2], parts[2:]]])
            return [msgpack.ExtType(TAGS.index("type"), b""), r.choice(QT_NAMES), payload]
        if way == 7:
            payload = [self._dtype(3), self._shape(), r.choice("CF"), bytes(r.randrange(17))]
            name = r.choice(["numpy.ndarray", "numpy.generic"])
            return [msgpack.ExtType(TAGS.index("type"), b""), name, payload[: r.choice([2, 4, 4])]]
        texts = ["a", "\ud800", "../../etc/passwd", "Europe/Berlin", "_make", "class", "<f8"]
        return r.choice([*texts, b"", b"\xff" * 9, None, True, 1.5, float("nan"), *INTERESTING])

    def _shape(self) -> Any:
        r = self.random
        length = r.choice([0, 1, 1, 2, 3, 33, 65])
        return [abs(r.choice(INTERESTING)) % 2**63 for _ in range(length)]

    def _dtype(self, depth: int) -> Any:
        r = self.random
        way = r.randrange(4) if depth else 0
        if way == 1:
            return ["array", self._dtype(depth - 1), self._shape()]
        if way == 2:
            fields = [self._field(depth - 1) for _ in range(r.randrange(4))]
            return ["struct", fields, r.choice(INTERESTING), r.random() < 0.5]
        kind = r.choice(["b", "i", "f", "c", "S", "U", "V", "M8[ns]", "m8[7D]", "O"])
        return r.choice("<>|=") + kind + r.choice(["", "0", "1", "4", "8", "16", "999999999"])

    def _field(self, depth: int) -> Any:
        r = self.random
        title = r.choice([None, "t", "a"])
        return [r.choice("abc\ud800"), self._dtype(depth), r.choice(INTERESTING), title]


def fuzz_values(seconds: float) -> None:
    """Mutate messages of arbitrary values, as Hypothesis makes them."""
    mutator = Mutator(1)
    broken: list[Invariant] = []

    @settings(
        max_examples=50,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(value=values)
    def run(value: Any) -> None:
        for codec in (codec_named("msgpack"), codec_named("json")):
            frames = [bytes(f) for f in codec.encode(Result(1, value), refer)]
            mutator.corpus[:] = [*mutator.corpus[-200:], frames]
            for _ in range(20):
                try:
                    feed(mutator.message())
                except Invariant as error:  # not through Hypothesis: it would show the value
                    broken.append(error)

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        run()
        if broken:
            raise broken[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    # Whatever takes more fails with a MemoryError, which is caught as one.
    resource.setrlimit(resource.RLIMIT_AS, (4 * MAX_BYTES, 4 * MAX_BYTES))
    print("seed", options.seed)
    outcomes: dict[str, int] = {}
    mutator = Mutator(options.seed)
    deadline = time.monotonic() + options.seconds / 2
    while time.monotonic() < deadline:
        outcome = feed(mutator.message())
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    for outcome, count in sorted(outcomes.items(), key=lambda item: -item[1]):
        print(f"{count:10} {outcome}")
    fuzz_values(options.seconds / 2)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {peak >> 20} MB")
    assert peak < MAX_BYTES, "took too much memory"


if __name__ == "__main__":
    main()
