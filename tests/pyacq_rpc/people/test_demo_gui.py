"""The window in a process of its own, steered from here."""

from __future__ import annotations

import math
import os
import re
import time

import pytest
from conftest import eventually

from pyacq_rpc.people.demo_gui import Gui, has_display
from spawner import ProcessSpawner

SIGNALS = [("CPU 0", "%"), ("memory", "B"), ("received", "B/s"), ("sent", "B/s")]


@pytest.fixture
def pressed():
    return []


@pytest.fixture
def closed():
    return []


@pytest.fixture
def node():
    with ProcessSpawner() as node:
        yield node


@pytest.fixture
def gui(pressed, closed):
    gui = Gui()
    try:
        gui.load()
        gui.open(SIGNALS, time.time(), 10.0, lambda: pressed.append(1), lambda: closed.append(1))
        yield gui
    finally:
        gui.close()


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [("DISPLAY", ":0", True), ("WAYLAND_DISPLAY", "wayland-0", True), ("DISPLAY", "", False)],
)
def test_a_display_is_told_by_the_environment(monkeypatch, variable, value, expected):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("sys.platform", "linux")
    assert has_display() is expected


def test_a_display_that_is_out_of_reach_is_done_without(monkeypatch):
    monkeypatch.delenv("QT_QPA_PLATFORM")
    monkeypatch.setenv("DISPLAY", ":nowhere")
    gui = Gui()
    try:
        assert not gui.seen
        # Without some packages of the system, the plugin is not even loaded.
        assert re.search(r':nowhere|plugin "xcb"', gui.why_unseen)
        assert "\n" not in gui.why_unseen
    finally:
        gui.close()


def test_a_press_calls_back(gui, pressed):
    gui.press()
    assert eventually(lambda: pressed == [1])
    gui.enable(False)
    gui.press()
    gui.enable(True)
    gui.press()
    assert eventually(lambda: pressed == [1, 1])


def test_a_closed_window_tells(gui, closed, tmp_path):
    gui.window.close()
    assert eventually(lambda: closed == [1])
    assert gui.save(tmp_path / "demo.png") == ""


def test_data_come_from_a_third_process(gui, node):
    """A proxy of the window's method is handed on, and nothing passes through here."""
    append = node._import("functools").partial(gui.window.append)
    for tenth in range(5):
        append([time.time() + tenth / 10, 1.0, 2e9, 3.0, 4.0])
    assert eventually(lambda: len(gui.window._track.samples()) == 5)


def test_a_picture_shows_the_curves(gui, tmp_path):
    pictures = gui.node._import("pictures")
    empty, full = str(tmp_path / "empty.png"), str(tmp_path / "full.png")
    begin = time.time()
    assert gui.save(tmp_path / "empty.png") == ""
    for tenth in range(60):
        load = 50 + 40 * math.sin(tenth / 10)
        gui.window.append([begin + tenth / 10, load, 2e9, 3e5, 1e5], _sync="off")
    assert gui.save(tmp_path / "full.png") == ""
    assert pictures.size(full) == (1000, 750)
    plot = 100, 80, 980, 310
    assert pictures.count(empty, "#1f77b4", *plot, _timeout=60) == 0
    assert pictures.count(full, "#1f77b4", *plot, _timeout=60) > 200


def test_a_picture_is_saved_or_there_is_a_reason(gui, tmp_path):
    assert gui.save(tmp_path / "demo.png") == ""
    assert os.listdir(tmp_path) == ["demo.png"]
    assert "cannot be written" in gui.save(tmp_path / "nowhere" / "demo.png")


def test_its_death_is_noticed_and_borne(gui, tmp_path):
    assert not gui.has_ended()
    gui.node.proc.kill()
    assert eventually(gui.has_ended)
    assert not gui.has_ended()
    gui.do("tell", "anything")
    gui.enable(True)
    gui.press()
    assert gui.save(tmp_path / "demo.png") == "the GUI process has ended with exit code -9"


def test_what_it_said_at_its_end_is_told(gui, tmp_path):
    gui.node._import("os").write(2, b"this is why\n")
    gui.node._import("os")._exit(3, _sync="off")
    why = gui.save(tmp_path / "demo.png")
    assert why.startswith("the GUI process has ended with exit code 3\n")
    assert "this is why" in why
