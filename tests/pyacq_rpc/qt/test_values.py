from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qtpy import QtCore, QtGui

from pyacq_rpc import ProtocolError, SerializationError, register_type
from pyacq_rpc.wire.codecs import codec_named
from pyacq_rpc.wire.messages import Result
from pyacq_rpc.wire.registry import TypeRegistry, registry
from spawner import ProcessSpawner

SETTINGS = settings(max_examples=60, suppress_health_check=list(HealthCheck))

SERIALIZERS = ["msgpack", "json"]


def refuse(obj):
    raise AssertionError(f"{obj!r} was to travel by value")


def written(value, serializer="msgpack"):
    return [bytes(frame) for frame in codec_named(serializer).encode(Result(1, value), refuse)]


def through(value, serializer="msgpack"):
    frames = written(value, serializer)
    return codec_named(serializer).decode(frames, lambda reference: reference).value


def check(value):
    """It arrives as itself, in both serializers."""
    for serializer in SERIALIZERS:
        arrived = through(value, serializer)
        assert type(arrived) is type(value)
        # Not with ==: a NaN does not equal itself, and Qt takes nearly equal for equal.
        assert written(arrived, "json") == written(value, "json")


ints = st.integers(-(2**31), 2**31 - 1)
floats = st.floats()

NUMBERS = [
    (QtCore.QPoint, ints, 2),
    (QtCore.QPointF, floats, 2),
    (QtCore.QSize, ints, 2),
    (QtCore.QSizeF, floats, 2),
    (QtCore.QRect, st.integers(-(2**29), 2**29), 4),
    (QtCore.QRectF, floats, 4),
    (QtCore.QLine, st.integers(-(2**29), 2**29), 4),
    (QtCore.QLineF, floats, 4),
    (QtCore.QMargins, ints, 4),
    (QtCore.QMarginsF, floats, 4),
]


def name(case):
    return case[0].__name__


@pytest.mark.parametrize("case", NUMBERS, ids=name)
@SETTINGS
@given(st.data())
def test_what_is_made_of_numbers(case, data):
    cls, numbers, count = case
    check(cls(*[data.draw(numbers) for _ in range(count)]))


@pytest.mark.parametrize("case", NUMBERS, ids=name)
def test_empty_ones(case):
    check(case[0]())
    assert through(case[0]()) == case[0]()


@SETTINGS
@given(st.lists(st.tuples(ints, ints)), st.lists(st.tuples(floats, floats)))
def test_polygons(ints, floats):
    check(QtGui.QPolygon([QtCore.QPoint(*pair) for pair in ints]))
    check(QtGui.QPolygonF([QtCore.QPointF(*pair) for pair in floats]))


