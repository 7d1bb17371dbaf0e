from __future__ import annotations

import io
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time

import psutil
import pytest
from conftest import eventually

from pyacq_rpc.people import demo, demo_plot
from pyacq_rpc.people.demo_nodes import History, Monitor
from pyacq_rpc.people.demo_view import PlainView, Scene, in_units

np = pytest.importorskip("numpy")
pytest.importorskip("rich")
pytest.importorskip("matplotlib")


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


def is_png(path) -> bool:
    """Whether the file is a picture of the size that the demo draws."""
    data = path.read_bytes()
    width, height = struct.unpack(">II", data[16:24])
    whole = data.startswith(b"\x89PNG\r\n\x1a\n") and data.endswith(b"IEND\xaeB`\x82")
    return whole and (width, height) == (1200, 900)


class TestRun:
    def test_it_ends_with_a_plot_and_leaves_nothing_else(self, tmp_path):
        output = tmp_path / "plot.png"
        process = start(output, 3)
        out, err = process.communicate(timeout=28)
        assert (process.returncode, err) == (0, ""), err
        assert is_png(output)
        assert 20_000 < output.stat().st_size < 500_000
        assert [output] == list(tmp_path.iterdir())
        noticed = re.search(r"ServerDisconnected after ([\d.]+) ms: .* has died", out)
        assert noticed is not None, out
        assert float(noticed[1]) < 1000
        assert "started the monitor again" in out
        assert out.rstrip().endswith(f"Plot: {output}")
        assert "\x1b" not in out

    @pytest.mark.parametrize("wait_for", ["two nodes", "monitor: dead", "monitor again"])
    def test_ctrl_c_ends_it_cleanly(self, tmp_path, wait_for):
        process = start(tmp_path / "plot.png", 6)
        assert process.stdout is not None
        seen = ""
        while wait_for not in seen:
            assert select.select([process.stdout], [], [], 20)[0], seen
            line = os.read(process.stdout.fileno(), 4096).decode()
            assert line, seen
            seen += line
        nodes = psutil.Process(process.pid).children(recursive=True)
        assert nodes
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (130, "Interrupted.\n"), err
        assert "Plot" not in out
        assert list(tmp_path.iterdir()) == []
        assert eventually(lambda: not any(node.is_running() for node in nodes), 3.0)

    def test_it_says_what_to_install(self, monkeypatch, capsys, tmp_path):
        monkeypatch.setattr(demo, "missing_packages", lambda: ["rich"])
        assert demo.run(1, tmp_path / "plot.png") == 1
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
            Monitor().start(print, 0.1)


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

    def test_smoothing_averages_within_the_width_and_not_over_a_gap(self):
        history = History()
        for time_, value in ((0.0, 1.0), (0.1, 3.0), (5.0, 10.0), (5.1, 20.0)):
            history.append(np.array([time_, value]))
        samples, smooth = history.curves(0.5)
        np.testing.assert_array_equal(samples, history.samples())
        np.testing.assert_array_equal(smooth[:, 0], samples[:, 0])
        np.testing.assert_allclose(smooth[:, 1], [2.0, 2.0, 15.0, 15.0])


@pytest.fixture(scope="class")
def fonts() -> None:
    """Have matplotlib open its fonts, which it then keeps open, before a test counts."""
    from matplotlib.figure import Figure

    figure = Figure()
    figure.text(0, 0, "text")
    figure.savefig(io.BytesIO())


@pytest.mark.usefixtures("fonts")
class TestPlot:
    @pytest.mark.parametrize("cores", [1, 2, 64])
    def test_it_draws_machines_of_all_sizes(self, tmp_path, cores):
        signals = [(f"CPU {core}", "%") for core in range(cores)]
        signals += [("memory", "B"), ("received", "B/s"), ("sent", "B/s")]
        times = 1e9 + np.concatenate([np.arange(0, 4, 0.1), np.arange(6, 10, 0.1)])
        samples = np.zeros((len(times), 1 + len(signals)))  # a network that is not used, too
        samples[:, 0] = times
        outage = demo_plot.Outage(1e9 + 4, 1e9 + 5.9, 0.0015)
        demo_plot.draw(tmp_path / "plot.png", signals, samples, samples, outage)
        assert is_png(tmp_path / "plot.png")


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
