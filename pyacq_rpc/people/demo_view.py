"""What the demo shows while it runs: a live table, or plain lines for a log."""

from __future__ import annotations

import os
import sys
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["Node", "Scene", "View", "in_units", "make_view"]

HISTORY = 32
"""Samples in the small curve beside each signal."""

MOST_CORES = 8
"""Cores that the live table has lines for; the plot shows all."""

EVENTS = 4
"""The latest events, in the live table."""

_BLOCKS = " ▁▂▃▄▅▆▇█"
_STYLES = {
    "running": "green",
    "paused": "blue",
    "dead": "bold red",
    "starting": "yellow",
    "ended": "dim",
}
_WORTH_TELLING = ("paused", "dead")
"""States of nodes, in plain lines."""


@dataclass
class Node:
    """One process, as it is shown.

    Attributes
    ----------
    state : {'starting', 'running', 'paused', 'dead', 'ended'}
    """

    name: str
    does: str
    state: str = "starting"
    pid: int | None = None
    address: str = ""


@dataclass
class Scene:
    """What there is to see.

    Attributes
    ----------
    seconds : float
        How long the demo is to run.
    elapsed : float
        Seconds since it began.
    signals : list of (str, str)
        Name and unit of each.
    recent : deque of list of float
        The latest samples, without their times.
    summary : array of float64, shape (3, signals), or None
        Mean, standard deviation and maximum of each signal.
    events : list of (float, str)
        When, in seconds since the beginning, and what.
    """

    seconds: float
    nodes: list[Node]
    elapsed: float = 0.0
    samples: int = 0
    signals: list[tuple[str, str]] = field(default_factory=list)
    recent: deque[list[float]] = field(default_factory=lambda: deque(maxlen=HISTORY))
    summary: Any = None
    events: list[tuple[float, str]] = field(default_factory=list)


class View(Protocol):
    """Shows a scene as it changes."""

    def __enter__(self) -> View:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""

    def draw(self) -> None:
        """Show what has changed."""


def make_view(scene: Scene) -> View:
    """Return the live table if stdout is a terminal that can show it, else plain lines."""
    if sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from rich.console import Console

        console = Console()
        if not console.options.ascii_only:
            return LiveView(scene, console)
    return PlainView(scene)


def in_units(value: float, unit: str) -> str:
    """Write a value with a prefix that suits it.

    Examples
    --------
    >>> in_units(12.345, "%"), in_units(2.5e9, "B"), in_units(800.0, "B/s")
    ('12 %', '2.50 GB', '0.8 kB/s')
    """
    if unit == "%":
        return f"{value:.0f} %"
    for size, prefix, digits in ((1e9, "G", 2), (1e6, "M", 1)):
        if value >= size:
            return f"{value / size:.{digits}f} {prefix}{unit}"
    return f"{value / 1e3:.1f} k{unit}"


class PlainView:
    """Writes a line each second, and one for each event; for logs and pipes."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._told = 0
        self._next = 1.0

    def __enter__(self) -> PlainView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self._tell_events()

    def draw(self) -> None:
        """Write what is new."""
        self._tell_events()
        scene = self._scene
        if scene.elapsed < self._next:
            return
        self._next = int(scene.elapsed) + 1.0
        shown = [
            f"{node.name}: {node.state}" for node in scene.nodes if node.state in _WORTH_TELLING
        ]
        if scene.recent:
            values = zip(scene.signals, scene.recent[-1])
            texts = [f"{name} {in_units(value, unit)}" for (name, unit), value in values]
            cores = [text for text in texts if text.startswith("CPU")]
            left_out = [f"({len(cores) - MOST_CORES} more)"] if len(cores) > MOST_CORES else []
            shown += cores[:MOST_CORES] + left_out + texts[len(cores) :]
        if shown:
            self._write(scene.elapsed, ", ".join(shown))

    def _tell_events(self) -> None:
        for when, what in self._scene.events[self._told :]:
            self._write(when, what)
        self._told = len(self._scene.events)

    def _write(self, when: float, text: str) -> None:
        print(f"{when:5.1f} s  {text}", flush=True)


class LiveView:
    """Draws signals, nodes, events and a progress bar over and over in one place."""

    def __init__(self, scene: Scene, console: Console) -> None:
        from rich.live import Live

        self._scene = scene
        # Drawn when asked to: the scene changes in the same thread.
        self._live = Live(console=console, auto_refresh=False)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if error is None:
            self.draw()
        self._live.stop()

    def draw(self) -> None:
        """Draw everything again."""
        from rich.console import Group
        from rich.padding import Padding

        tables = Group(self._signals(), "", self._nodes())
        story = Group("", self._events(), "", self._progress())
        self._live.update(Padding(Group(tables, story), (0, 1)), refresh=True)

    def _signals(self) -> Table:
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, expand=True)
        table.add_column("Signal", no_wrap=True, min_width=9)
        for name in ("now", "mean", "std", "max"):
            table.add_column(name, justify="right", min_width=10, no_wrap=True)
        length = max(8, min(HISTORY, self._live.console.width - 68))
        table.add_column(f"last {length / 10:.1f} s", width=length, style="cyan", no_wrap=True)
        scene = self._scene
        cores = sum(1 for name, _ in scene.signals if name.startswith("CPU"))
        for index, (name, unit) in enumerate(scene.signals):
            if MOST_CORES <= index < cores:
                if index == MOST_CORES:
                    table.add_row(f"({cores - MOST_CORES} more)", style="dim")
                continue
            recent = [sample[index] for sample in scene.recent]
            cells = [in_units(recent[-1], unit) if recent else "-"]
            for row in range(3):
                known = scene.summary is not None
                cells.append(in_units(scene.summary[row, index], unit) if known else "-")
            table.add_row(name, *cells, _small_curve(recent[-length:], unit))
        return table

    def _nodes(self) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, show_edge=False, expand=True)
        for name, width in (("Process", 10), ("state", 8), ("pid", 7), ("address", 21)):
            table.add_column(name, no_wrap=True, min_width=width)
        table.add_column("does", no_wrap=True, ratio=1)
        table.add_row("main", Text("running", "green"), str(os.getpid()), "", "shows this")
        for node in self._scene.nodes:
            pid = "-" if node.pid is None else str(node.pid)
            state = Text(node.state, _STYLES[node.state])
            table.add_row(node.name, state, pid, node.address, node.does)
        return table

    def _events(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right", style="dim", min_width=6, no_wrap=True)
        table.add_column(no_wrap=True)
        latest = self._scene.events[-EVENTS:]
        for when, what in latest:
            table.add_row(f"{when:.1f} s", Text(what))
        for _ in range(EVENTS - len(latest)):
            table.add_row("", "")
        return table

    def _progress(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        scene = self._scene
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(ratio=1)
        table.add_column(justify="right", width=14, no_wrap=True)
        table.add_column(justify="right", width=12, no_wrap=True)
        elapsed = min(scene.elapsed, scene.seconds)
        table.add_row(
            ProgressBar(total=scene.seconds, completed=elapsed),
            f"{elapsed:.1f} of {scene.seconds:g} s",
            f"{scene.samples} samples",
        )
        return table


def _small_curve(values: list[float], unit: str) -> str:
    """Draw values in one line of text, from zero to their maximum (or 100 %)."""
    top = 100.0 if unit == "%" else max(values, default=0.0)
    last = len(_BLOCKS) - 1
    if top <= 0:
        return ""
    return "".join(_BLOCKS[round(min(value / top, 1.0) * last)] for value in values)
