"""The demo: four processes, one of which is killed, and a window with live curves.

::

                 ┌──sample──▶ main ──append(array)──▶ statistics
    monitor ─────┤           (table)   summary()      (numpy)
    (psutil)     └──sample──▶ gui ──clicked──▶ main
                         (pyqtgraph)

The samples go to the window straight from the monitor, which was given a proxy
of the window's method. The main process steers: it presses the window's button
as the user may, is called back by it, and has the window say what happens.

The main process runs a lazy server in its own thread: callbacks are carried out
there, whenever it has nothing else to do, and so need no lock.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pyacq_rpc import RPCError, RPCServer, ServerDisconnected
from spawner import ProcessSpawner, SpawnError

from .demo_gui import Gui
from .demo_keys import Keys
from .demo_view import Node, Scene, make_view

__all__ = ["Demo", "missing_packages", "run"]

INTERVAL = 0.1
"""Seconds between two samples, and between two pictures of the table."""

PAUSE_AT, RESUME_AT, KILL_AT, RESTART_AT = 0.2, 0.3, 0.45, 0.6
"""When the monitor is paused, killed and so on, as parts of the whole."""

PATIENCE = 10.0
"""Seconds to wait for what takes a moment, and much longer on a busy machine."""

_MODULE = "pyacq_rpc.people.demo_nodes"
_BINDINGS = ("PyQt5", "PyQt6", "PySide6")


def missing_packages() -> list[str]:
    """Return which of the packages that the demo needs are not installed."""
    needed = ("numpy", "pyqtgraph", "qtpy", "rich")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if not any(map(importlib.util.find_spec, _BINDINGS)):
        missing.append(_BINDINGS[0])
    return missing


def run(seconds: float, output: Path) -> int:
    """Run the demo.

    Parameters
    ----------
    seconds : float
        How long it samples.
    output : Path
        Where the picture goes, a PNG file.

    Returns
    -------
    int
        The exit code: 0, or 1 if packages are missing, a node does not start or
        ends unbidden, or there is no picture since the GUI has ended before.
    """
    missing = missing_packages()
    if missing:
        print(
            f"The demo needs {', '.join(missing)}: pip install 'pyacq-rpc[demo]'", file=sys.stderr
        )
        return 1
    with Demo(seconds) as demo:
        try:
            demo.play()
        except (RPCError, SpawnError) as error:
            print(f"The demo cannot go on: {error}", file=sys.stderr)
            return 1
        why_not = demo.save(output)
    if why_not:
        print(f"There is no picture: {why_not}", file=sys.stderr)
        return 1
    print(f"Picture: {output.resolve()}")
    return 0


class _WindowClosed(Exception):
    """The user has closed the window, and so ended the demo."""


class Demo:
    """Three nodes, and this process, which has proxies of objects in all of them.

    Parameters
    ----------
    seconds : float
        How long it samples; while the user has it paused, time does not count.
    """

    def __init__(self, seconds: float) -> None:
        self._monitor_node = Node("monitor", "samples, psutil")
        self._statistics_node = Node("statistics", "averages, numpy")
        self._gui_node = Node("gui", "draws, pyqtgraph")
        nodes = [self._monitor_node, self._statistics_node, self._gui_node]
        self.scene = Scene(seconds, nodes)
        self._began = time.monotonic()
        self._paused = 0.0  # seconds, by the user
        self._is_own_press = False
        self._paused_by_user = False
        self._closed = False
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Demo:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def play(self) -> None:
        """Sample for the whole time; pause, kill and restart the monitor meanwhile.

        Raises
        ------
        SpawnError
            If a node does not start.
        RPCError
            If one that is needed ends of itself.
        """
        with Keys() as self._keys, make_view(self.scene) as self._view:
            self._view.draw()
            self._start()
            try:
                self._play_until(PAUSE_AT)
                self._press_button("paused")
                self._play_until(RESUME_AT)
                if not self._paused_by_user:
                    self._press_button("running")
                self._play_until(KILL_AT)
                self._kill_monitor()
                self._play_until(RESTART_AT)
                self._restart_monitor()
                self._play_until(1.0)
                # A slow machine may have taken all the time that was left to start it.
                enough = self.scene.samples + 2
                self._serve_until(lambda: self.scene.samples >= enough)
                self._gui.do(
                    "set_heading",
                    f"{self.scene.elapsed:.0f} s of this machine, sampled by a node that was"
                    " paused, killed, and started again",
                )
            except _WindowClosed:
                self._tell("the window was closed, so the demo ends")

    def save(self, output: Path) -> str:
        """Save a picture of the window.

        Parameters
        ----------
        output : Path
            Where it goes, a PNG file.

        Returns
        -------
        str
            Why there is none, or nothing if there is.
        """
        with contextlib.suppress(ServerDisconnected):  # dead, where the window was closed then
            self._monitor.stop()
        return self._gui.save(output)

    def collect(self, sample: list[float]) -> None:
        """Take one sample; called by the monitor node, in this thread."""
        if self._monitor_node.state == "running":
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
        self._monitors = self._open.enter_context(contextlib.ExitStack())
        self._spawn_monitor()
        statistics = self._open.enter_context(ProcessSpawner(name="statistics"))
        self._history = statistics._import(_MODULE).History()
        self._show(self._statistics_node, statistics)
        self._gui = self._open.enter_context(contextlib.closing(Gui()))
        self._show(self._gui_node, self._gui.node)
        self._gui.load()
        self._began = time.monotonic()
        self._gui.open(
            self.scene.signals, time.time(), self.scene.seconds, self._pause_or_resume, self._close
        )
        self._start_monitor()
        how = "the window's button" if self._gui.seen else ""
        if self._keys.available:
            how += f"{' or ' if how else ''}the space bar"
        self._tell("three nodes are running" + (f"; {how} pauses" if how else ""))
        if not self._gui.seen:
            self._tell(f"the window is drawn, but not seen: {self._gui.why_unseen}")

    def _spawn_monitor(self) -> None:
        node = self._monitors.enter_context(ProcessSpawner(name="monitor"))
        self._monitor = node._import(_MODULE).Monitor()
        self.scene.signals = self._monitor.signals()
        self._monitor_process = node

    def _start_monitor(self) -> None:
        receivers: list[Callable[..., object]] = [self.collect]
        if self._gui.alive:
            receivers.append(self._gui.window.append)
        self._monitor.start(receivers, INTERVAL)
        self._show(self._monitor_node, self._monitor_process)

    def _press_button(self, until: str) -> None:
        """Press the button in the window, which calls back, and wait for what comes of it."""
        self._is_own_press = True
        self._press()
        self._serve_until(lambda: self._monitor_node.state == until)

    def _press(self) -> None:
        """Press the button, or do what it does if the window is gone."""
        if self._gui.alive:
            self._gui.press()
        else:
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        """Do as the button says; called by the GUI, in this thread."""
        own, self._is_own_press = self._is_own_press, False
        by = "the demo itself" if own else "you"
        if self._monitor_node.state == "running":
            self._monitor.stop()
            self._monitor_node.state = "paused"
            self._paused_by_user = not own
            self.scene.recent.clear()
            self._gui.do("begin_gap", time.time(), "paused")
            self._tell(f"the button says Pause: the monitor is paused, by {by}")
        elif self._monitor_node.state == "paused":
            self._paused_by_user = False
            self._gui.do("end_gap", time.time())
            self._start_monitor()
            self._tell(f"the button says Resume: the monitor goes on, by {by}")
        self._gui.do("show_running", self._monitor_node.state != "paused")

    def _close(self) -> None:
        """End the demo; called by the GUI, in this thread."""
        self._closed = True

    def _kill_monitor(self) -> None:
        """Kill the monitor in the middle of a call, behind the library's back."""
        self._gui.enable(False)
        self._monitor_node.state = "dead"
        node = self._monitor_process
        pending = node._import("time").sleep(60, _sync="async")
        before = time.perf_counter()
        node.proc.kill()
        killed = time.time()
        error = pending.exception(timeout=PATIENCE)
        noticed_after = time.perf_counter() - before
        assert isinstance(error, ServerDisconnected)
        self._killed = killed
        self.scene.recent.clear()
        remark = f"killed, noticed\nafter {noticed_after * 1e3:.1f} ms"
        self._gui.do("begin_gap", killed, "no monitor", remark)
        self._tell(f"killed the monitor, process {node.pid}")
        self._tell(f"ServerDisconnected after {noticed_after * 1e3:.1f} ms: {error}")

    def _restart_monitor(self) -> None:
        self._monitors.close()  # what is left of the dead one
        before = time.perf_counter()
        self._spawn_monitor()
        now = time.time()
        self._start_monitor()
        took = time.perf_counter() - before
        self._gui.do("end_gap", now, f"started again\nafter {now - self._killed:.1f} s")
        self._gui.enable(True)
        self._tell(
            f"started the monitor again in {took * 1e3:.0f} ms, process {self._monitor_node.pid}"
        )

    # -- meanwhile -----------------------------------------------------------

    def _play_until(self, part: float) -> None:
        """Go on until that part of the time has passed, and the user wants no pause."""
        end = part * self.scene.seconds
        while self._paused_by_user or self.scene.elapsed - self._paused < end:
            self._serve(INTERVAL)

    def _serve_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < deadline:
            self._serve(INTERVAL)

    def _serve(self, seconds: float) -> None:
        """Carry out callbacks for a while, then show what they have brought."""
        scene = self.scene
        begin = time.monotonic()
        end = begin + seconds
        while (left := end - time.monotonic()) > 0:
            self._server._read_and_process_one(timeout=left)
        for _ in range(self._keys.pressed().count(" ")):
            self._press()
        if self._gui.has_ended():
            self._gui_node.state = "dead"
            self._tell(f"the GUI, process {self._gui.node.pid}, has ended; the others go on")
        if self._monitor_node.state in ("running", "paused"):
            code = self._monitor_process.poll()
            if code is not None:
                raise ServerDisconnected(f"monitor has ended with exit code {code}")
        scene.elapsed = time.monotonic() - self._began
        if self._paused_by_user:
            self._paused += time.monotonic() - begin
        if scene.samples:
            scene.summary = self._history.summary()
        self._view.draw()
        if self._closed:
            raise _WindowClosed

    def _show(self, node: Node, process: ProcessSpawner) -> None:
        node.state, node.pid, node.address = "running", process.pid, process.address

    def _tell(self, what: str) -> None:
        self.scene.events.append((time.monotonic() - self._began, what))
        self._gui.do("tell", what)
