from __future__ import annotations

import enum
import sys

import pytest
from qtpy import QtCore, QtGui, QtWidgets

from pyacq_rpc import ProtocolError, SerializationError
from pyacq_rpc.qt import enums
from pyacq_rpc.wire.registry import registry
from spawner import ProcessSpawner

from .test_values import OTHERS, check, through

Qt = QtCore.Qt
Align = Qt.AlignmentFlag

ONES = [
    Align.AlignLeft,
    Align.AlignCenter,
    Qt.Key.Key_A,
    Qt.Key.Key_unknown,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.KeyboardModifierMask,
    Qt.WindowType.WindowFullscreenButtonHint,
    Qt.DockWidgetArea.LeftDockWidgetArea,
    QtCore.QDir.Filter.NoFilter,
    QtCore.QEvent.Type.Paint,
    QtGui.QImage.Format.Format_RGBA8888,
    QtWidgets.QFrame.Shape.Box,
    QtWidgets.QMessageBox.StandardButton.Ok,
    QtWidgets.QAction.MenuRole.QuitRole,
    QtWidgets.QStyle.PixelMetric.PM_CustomBase,
]

COMBINED = [
    Align.AlignLeft | Align.AlignTop,
    Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier,
    Qt.WindowType.Dialog | Qt.WindowType.WindowFullscreenButtonHint,
    QtCore.QDir.Filter.Files | QtCore.QDir.Filter.Hidden,
    QtWidgets.QMessageBox.StandardButton.Ok | QtWidgets.QMessageBox.StandardButton.Cancel,
]


def number(value):
    return value.value if isinstance(value, enum.Enum) else int(value)


@pytest.mark.parametrize("value", ONES + COMBINED, ids=range(len(ONES + COMBINED)))
def test_arrive_as_themselves(value):
    check(value)
    assert through(value) == value
    assert type(through(value)) is not int


def test_flags_that_are_a_single_one():
    """In PyQt5 they are of another class than the enum."""
    one = Align.AlignLeft | Align.AlignLeft
    check(one)
    assert through(one) == one


def test_no_flags():
    none = Align.AlignLeft & Align.AlignTop
    check(none)
    assert number(through(none)) == 0


def test_what_a_widget_returns(app):
    label = QtWidgets.QLabel("x")
    for value in (label.alignment(), label.windowFlags(), label.frameShape(), label.focusPolicy()):
        check(value)
        assert through(value) == value


def all_enums():
    """Every enum of the three modules."""
    found = set()

    def walk(scope, depth):
        for name in dir(scope):
            try:
                value = getattr(scope, name)
            except AttributeError:  # what only instances have
                continue
            if isinstance(value, type) and enums._is_enum(value):
                found.add(value)
            elif isinstance(value, type) and value.__module__.startswith("Py") and depth < 2:
                walk(value, depth + 1)

    for module in (QtCore, QtGui, QtWidgets):
        walk(module, 0)
    homes = {f"{enums._BINDING}.{name}" for name in enums._MODULES}
    return [cls for cls in found if cls.__module__ in homes]


def test_every_enum_can_be_found_by_its_name():
    everything = all_enums()
    assert len(everything) > 400
    for cls in everything:
        assert enums._enum_at(cls.__module__.partition(".")[2], cls.__qualname__) is cls
        assert registry.find(cls).name == "qt.enum"


@pytest.mark.skipif(enums._BINDING != "PyQt5", reason="the others have one class for both")
def test_flags_of_pyqt5_and_their_enums():
    paired = [cls for cls in all_enums() if type(cls) is not enum.EnumMeta and enums._flags_of(cls)]
    assert len(paired) > 90
    for cls in paired:
        assert enums._enum_of(enums._flags_of(cls)) is cls
    assert enums._flags_of(QtCore.QUrl.UserInputResolutionOption).__name__.endswith("Options")
    assert enums._enum_of(QtCore.QBitArray) is None


def test_others_stay_where_they_are():
    class Mine(enum.IntFlag):
        A = 1

    assert registry.find(Mine) is None
    assert registry.find(QtWidgets.QLabel) is None
    assert registry.find(QtCore.Qt) is None


@pytest.mark.parametrize("binding", OTHERS)
def test_between_two_bindings(binding):
    with ProcessSpawner(qt=True, env={"QT_API": binding}) as gui:
        first = gui._import("operator").itemgetter(0)
        for value in ONES + COMBINED:
            assert first([value]) == value
        label = gui._import("qtpy.QtWidgets").QLabel("x")
        label.setAlignment(Align.AlignRight | Align.AlignTop)
        assert label.alignment() == Align.AlignRight | Align.AlignTop
        label.setAlignment(Align.AlignCenter)
        assert label.alignment() == Align.AlignCenter
        label.setFrameShape(QtWidgets.QFrame.Shape.Box)
        assert label.frameShape() == QtWidgets.QFrame.Shape.Box
        window = gui._import("qtpy.QtWidgets").QMainWindow()
        dock = gui._import("qtpy.QtWidgets").QDockWidget()
        window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        assert window.dockWidgetArea(dock) == Qt.DockWidgetArea.LeftDockWidgetArea


