"""A real window on a virtual screen, used by mouse and keyboard."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time

import pytest
from conftest import eventually

from spawner import ProcessSpawner

MISSING = [name for name in ("Xvfb", "xdotool") if shutil.which(name) is None]

pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"there is no {' and no '.join(MISSING)}"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="X is for Linux"),
]


class Screen:
    """A virtual screen.

    Attributes
    ----------
    display : str
        Its name.
    """

    def __init__(self) -> None:
        command = ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.display = f":{int(self._server.stdout.readline())}"

    def do(self, *command: object) -> None:
        """Move the mouse or press something, as xdotool does."""
        words = ["xdotool", *map(str, command)]
        subprocess.run(words, env={"DISPLAY": self.display}, check=True, timeout=20)

    def click(self, x: int, y: int) -> None:
        self.do("mousemove", x, y, "click", 1)

    def close(self) -> None:
        self._server.terminate()
        self._server.wait(10)
        self._server.stdout.close()


@pytest.fixture(scope="module")
def screen():
    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def gui(screen):
    env = {"DISPLAY": screen.display, "QT_QPA_PLATFORM": "xcb", "XAUTHORITY": None}
    with ProcessSpawner(name="gui", qt=True, env=env) as gui:
        yield gui


@pytest.fixture
def button(gui):
    """Fills the window in the middle of the screen."""
    button = gui._import("qtpy.QtWidgets").QPushButton("press me")
    button.setGeometry(200, 150, 400, 300)
    button.show()
    assert eventually(lambda: button.isVisible() and button.windowHandle().isExposed())
    return button


class TestTheMouse:
    def test_calls_a_function_of_another_process(self, screen, button):
        calls = []
        button.clicked.connect(lambda: calls.append(1))
        screen.click(400, 300)
        assert eventually(lambda: calls == [1])

    def test_is_kept_until_a_call_of_the_gui_returns(self, screen, gui, button):
        """No slot is entered while one waits, though the window is painted meanwhile."""
        order, begun = [], time.monotonic()

        def slow():
            order.append("begun")
            screen.click(400, 300)  # once more, in the middle of it
            time.sleep(0.5)
            order.append("ended")

        button.clicked.connect(slow, sync="sync")
        screen.click(400, 300)
        assert eventually(lambda: len(order) >= 4)
        button.clicked.disconnect()
        assert order[:4] == ["begun", "ended", "begun", "ended"]
        assert time.monotonic() - begun >= 1.0

    def test_is_not_kept_while_requests_come(self, screen, button):
        calls = []
        button.clicked.connect(lambda: calls.append(1))
        futures = [button.text(_sync="async") for _ in range(2000)]
        screen.click(400, 300)
        assert eventually(lambda: calls == [1])
        assert {future.result(20) for future in futures} == {"press me"}


class TestTheKeyboard:
    def test_types_into_a_widget(self, screen, gui):
        edit = gui._import("qtpy.QtWidgets").QLineEdit()
        edit.setGeometry(200, 150, 400, 50)
        edit.show()
        assert eventually(lambda: edit.windowHandle().isExposed())
        typed = []
        edit.textChanged.connect(typed.append)
        screen.click(400, 175)
        screen.do("type", "hello")
        assert eventually(lambda: typed and typed[-1] == "hello")


class TestTheWindow:
    def test_is_painted_while_the_gui_waits(self, screen, gui, button):
        label = gui._import("qtpy.QtWidgets").QLabel("before")
        label.setGeometry(200, 500, 400, 50)
        label.show()
        assert eventually(lambda: label.windowHandle().isExposed())
        assert eventually(lambda: len(set(_looks(gui))) > 1)
        seen = []

        def during():
            before = _looks(gui)
            label.setText("during the call")
            seen.append(eventually(lambda: _looks(gui) != before))

        button.clicked.connect(during, sync="sync")
        screen.click(400, 300)
        assert eventually(lambda: seen, 20)
        assert seen == [True]

    def test_closes_when_the_user_closes_it(self, screen, gui, button):
        closed = []
        gui._import("qtpy.QtWidgets").QApplication.instance().lastWindowClosed.connect(
            lambda: closed.append(1)
        )
        button.close()
        assert eventually(lambda: closed == [1])
        assert gui.client.ping() == "pong"


def _looks(gui):
    """What is on the screen where the label is, as bytes."""
    core = gui._import("qtpy.QtCore")
    screen = gui._import("qtpy.QtGui").QGuiApplication.primaryScreen()
    data = core.QByteArray(_return_type="proxy")
    buffer = core.QBuffer(data)
    buffer.open(core.QIODevice.OpenModeFlag.WriteOnly)
    screen.grabWindow(0, 200, 500, 400, 50).save(buffer, "BMP")
    buffer.close()
    return gui._import("builtins").bytes(data)