@pytest.mark.parametrize("size", [0, 1, 3, 4097, 1_000_000])
def test_bytes(size):
    value = QtCore.QByteArray(bytes([1, 0, 255, 7]) * (size // 4) + b"\0" * (size % 4))
    check(value)
    assert through(value) == value


@SETTINGS
@given(st.none() | st.integers(-(10**6), 10**8), st.none() | st.integers(0, 86_399_999))
def test_dates_and_times(day, clock):
    date = QtCore.QDate() if day is None else QtCore.QDate.fromJulianDay(day)
    time = QtCore.QTime() if clock is None else QtCore.QTime.fromMSecsSinceStartOfDay(clock)
    for value in (date, time):
        check(value)
        assert through(value) == value


instants = st.integers(-(10**14), 10**14).map(QtCore.QDateTime.fromMSecsSinceEpoch)


@SETTINGS
@given(
    instants,
    st.sampled_from([None, "UTC", 3600, -12_345, "Europe/Berlin", "America/Argentina/Salta"]),
)
def test_moments_in_zones(at, zone):
    if zone == "UTC":
        at = at.toUTC()
    elif type(zone) is int:
        at = at.toOffsetFromUtc(zone)
    elif type(zone) is str:
        at = at.toTimeZone(QtCore.QTimeZone(zone.encode()))
    check(at)
    arrived = through(at)
    assert arrived == at
    assert arrived.timeSpec() == at.timeSpec()
    assert arrived.offsetFromUtc() == at.offsetFromUtc()
    assert arrived.timeZone() == at.timeZone()


@pytest.mark.parametrize("seconds", [1_603_585_800, 1_603_589_400])
def test_both_hours_of_a_night_in_autumn(seconds):
    berlin = QtCore.QTimeZone(b"Europe/Berlin")
    at = QtCore.QDateTime.fromMSecsSinceEpoch(seconds * 1000).toTimeZone(berlin)
    assert at.time() == QtCore.QTime(2, 30)
    assert through(at).toMSecsSinceEpoch() == seconds * 1000


def test_no_moment_at_all():
    assert not through(QtCore.QDateTime()).isValid()


URLS = [
    "",
    "http://user:word@host.example:8080/a%20b/ü?x=1&y=%26#top",
    "file:///tmp/ä b.txt",
    "http://[::1]/",
    "relative/path?",
    "mailto:a@b.c",
    "http://ü.example/%2F%25",
]


@pytest.mark.parametrize("text", URLS)
def test_urls(text):
    url = QtCore.QUrl(text)
    check(url)
    assert through(url) == url


KEYS = ["", "Ctrl+S", "Ctrl+K, Ctrl+C", "Meta+Alt+Shift+F12", "Ü", "Media Play", "Ctrl+,"]


@pytest.mark.parametrize("text", KEYS)
def test_key_sequences(text):
    keys = QtGui.QKeySequence(text)
    check(keys)
    assert through(keys) == keys


parts = st.integers(0, 65_535).map(lambda part: part / 65_535)
halves = st.floats(-60_000, 60_000, width=16).filter(lambda part: abs(part) > 0.01)
colors = (
    st.just(QtGui.QColor())
    | st.builds(QtGui.QColor.fromRgbF, parts, parts, parts, parts)
    | st.builds(QtGui.QColor.fromHsvF, parts, parts, parts, parts)
    | st.builds(QtGui.QColor.fromHslF, parts, parts, parts, parts)
    | st.builds(QtGui.QColor.fromCmykF, parts, parts, parts, parts, parts)
    | st.builds(QtGui.QColor.fromRgbF, st.floats(2, 60_000, width=16), halves, halves, parts)
    | st.builds(QtGui.QColor.fromHsv, st.just(-1), st.just(0), st.integers(0, 255))
)


@SETTINGS
@given(colors)
def test_colours(color):
    check(color)
    arrived = through(color)
    assert arrived == color
    assert (arrived.spec(), arrived.isValid()) == (color.spec(), color.isValid())


def test_a_colour_that_could_be_written_with_other_numbers():
    color = QtGui.QColor(1, 2, 3).convertTo(QtGui.QColor.Spec.ExtendedRgb)
    assert through(color) == color


def test_within_containers():
    value = {"at": [QtCore.QPoint(1, 2)], (1,): (QtGui.QColor("red"), None)}
    assert through(value) == value


GOLDEN = [
    (
        QtCore.QPoint(1, -2),
        "93030193c70012a971742e51506f696e749201fe",
        '[3,1,{"$type":["qt.QPoint",[1,-2]]}]',
    ),
    (
        QtGui.QColor.fromRgbF(1.0, 0.0, 0.0, 1.0),
        (
            "93030193c70012a971742e51436f6c6f7295a3526762cb3ff0000000000000cb0000000000000000"
            "cb0000000000000000cb3ff0000000000000"
        ),
        '[3,1,{"$type":["qt.QColor",["Rgb",1.0,0.0,0.0,1.0]]}]',
    ),
    (
        QtCore.QDateTime.fromMSecsSinceEpoch(0).toTimeZone(QtCore.QTimeZone(b"Europe/Berlin")),
        "93030193c70012ac71742e514461746554696d659200ad4575726f70652f4265726c696e",
        '[3,1,{"$type":["qt.QDateTime",[0,"Europe/Berlin"]]}]',
    ),
    (
        QtCore.Qt.AlignmentFlag.AlignCenter,
        ("93030193c70012a771742e656e756d94a65174436f7265b051742e416c69676e6d656e74466c6167cc84c2"),
        '[3,1,{"$type":["qt.enum",["QtCore","Qt.AlignmentFlag",132,false]]}]',
    ),
]


@pytest.mark.parametrize(("value", "packed", "text"), GOLDEN, ids=[g[2][15:25] for g in GOLDEN])
class TestTheBytes:
    def test_of_what_is_sent(self, value, packed, text):
        assert written(value) == [bytes.fromhex(packed)]
        assert written(value, "json") == [text.encode()]

    def test_of_what_arrives(self, value, packed, text):
        for serializer, head in zip(SERIALIZERS, (bytes.fromhex(packed), text.encode())):
            arrived = codec_named(serializer).decode([head], refuse).value
            assert type(arrived) is type(value)
            assert arrived == value


HOSTILE = [
    None,
    True,
    0,
    1.5,
    "x",
    "\ud800",
    b"x",
    b"",
    [],
    [1],
    [1, 2, 3],
    [1, 2, 3, 4, 5],
    [1] * 10_000,
    [True, False],
    [None, None],
    ["1", "2"],
    [[1, 2]],
    [[1, 2], 3],
    [2**31, 0],
    [-(2**63), 2**63],
    [2**70, 2**70],
    [2**70, None],
    [2**62, None],
    [0, 10**9],
    [0, "../../etc/passwd"],
    [0, "/etc/passwd"],
    [0, "EST5EDT,M3.2.0,M11.1.0"],
    [0, "Europe/Nowhere"],
    [0, "A" * 100_000],
    [math.nan, math.inf],
    [1e308] * 4,
    [math.nan] * 4,
    ["Rgb"],
    ["Rgb", 2.0, 0.0, 0.0, 1.0],
    ["Rgb", math.nan, 0.0, 0.0, 1.0],
    ["Rgb", "1", 0.0, 0.0, 1.0],
    ["Hsv", -0.5, 0.0, 0.0, 1.0],
    ["Cmyk", 1.0, 1.0, 1.0, 1.0],
    ["ExtendedRgb", math.inf, 0.0, 0.0, 1.0],
    ["ExtendedRgb", 1e300, 0.0, 0.0, 1.0],
    ["__class__", 0.0, 0.0, 0.0, 1.0],
    [["Rgb"], 0.0, 0.0, 0.0, 1.0],
    "http://[",
    "Ctrl+" * 10_000,
    {},
    {"family": "x"},
    {"pointSizeF": math.nan},
    {"pixelSize": 2**40},
    {"weight": 10**6},
    {"weight": -1},
    {"style": 99},
    {"styleStrategy": -1},
    {"families": "x"},
    {"families": [1]},
    {"families": ["x"] * 1000},
    {"underline": 1},
    {"__class__": "x"},
    {1: 2},
    ["QtCore", "Qt.Key", 65],
    ["QtCore", "Qt.Key", 2**31, False],
    ["QtCore", "Qt.Key", True, False],
    ["QtCore", "Qt.Key", "65", False],
]

NAMES = [
    f"qt.{name}"
    for name in [
        *(cls.__name__ for cls, _, _ in NUMBERS),
        *("QPolygon", "QPolygonF", "QByteArray", "QDate", "QTime", "QDateTime", "QUrl"),
        *("QColor", "QKeySequence", "QFont", "enum", "QImage", "QPixmap", "QWidget", ""),
    ]
]


def read(type_name, payload):
    """What becomes of such a message; nothing but an error of ours may come of it."""
    (plain,) = codec_named("json").encode(Result(1, payload), refuse)
    inner = plain.removeprefix(b"[3,1,").removesuffix(b"]").decode()
    head = f'[3,1,{{"$type":["{type_name}",{inner}]}}]'
    try:
        return codec_named("json").decode([head.encode()], refuse).value
    except (ProtocolError, SerializationError) as error:
        return error


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: repr(payload)[:40])
def test_hostile_payloads(payload):
    """They make a value that can be used, or an error that says what is wrong with them."""
    for type_name in NAMES:
        value = read(type_name, payload)
        if isinstance(value, Exception):
            assert re.search("malformed Q|known here|rebuilt here|not here|here has no", str(value))
        else:
            check(value)


@SETTINGS
@given(
    st.sampled_from(NAMES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(), inner, max_size=3),
    ),
)
def test_arbitrary_payloads(type_name, payload):
    read(type_name, payload)


