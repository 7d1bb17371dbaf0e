"""The demo: three processes, one of which is killed, and a plot of it all.

::

    monitor ──sample(), 10 a second──▶ main ──append(array)──▶ statistics
    (psutil)      a callback           (table)   summary()     (numpy)

The main process runs a lazy server in its own thread: the monitor's callbacks
are carried out there, whenever it has nothing else to do, and so need no lock.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pyacq_rpc import RPCServer, ServerDisconnected
from spawner import ProcessSpawner

from .demo_plot import Outage, draw
from .demo_view import Node, Scene, View, make_view

__all__ = ["Demo", "missing_packages", "run"]

INTERVAL = 0.1
"""Seconds between two samples, and between two pictures of the table."""

KILL_AT, RESTART_AT = 0.45, 0.6
"""When the monitor is killed, and when it is started again, as parts of the whole."""

SMOOTHING = 0.5
"""Seconds that the thick curves of the plot are averaged over."""

_MODULE = "pyacq_rpc.people.demo_nodes"


def missing_packages() -> list[str]:
    """Return which of the packages that the demo needs are not installed."""
    needed = ("matplotlib", "numpy", "rich")
    return [name for name in needed if importlib.util.find_spec(name) is None]


def run(seconds: float, output: Path) -> int:
    """Run the demo.

    Parameters
    ----------
    seconds : float
        How long it samples.
    output : Path
        Where the plot goes, a PNG file.

    Returns
    -------
    int
        The exit code: 0, or 1 if packages are missing.
    """
    missing = missing_packages()
    if missing:
        print(
            f"The demo needs {', '.join(missing)}: pip install 'pyacq-rpc[demo]'", file=sys.stderr
        )
        return 1
    with Demo(seconds) as demo:
        demo.play()
        demo.plot(output)
    print(f"Plot: {output.resolve()}")
    return 0


class Demo:
    """Two nodes, and this process, which has proxies of objects in both.

    Parameters
    ----------
    seconds : float
        How long it samples.
    """

    def __init__(self, seconds: float) -> None:
        self._monitor_node = Node("monitor", "samples, psutil")
        self._statistics_node = Node("statistics", "averages, numpy")
        self.scene = Scene(seconds, [self._monitor_node, self._statistics_node])
        self._outage: Outage | None = None
        self._began = time.monotonic()
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def play(self) -> None:
        """Sample for the whole time; kill the monitor meanwhile, and start it again."""
        scene = self.scene
        acts: list[tuple[float, Callable[[], None]]] = [
            (KILL_AT * scene.seconds, self._kill_monitor),
            (RESTART_AT * scene.seconds, self._restart_monitor),
        ]
        with make_view(scene) as view:
            view.draw()
            self._start()
            while acts or scene.elapsed < scene.seconds:
                self._serve(INTERVAL, view)
                if acts and scene.elapsed >= acts[0][0]:
                    _, act = acts.pop(0)
                    act()
            # A slow machine may have taken all the time that was left to start it.
            self._wait_for_samples(scene.samples + 2, view)

    def plot(self, output: Path) -> None:
        """Draw what the statistics node has kept.

        Parameters
        ----------
        output : Path
            Where the plot goes, a PNG file.
        """
        assert self._outage is not None
        self._monitor.stop()
        samples, smoothed = self._history.curves(SMOOTHING)
        draw(output, self.scene.signals, samples, smoothed, self._outage)

    def collect(self, sample: list[float]) -> None:
        """Take one sample; called by the monitor node, in this thread."""
        self.scene.recent.append(sample[1:])
        self.scene.samples += 1
        self._history.append(self._as_array(sample), _sync="off")

    # -- the story -----------------------------------------------------------

    def _start(self) -> None:
        import numpy as np

        self._as_array = np.array
        # Its requests are carried out in this thread, while it waits.
        self._server = self._open.enter_context(contextlib.closing(RPCServer(name="demo")))
        self._server.run_lazy()
        statistics = self._open.enter_context(ProcessSpawner(name="statistics"))
        self._history = statistics._import(_MODULE).History()
        self._show(self._statistics_node, statistics)
        self._monitors = self._open.enter_context(contextlib.ExitStack())
        self._start_monitor()
        self._began = time.monotonic()
        self._tell("two nodes are running, and the monitor calls back into this process")

    def _start_monitor(self) -> None:
        node = self._monitors.enter_context(ProcessSpawner(name="monitor"))
        self._monitor = node._import(_MODULE).Monitor()
        self.scene.signals = self._monitor.signals()
        self._monitor_process = node
        self._began_sampling = time.time()
        self._monitor.start(self.collect, INTERVAL)
        self._show(self._monitor_node, node)

    def _kill_monitor(self) -> None:
        """Kill the monitor in the middle of a call, behind the library's back."""
        node = self._monitor_process
        pending = node._import("time").sleep(60, _sync="async")
        killed = time.time(), time.perf_counter()
        node.proc.kill()
        error = pending.exception(timeout=5)
        noticed_after = time.perf_counter() - killed[1]
        assert isinstance(error, ServerDisconnected)
        self._tell(f"killed the monitor, process {node.pid}")
        self._tell(f"ServerDisconnected after {noticed_after * 1e3:.1f} ms: {error}")
        self._monitor_node.state = "dead"
        self.scene.recent.clear()
        self._outage = Outage(killed[0], killed[0], noticed_after)

    def _restart_monitor(self) -> None:
        assert self._outage is not None
        self._monitors.close()  # what is left of the dead one
        before = time.perf_counter()
        self._start_monitor()
        took = time.perf_counter() - before
        self._outage.restarted = self._began_sampling
        self._tell(
            f"started the monitor again in {took * 1e3:.0f} ms, process {self._monitor_node.pid}"
        )

    # -- meanwhile -----------------------------------------------------------

    def _serve(self, seconds: float, view: View) -> None:
        """Carry out callbacks for a while, then show what they have brought."""
        scene = self.scene
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._server._read_and_process_one(timeout=left)
        scene.elapsed = time.monotonic() - self._began
        if scene.samples:
            scene.summary = self._history.summary()
        view.draw()

    def _wait_for_samples(self, number: int, view: View, timeout: float = 10.0) -> None:
        deadline = time.monotonic() + timeout
        while self.scene.samples < number and time.monotonic() < deadline:
            self._serve(INTERVAL, view)

    def _show(self, node: Node, process: ProcessSpawner) -> None:
        node.state, node.pid, node.address = "running", process.pid, process.address

    def _tell(self, what: str) -> None:
        self.scene.events.append((time.monotonic() - self._began, what))
