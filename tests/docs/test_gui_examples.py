"""The examples with windows, as the guide shows them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import eventually

from pyacq_rpc import RPCClient
from spawner import ProcessSpawner

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
PAGES = [ROOT / "docs" / "guide" / name for name in ("gui.rst", "logs.rst")]

pytestmark = pytest.mark.timeout(120)


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True)


def run(name: str, picture: Path) -> str:
    """Run an example, and return what it has printed."""
    with start(name, picture) as process:
        try:
            printed, errors = process.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
    return printed


PRINTED = {
    "remote_form": "Not added",
    "live_plot": "frames/s",
    "watch_dashboard": "middle has died\nmiddle is back\n",
    "watch_logs": "19 of 19 records shown",
}


def test_the_pages_show_pictures_of_them():
    pages = "".join(page.read_text() for page in PAGES)
    shown = re.findall(r"_build/pictures/(\w+)\.png", pages)
    assert set(shown) == PRINTED.keys()
    made = (ROOT / "docs" / "pictures.py").read_text()
    assert all(f'"{name}"' in made for name in shown)


@pytest.mark.parametrize(("name", "printed"), PRINTED.items())
def test_it_takes_a_picture_of_itself(name: str, printed: str, tmp_path: Path):
    picture = tmp_path / "picture.png"
    assert printed in run(name, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def live_plot(monkeypatch: pytest.MonkeyPatch):
    """The display of the example, and its camera, which takes nothing yet."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    with ProcessSpawner(name="gui", qt=True) as gui, ProcessSpawner(name="camera") as node:
        display = gui._import("live_plot", _timeout=60).Display(_timeout=60)
        yield display, node._import("live_plot", _timeout=60).Camera(display.show), gui


def test_a_gui_that_is_busy_gets_no_queue_of_frames(live_plot: Any):
    display, camera, gui = live_plot
    camera.start(50)
    assert eventually(lambda: display.shown > 5, 30)
    dropped = camera.dropped._get_value()
    gui._import("time").sleep(3, _sync="off")
    assert eventually(lambda: camera.dropped > dropped + 2, 30)
    camera.timer.stop()
    assert eventually(camera.answer.done, 30)
    assert display.shown == camera.taken - camera.dropped


def test_a_camera_whose_gui_has_ended_stops(live_plot: Any):
    display, camera, gui = live_plot
    camera.start(50)
    assert eventually(lambda: display.shown > 5, 30)
    gui.stop()
    assert eventually(camera.timer.stopped, 30)


def test_ctrl_c_ends_the_dashboard():
    with start("dashboard") as process:
        assert process.stdout is not None
        client = RPCClient(process.stdout.readline().split()[-1])
        client.ping(timeout=30)  # its event loop runs, and so can end
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    assert (process.returncode, "Traceback" in errors) == (0, False), errors