class TestWhatPeopleHaveRegistered:
    def test_stays(self):
        """Whether Qt was met before or not."""
        for early in (True, False):
            types = TypeRegistry()
            binding = QtCore.QPoint.__module__.partition(".")[0]
            types.add_plugin("pyacq_rpc.qt.values", "qt", [binding])
            if not early:
                assert types.find(QtCore.QSize).name == "qt.QSize"
            types.register(QtCore.QPoint, "mine", str, lambda text: text)
            assert types.find(QtCore.QSize).name == "qt.QSize"
            assert types.find(QtCore.QPoint).name == "mine"

    def test_may_be_a_subclass(self):
        class Mark(QtCore.QPoint):
            pass

        assert registry.find(Mark) is None
        register_type(Mark, "mine.Mark", lambda mark: [mark.x(), mark.y()], lambda xy: Mark(*xy))
        try:
            check(Mark(1, 2))
        finally:
            registry.unregister(Mark)


OTHERS = [
    binding
    for binding, module in (("pyqt5", "PyQt5"), ("pyqt6", "PyQt6"), ("pyside6", "PySide6"))
    if not QtCore.QPoint.__module__.startswith(module)
]


@pytest.mark.parametrize("binding", OTHERS)
def test_between_two_bindings(binding):
    font = QtGui.QFont("Arial", 20)
    font.setBold(True)
    font.setItalic(True)
    font.setLetterSpacing(QtGui.QFont.SpacingType.AbsoluteSpacing, 2.5)
    berlin = QtCore.QTimeZone(b"Europe/Berlin")
    now = QtCore.QDateTime.currentDateTime()
    values = [
        *(cls() for cls, _, _ in NUMBERS),
        QtCore.QPoint(1, -2),
        QtCore.QRect(1, 2, 3, 4),
        QtCore.QRectF(1, 2, 3, 4.5),
        QtGui.QPolygonF([QtCore.QPointF(1, 2), QtCore.QPointF(3, 4)]),
        QtCore.QByteArray(bytes(10_000)),
        QtCore.QDate(2024, 2, 29),
        QtCore.QTime(1, 2, 3, 4),
        now,
        now.toUTC(),
        now.toOffsetFromUtc(3600),
        now.toTimeZone(berlin),
        now.toTimeZone(QtCore.QTimeZone(3600)),
        *map(QtCore.QUrl, URLS),
        *map(QtGui.QKeySequence, KEYS),
        QtGui.QColor(),
        QtGui.QColor(1, 2, 3, 4),
        QtGui.QColor.fromHsvF(0.2, 0.3, 0.4, 0.5),
        QtGui.QColor.fromCmykF(0.1, 0.2, 0.3, 0.4, 0.5),
        font,
    ]
    with ProcessSpawner(qt=True, env={"QT_API": binding}) as gui:
        assert gui._import("qtpy").API_NAME.lower() == binding
        first = gui._import("operator").itemgetter(0)
        for value in values:
            arrived = first([value])
            assert type(arrived) is type(value)
            if isinstance(value, (QtGui.QFont, QtCore.QDateTime)):  # whose zones have several names
                assert arrived == value
            else:
                assert written(arrived) == written(value)


