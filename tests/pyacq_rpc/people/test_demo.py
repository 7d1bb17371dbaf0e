from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import struct
import subprocess
import sys
import threading
import time

import psutil
import pytest
from conftest import eventually
from terminal import Terminal

from pyacq_rpc import RPCServer, ServerDisconnected
from pyacq_rpc.people import demo
from pyacq_rpc.people.demo_nodes import History, Monitor
from pyacq_rpc.people.demo_view import PlainView, Scene, in_units

np = pytest.importorskip("numpy")
if demo.missing_packages():
    pytest.skip(f"there is no {demo.missing_packages()}", allow_module_level=True)


def start(output, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pyacq_rpc", "demo", f"--seconds={seconds}"]
    # Where the tests run in the background Ctrl-C is ignored, which is inherited.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(
            [*command, f"--output={output}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=output.parent,
        )
    finally:
        signal.signal(signal.SIGINT, old)


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    while text not in seen:
        assert select.select([process.stdout], [], [], 20)[0], seen
        line = os.read(process.stdout.fileno(), 4096).decode()
        assert line, seen
        seen += line
    return seen


def has_qt(process: psutil.Process) -> bool:
    return any("QtWidgets" in mapped.path for mapped in process.memory_maps())


def is_png(path) -> bool:
    """Whether the file is a picture of the size that the demo draws."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    whole = data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return whole and (width, height) == (1000, 750)


class TestRun:
    def test_it_ends_with_a_picture_and_leaves_nothing_else(self, tmp_path):
        output = tmp_path / "demo.png"
        process = start(output, 3)
        out, err = process.communicate(timeout=28)
        assert (process.returncode, err) == (0, ""), err
        assert is_png(output)
        assert 20_000 < output.stat().st_size < 500_000
        assert [output] == list(tmp_path.iterdir())
        noticed = re.search(r"ServerDisconnected after ([\d.]+) ms: .* has died", out)
        assert noticed is not None, out
        assert float(noticed[1]) < 1000
        story = [
            "says Pause: the monitor is paused, by the demo itself",
            "says Resume: the monitor goes on",
            "killed the monitor",
            "started the monitor again",
        ]
        assert sorted(story, key=out.find) == story
        assert all(what in out for what in story)
        assert out.rstrip().endswith(f"Picture: {output}")
        assert "\x1b" not in out

    @pytest.mark.parametrize("wait_for", ["three nodes", "has died", "monitor again"])
    def test_ctrl_c_ends_it_cleanly(self, tmp_path, wait_for):
        process = start(tmp_path / "demo.png", 6)
        read_until(process, wait_for)
        nodes = psutil.Process(process.pid).children(recursive=True)
        assert nodes
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (130, "Interrupted.\n"), err
        assert "Picture" not in out
        assert list(tmp_path.iterdir()) == []
        assert eventually(lambda: not any(node.is_running() for node in nodes), 3.0)

    def test_it_goes_on_when_its_gui_is_killed(self, tmp_path):
        process = start(tmp_path / "demo.png", 4)
        seen = read_until(process, "three nodes")
        gui = next(
            child for child in psutil.Process(process.pid).children(recursive=True) if has_qt(child)
        )
        gui.kill()
        out, err = process.communicate(timeout=28)
        assert process.returncode == 1
        assert err == "There is no picture: the GUI process has ended with exit code -9\n"
        assert f"the GUI, process {gui.pid}, has ended; the others go on" in seen + out
        assert "started the monitor again" in out
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("name", ["monitor", "statistics"])
    def test_it_ends_when_a_node_that_it_needs_is_killed(self, tmp_path, monkeypatch, capsys, name):
        def kill() -> None:
            assert eventually(lambda: shown and shown[0].scene.samples > 2, 25)
            pid = next(node.pid for node in shown[0].scene.nodes if node.name == name)
            psutil.Process(pid).kill()

        def make(seconds: float) -> demo.Demo:
            shown.append(original(seconds))
            return shown[0]

        shown, original = [], demo.Demo
        monkeypatch.setattr(demo, "Demo", make)
        user = threading.Thread(target=kill)
        user.start()
        assert demo.run(60, tmp_path / "demo.png") == 1
        user.join(10)
        assert f"The demo cannot go on: {name}" in capsys.readouterr().err

    def test_closing_the_window_ends_it(self, tmp_path, capsys):
        def close() -> None:
            assert eventually(lambda: shown.scene.samples > 2, 25)
            shown._gui.window.close(_sync="off")

        with demo.Demo(60) as shown:
            user = threading.Thread(target=close)
            user.start()
            shown.play()
            user.join(10)
            assert shown.save(tmp_path / "demo.png") == ""
        assert is_png(tmp_path / "demo.png")
        assert "the window was closed, so the demo ends" in capsys.readouterr().out

    def test_the_space_bar_pauses_it_for_as_long_as_the_user_likes(self, tmp_path):
        output = f"--output={tmp_path / 'demo.png'}"
        command = [sys.executable, "-m", "pyacq_rpc", "demo", "--seconds=60", output]
        with Terminal(command, {"TERM": "dumb"}) as terminal:
            terminal.wait_for("the space bar pauses")
            terminal.press(" ")
            terminal.wait_for("the monitor is paused, by you")
            for _ in range(2):
                terminal.wait_for(r"\d s  monitor: paused")
            terminal.press(" ")
            terminal.wait_for("the monitor goes on, by you")
            terminal.wait_for(r"\d s  CPU 0")
            terminal.process.send_signal(signal.SIGINT)
            terminal.wait_for("Interrupted")
            assert terminal.process.wait(10) == 130

    def test_it_says_what_to_install(self, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(demo, "missing_packages", lambda: ["rich"])
        assert demo.run(1, tmp_path / "demo.png") == 1
        assert capsys.readouterr().err == "The demo needs rich: pip install 'pyacq-rpc[demo]'\n"
        assert list(tmp_path.iterdir()) == []


class TestMonitor:
    def test_a_sample_has_a_time_and_a_value_for_each_signal(self):
        monitor = Monitor()
        sample = monitor.sample()
        assert len(sample) == 1 + len(monitor.signals())
        assert abs(sample[0] - time.time()) < 5
        assert all(value >= 0 for value in sample)
        names = [name for name, _ in monitor.signals()]
        assert names[-3:] == ["memory", "received", "sent"]
        assert 1e6 < sample[1 + names.index("memory")] < psutil.virtual_memory().total

    def test_it_needs_a_server_to_run_its_timer(self):
        with pytest.raises(RuntimeError, match="thread of a server"):
            Monitor().start([print], 0.1)

    def test_it_gives_to_all_that_are_still_there(self):
        got = []

        def gone(sample, **_):
            got.append("gone")
            raise ServerDisconnected("the one that looks at it has died")

        def look(sample, **_):
            got.append(len(sample))
            if len(got) > 3:
                server.close()

        monitor = Monitor()
        with contextlib.closing(RPCServer()) as server:
            server.timers.once(0.001, lambda: monitor.start([gone, look], 0.01))
            server.run_forever()
        size = 1 + len(monitor.signals())
        assert got == ["gone", size, size, size]


class TestHistory:
    def test_it_keeps_and_summarises(self):
        history = History()
        with pytest.raises(ValueError, match="no samples"):
            history.summary()
        for time_, value in ((0.0, 1.0), (0.1, 2.0), (0.2, 6.0)):
            history.append(np.array([time_, value]))
        assert history.samples().shape == (3, 2)
        mean, std, largest = history.summary()[:, 0]
        assert (mean, largest) == (3.0, 6.0)
        assert std == pytest.approx(np.std([1, 2, 6]))


class TestPlainView:
    def test_a_line_each_second_and_one_for_each_event(self, capsys):
        scene = Scene(3, [], signals=[(f"CPU {core}", "%") for core in range(10)])
        scene.recent.append([5.0] * 10)
        with PlainView(scene) as view:
            for step in range(25):
                scene.elapsed = step / 10
                if step == 15:
                    scene.events.append((1.5, "something happened"))
                view.draw()
        lines = capsys.readouterr().out.splitlines()
        assert [line[:7] for line in lines] == ["  1.0 s", "  1.5 s", "  2.0 s"]
        assert lines[0].endswith("CPU 7 5 %, (2 more)")
        assert lines[1] == "  1.5 s  something happened"

    @pytest.mark.parametrize(
        ("value", "unit", "text"),
        [
            (0.0, "%", "0 %"),
            (0.0, "B/s", "0.0 kB/s"),
            (999_999.0, "B", "1000.0 kB"),
            (1e6, "B", "1.0 MB"),
            (25.3e9, "B", "25.30 GB"),
        ],
    )
    def test_units(self, value, unit, text):
        assert in_units(value, unit) == text