HOSTILE_NAMES = [
    ("os", "System"),
    ("QtNetwork", "QSsl.KeyType"),
    ("QtCore.Qt", "Key"),
    ("sys", "modules"),
    ("builtins", "eval"),
    ("__class__", "Key"),
    ("", "Qt.Key"),
    ("QtCore", ""),
    ("QtCore", "."),
    ("QtCore", "Qt"),
    ("QtCore", "Qt."),
    ("QtCore", ".Qt.Key"),
    ("QtCore", "Qt..Key"),
    ("QtCore", "Qt.Key\n"),
    ("QtCore", "Qt.Key.Key_A"),
    ("QtCore", "Qt.Key.Key"),
    ("QtCore", "Qt.Nothing"),
    ("QtCore", "Nothing.Key"),
    ("QtCore", "QCoreApplication"),
    ("QtCore", "QCoreApplication.quit"),
    ("QtCore", "QObject.__class__"),
    ("QtCore", "__builtins__"),
    ("QtCore", "__loader__"),
    ("QtCore", "Qt.__init__.__globals__"),
    ("QtCore", "Qt.Key.__class__"),
    ("QtCore", "Qt.Key.mro"),
    ("QtCore", "QtCore.Qt.Key"),
    ("QtCore", "sys.modules"),
    ("QtCore", "os"),
    ("QtCore", "contextlib"),
    ("QtCore", "Slot"),
    ("QtCore", "Signal"),
    ("QtCore", "QTimer.singleShot"),
    ("QtGui", "QGuiApplication.exec"),
    ("QtWidgets", "QApplication.quit"),
    ("QtWidgets", "QFileDialog.Options.X"),
    ("QtCore", "A" * 100_000),
    ("QtCore", "A." * 50_000 + "A"),
    ("QtCore", "Qt.Key\0"),
    ("QtCore", "Qt.Ķey"),
]


@pytest.mark.parametrize(("module", "place"), HOSTILE_NAMES, ids=lambda text: repr(text)[:40])
def test_hostile_names(module, place):
    registry.decode("qt.enum", ["QtCore", "Qt.Key", 0x41, False])
    before = set(sys.modules)
    with pytest.raises((ProtocolError, SerializationError), match=r"malformed|has no enum"):
        registry.decode("qt.enum", [module, place, 0, False])
    assert set(sys.modules) == before


def test_a_place_that_is_written_well_and_leads_elsewhere(monkeypatch):
    """Not out of Qt, whatever somebody has put there."""

    class Elsewhere(enum.Enum):
        X = 0

    monkeypatch.setattr(QtCore, "Elsewhere", Elsewhere, raising=False)
    monkeypatch.setattr(QtCore, "System", sys, raising=False)
    for place in ("Elsewhere", "System", "System.Path"):
        with pytest.raises(SerializationError, match="has no enum"):
            registry.decode("qt.enum", ["QtCore", place, 0, False])


@pytest.mark.parametrize(
    "payload",
    [
        ["QtCore", "Qt.Key", 2**31, False],
        ["QtCore", "Qt.Key", -(2**31) - 1, False],
        ["QtCore", "Qt.Key", 1.0, False],
        ["QtCore", "Qt.Key", True, False],
        ["QtCore", "Qt.Key", 1, 1],
        ["QtCore", "Qt.Key", 1],
        [["QtCore"], "Qt.Key", 1, False],
        ["QtCore", b"Qt.Key", 1, False],
        {"module": "QtCore"},
        None,
    ],
    ids=repr,
)
def test_hostile_payloads(payload):
    with pytest.raises(ProtocolError, match="malformed Qt enum"):
        registry.decode("qt.enum", payload)


@pytest.mark.skipif(enums._BINDING != "PyQt6", reason="the others take any number")
def test_a_number_that_is_none_of_them():
    with pytest.raises(SerializationError, match=r"has no Qt\.Orientation with the value 999"):
        registry.decode("qt.enum", ["QtCore", "Qt.Orientation", 999, False])


@pytest.mark.skipif(enums._BINDING == "PyQt5", reason="its flags are not kept")
def test_peers_cannot_fill_the_memory_with_combinations(monkeypatch):
    monkeypatch.setattr(enums, "_combinations", {})
    monkeypatch.setattr(enums, "MAX_COMBINATIONS", 5)
    numbers = [0x40 + n for n in (2, 3, 5, 6, 7)]

    def arrive(number):
        return registry.decode("qt.enum", ["QtCore", "QDir.Filter", number, True])

    assert [number for number in numbers if arrive(number).value != number] == []
    with pytest.raises(SerializationError, match="more different"):
        arrive(0x49)
    assert arrive(numbers[0]).value == numbers[0]
    assert arrive(1) is QtCore.QDir.Filter.Dirs