def test_to_a_process_that_has_not_imported_qt(node):
    modules = node._import("sys").modules
    assert "qtpy" not in modules
    assert node._import("operator").itemgetter(0)([QtCore.QPoint(1, 2)]) == QtCore.QPoint(1, 2)
    assert "qtpy" in modules


def test_to_a_process_without_qt(node):
    node._import("sys").modules.__setitem__("qtpy", None)
    with pytest.raises(SerializationError, match=r"pip install pyacq-rpc\[qt\]"):
        node._import("operator").itemgetter(0)([QtCore.QPoint(1, 2)])
    assert node.client.ping() == "pong"


def test_a_program_without_qtpy_sends_its_objects_by_proxy():
    program = (
        f"import sys, {QtCore.QPoint.__module__} as core; sys.modules['qtpy'] = None\n"
        "from pyacq_rpc.wire.registry import registry\n"
        "print(registry.find(core.QPoint), registry.find(core.QObject))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=25
    )
    assert done.stdout == "None None\n"


def test_widgets_stay_where_they_are(qt_server, elsewhere):
    from qtpy import QtWidgets

    qt_server["label"] = QtWidgets.QLabel("x")
    qt_server["icon"] = QtGui.QIcon()
    qt_server["pixmap"] = QtGui.QPixmap(2, 2)

    def use(client):
        label = client["label"]
        kinds = [type(client[name]).__name__ for name in ("label", "icon", "pixmap")]
        label.resize(QtCore.QSize(30, 20))
        return kinds, label.size(), label.geometry().width(), label.font().family()

    kinds, size, width, family = elsewhere(use)
    assert kinds == ["ObjectProxy"] * 3
    assert (size, width) == (QtCore.QSize(30, 20), 30)
    assert family == qt_server["label"].font().family()
