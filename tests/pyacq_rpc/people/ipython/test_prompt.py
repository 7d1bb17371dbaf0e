"""A real IPython in a terminal, with somebody at the keyboard."""

from __future__ import annotations

import os
import sys

import pytest
from conftest import eventually
from patience import patient_ipython
from processes import ROOT
from terminal import Terminal

pytestmark = pytest.mark.timeout(180)

MODULE = '''
class Camera:
    """Takes frames."""
    def __init__(self):
        self.settings = {"gain": 1, "mode": 2}
    def shoot(self, seconds: float, *, count: int = 1) -> list:
        """Take some."""
        return [seconds] * count
    def fail(self):
        raise ValueError("no light")
    def wait(self):
        import pathlib, time
        pathlib.Path(__file__).with_name("begun").touch()
        time.sleep(90)
    def call_later(self, function, seconds):
        import threading
        threading.Timer(seconds, function, ["it is time"]).start()
'''

PASTE = "\x1b[200~{}\x1b[201~\x1b\r"  # in brackets, and Escape Return to run it


class Prompt(Terminal):
    """IPython."""

    def wait_for(self, pattern, timeout=60.0):  # on a machine that does much else
        return super().wait_for(pattern, timeout)

    def run_cell(self, *lines):
        """Paste lines, and run them."""
        self.press(PASTE.format("\n".join(lines)))


def start(tmp_path, *options):
    (tmp_path / "mylab.py").write_text(MODULE)
    env = {
        "IPYTHONDIR": patient_ipython(tmp_path),
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)]),
        "QT_QPA_PLATFORM": "offscreen",
    }
    command = [sys.executable, "-m", "IPython", "--no-banner", "--no-confirm-exit"]
    return Prompt([*command, "--colors=NoColor", "--HistoryManager.enabled=False", *options], env)


@pytest.fixture(params=["True", "False"], ids=["jedi", "without jedi"])
def jedi(request):
    return request.param


@pytest.fixture
def prompt(tmp_path):
    with start(tmp_path) as prompt:
        prompt.wait_for(r"In \[1\]:")
        prompt.type("%load_ext pyacq_rpc")
        prompt.wait_for(r"In \[2\]:")
        prompt.type("%spawn w --output discard")
        prompt.wait_for(r"Out\[2\]: <ProcessSpawner w, process \d+, running>")
        prompt.wait_for(r"In \[3\]:")
        prompt.type("camera = w._import('mylab').Camera(); clock = w._import('time')")
        prompt.wait_for(r"In \[4\]:")
        yield prompt
        prompt.press("\x15")
        prompt.type("exit")
        assert prompt.process.wait(60) == 0


@pytest.mark.parametrize("extended", [True, False], ids=["extended", "plain"])
def test_tab(tmp_path, jedi, extended):
    with start(tmp_path, f"--IPCompleter.use_jedi={jedi}") as prompt:
        prompt.wait_for(r"In \[1\]:")
        prompt.type("%load_ext pyacq_rpc" if extended else "1")
        prompt.wait_for(r"In \[2\]:")
        prompt.type("from spawner import ProcessSpawner; w = ProcessSpawner(output='discard')")
        prompt.wait_for(r"In \[3\]:")
        prompt.type("camera = w._import('mylab').Camera()")
        prompt.wait_for(r"In \[4\]:")
        prompt.press("camera.sh\t")
        prompt.wait_for("oot")  # what is added
        prompt.press("\x15camera.\t")
        prompt.wait_for(r"(?s)call_later.*settings|settings.*call_later")
        prompt.press("\x15")
        prompt.type("w.kill()")
        prompt.wait_for(r"In \[5\]:")
        prompt.press("camera.sh\t")
        prompt.type("")
        prompt.wait_for("for attribute sh of mylab.Camera")  # nothing was added
        prompt.wait_for(r"In \[6\]:")
        prompt.type("exit")
        assert prompt.process.wait(60) == 0


def test_what_is_there(prompt):
    prompt.type("camera.shoot?")
    prompt.wait_for(r"camera\.shoot\(seconds: float, \*, count: int = 1\) -> list")
    prompt.wait_for(r"Take some\.")
    prompt.wait_for(r"In \[5\]:")
    prompt.type("%nodes")
    prompt.wait_for(r"w +w +\d+ +\S+ +\d+ MB +alive +tcp:")


def test_an_error(prompt):
    prompt.type("camera.fail()")
    prompt.wait_for(r"Remote Traceback \(most recent call last\)")
    prompt.wait_for(r'raise ValueError\("no light"\)')
    prompt.wait_for(r"----> 1 camera\.fail\(\)")
    prompt.wait_for(r"In \[5\]:")
    prompt.type("%debug")
    prompt.wait_for(r"----> 1 camera\.fail\(\)")
    prompt.wait_for(r"ipdb>")
    prompt.type("p camera")
    prompt.wait_for(r"<ObjectProxy for mylab\.Camera")
    prompt.type("q")
    prompt.wait_for(r"In \[6\]:")


def test_a_callback_arrives_while_nobody_types(prompt):
    prompt.type("camera.call_later(lambda text: print('heard:', text), 2)")
    prompt.wait_for(r"In \[5\]:")
    prompt.wait_for(r"heard: it is time")


def test_ctrl_c_twice(prompt, tmp_path):
    prompt.type("print('it', 'waits'); camera.wait(_timeout=None)")
    prompt.wait_for(r"it waits")
    assert eventually((tmp_path / "begun").exists, 60)
    prompt.press("\x03")
    prompt.wait_for(r"KeyboardInterrupt")
    prompt.wait_for(r"Stopped waiting for w ")
    prompt.wait_for(r"In \[5\]:")
    prompt.press("\x03")
    prompt.wait_for(r"Interrupted Camera\.wait in w ")
    prompt.type("'the prompt', w.client.status(10).state")
    prompt.wait_for(r"\('the prompt', 'alive'\)")


def test_a_cell(prompt):
    prompt.run_cell(
        "%%remote w", "import time", "print('first', 40 + 2)", "time.sleep(1)", "40 + 3"
    )
    prompt.wait_for(r"first 42")
    prompt.wait_for(r"Out\[4\]: 43")
    prompt.wait_for(r"In \[5\]:")
    prompt.run_cell("%%remote w", "print('begun', 40 + 4)", "time.sleep(90)")
    prompt.wait_for(r"begun 44")
    prompt.press("\x03")
    prompt.wait_for(r"Remote Traceback")
    prompt.wait_for(r'File "<w, cell 5>", line 2')
    prompt.wait_for(r"KeyboardInterrupt")
    prompt.wait_for(r"In \[6\]:")
    prompt.type("%remote w 40 + 5")
    prompt.wait_for(r"Out\[6\]: 45")
