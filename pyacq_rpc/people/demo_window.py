"""The window of the demo, which lives in a GUI process: live curves, and a button."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import qtpy
from qtpy import QtCore, QtGui, QtWidgets

from pyacq_rpc.qt.binding import Signal

os.environ["PYQTGRAPH_QT_LIB"] = qtpy.API_NAME  # two bindings in one process do not go together
import pyqtgraph as pg

if TYPE_CHECKING:
    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

__all__ = ["DemoWindow", "Track"]

SIZE = 1000, 750
"""Of the window, and so of the picture."""

SMOOTHING = 0.5
"""Seconds that the thick curves are averaged over."""

MOST_POINTS = 500
"""In a curve, on the whole."""

REFRESH = 100
"""Milliseconds between two drawings, however fast samples come."""

TEXT, HEADING = 12, 18
"""Heights of letters in pixels, whatever the screen says of itself."""

TOP = 135
"""Where the plot of the processors ends, in percent: there is room for remarks above."""

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#17becf")
"""Of the cores, if there are no more; beyond, only their mean has a name."""

KILLED, RESTARTED, PAUSED = "#b22222", "#228b22", "#4169a1"
MEMORY, RECEIVED, SENT = "#9467bd", "#2ca02c", "#d62728"

pg.setConfigOptions(antialias=True, background="w", foreground="k")


class Track:
    """Samples as they are to be drawn: as they came, and smoothed, with gaps.

    Parameters
    ----------
    signals : int
        How many values a sample has beside its time.
    width : float
        Seconds that are averaged over, up to each sample.

    Examples
    --------
    >>> track = Track(1, width=0.5)
    >>> for sample in ([0.0, 1.0], [0.1, 3.0]):
    ...     track.append(sample)
    >>> track.cut(0.2)
    >>> track.append([0.3, 5.0])
    >>> track.samples()[:, 1], track.smoothed()[:, 1]
    (array([ 1.,  3., nan,  5.]), array([ 1.,  2., nan,  5.]))
    """

    def __init__(self, signals: int, width: float) -> None:
        self._rows: Array = np.empty((256, 2, 1 + signals))
        self._used = 0
        self._width = width
        self._latest: deque[Array] = deque()
        self._cut: float | None = None

    def append(self, sample: Sequence[float]) -> None:
        """Add one sample: its time, then its values."""
        row = np.array(sample, float)
        if self._cut is not None and row[0] > self._cut:
            nothing = np.full_like(row, np.nan)
            nothing[0], self._cut = self._cut, None
            self._latest.clear()
            self._add(nothing, nothing)
        self._latest.append(row)
        while self._latest[0][0] < row[0] - self._width:
            self._latest.popleft()
        smooth = np.mean(self._latest, axis=0)
        smooth[0] = row[0]
        self._add(row, smooth)

    def cut(self, when: float) -> None:
        """Let no curve cross that time. Samples of before may still come after."""
        self._cut = when

    def samples(self) -> Array:
        """Return what came, as an array of shape (samples and gaps, 1 + signals).

        Of very many samples some are left out: to draw them would take long.
        """
        return self._thinned(0)

    def smoothed(self) -> Array:
        """Return the means, in the same shape."""
        return self._thinned(1)

    def _thinned(self, which: int) -> Array:
        rows: Array = self._rows[: self._used, which]
        step = 1 + self._used // MOST_POINTS
        if step > 1:
            drawn = np.isnan(rows[:, 1])  # all gaps
            drawn[::step] = True
            rows = rows[drawn]
        return rows

    def _add(self, row: Array, smooth: Array) -> None:
        if self._used == len(self._rows):
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
        self._rows[self._used] = row, smooth
        self._used += 1


class DemoWindow(QtWidgets.QWidget):
    """Plots the samples that a monitor sends, and marks when there were none.

    What it shows, and what the button does, is decided by the process that has
    a proxy of it.

    Parameters
    ----------
    signals : list of (str, str)
        Name and unit of each.
    began : float
        Where the curves begin, in seconds since the epoch.
    seconds : float
        How long they are going to be.

    Attributes
    ----------
    button : QPushButton
        Does nothing of itself; its ``clicked`` is for who steers the demo.
    closed : Signal
        The user has closed the window.
    """

    closed = Signal()

    def __init__(self, signals: list[tuple[str, str]], began: float, seconds: float) -> None:
        super().__init__()
        self._began = began
        self._seconds = seconds
        self._track = Track(len(signals), SMOOTHING)
        self._has_more = False
        self._gap: list[Any] | None = None  # what marks the one that has not ended
        self._gap_began = 0.0
        self._heading = QtWidgets.QLabel()
        self._status = QtWidgets.QLabel()
        self.button = QtWidgets.QPushButton()
        self._plots = pg.GraphicsLayoutWidget()
        self._lay_out()
        self._set_up_plots(signals)
        self.show_running(True)
        self.set_heading("pyacq-rpc demo")
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._refresh)
        self._timer.start(REFRESH)

    # -- for the monitor ---------------------------------------------------------

    def append(self, sample: Sequence[float]) -> None:
        """Draw one more sample, soon.

        Parameters
        ----------
        sample : sequence of float
            A time in seconds since the epoch, then the value of each signal.
        """
        self._track.append([sample[0] - self._began, *sample[1:]])
        self._has_more = True

    # -- for who steers ----------------------------------------------------------

    def set_heading(self, text: str) -> None:
        """Say what there is to see."""
        self.setWindowTitle(text)
        self._heading.setText(text)

    def tell(self, text: str) -> None:
        """Say what has happened, beside the button."""
        self._status.setText(text)

    def show_running(self, running: bool) -> None:
        """Have the button say what it would do."""
        self.button.setText("Pause" if running else "Resume")

    def begin_gap(self, when: float, why: str, remark: str = "") -> None:
        """Mark that no samples are to be expected, from a time on.

        Parameters
        ----------
        when : float
            In seconds since the epoch.
        why : str
            Written within the gap.
        remark : str
            Written before it, if it is one that nobody has wished for.
        """
        self._gap_began = when - self._began
        self._track.cut(self._gap_began)
        colour = KILLED if remark else PAUSED
        self._gap = self._mark_gap(self._gap_began, why, colour)
        if remark:
            self._remark(self._gap_began, remark, colour, left=True)

    def end_gap(self, when: float, remark: str = "") -> None:
        """Mark that samples come again.

        Parameters
        ----------
        when : float
            In seconds since the epoch.
        remark : str
            Written after the gap.
        """
        if self._gap is None:
            return
        end = when - self._began
        self._stretch_gap(end)
        self._gap = None
        if remark:
            self._remark(end, remark, RESTARTED, left=False)
        for plot in (self._cores, self._memory, self._traffic):
            plot.addItem(pg.InfiniteLine(end, pen=pg.mkPen(RESTARTED if remark else PAUSED)))

    def save(self, path: str) -> None:
        """Save a picture of the window.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._refresh()
        if not self.grab().save(path, "PNG"):
            raise OSError(f"the picture cannot be written to {path}")

    def closeEvent(self, event: Any) -> None:  # noqa: N802  # Qt's name
        """Tell who steers."""
        super().closeEvent(event)
        self.closed.emit()

    # -- what is on it -----------------------------------------------------------

    def _lay_out(self) -> None:
        self.resize(*SIZE)
        palette = self.palette()
        palette.setColor(QtGui.QPalette.ColorRole.Window, QtGui.QColor("white"))
        palette.setColor(QtGui.QPalette.ColorRole.WindowText, QtGui.QColor("black"))
        self.setPalette(palette)
        for widget, size in ((self, TEXT), (self._heading, HEADING)):
            font = widget.font()
            font.setPixelSize(size)
            widget.setFont(font)
        self._heading.setAlignment(QtCore.Qt.AlignmentFlag.AlignCenter)
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.button)
        row.addWidget(self._status, 1)
        column = QtWidgets.QVBoxLayout(self)
        column.addWidget(self._heading)
        column.addWidget(self._plots, 1)
        column.addLayout(row)

    def _set_up_plots(self, signals: list[tuple[str, str]]) -> None:
        names = [name for name, _ in signals]
        cores = [index for index, name in enumerate(names) if name.startswith("CPU")]
        few = len(cores) <= len(COLOURS)
        colours: Sequence[Any] = COLOURS
        if not few:
            colours = pg.colormap.get("viridis").getLookupTable(nPts=len(cores))
        self._curves: list[tuple[Any, str, list[int]]] = []
        self._column = {name: 1 + index for index, name in enumerate(names)}

        self._cores = self._add_plot("CPU busy (%)", 3)
        legend = []
        for core, colour in zip(cores, colours):
            pale = pg.mkColor(colour)
            pale.setAlpha(90 if few else 50)
            self._add_curve(self._cores, "samples", [core], pen=pg.mkPen(pale, width=1))
            if few:
                self._add_curve(self._cores, "smoothed", [core], pen=pg.mkPen(colour, width=2))
                legend.append((names[core], colour))
        if few:
            legend.append((f"thin: each sample, thick: mean over {SMOOTHING:g} s", "#666666"))
        else:
            self._add_curve(self._cores, "smoothed", cores, pen=pg.mkPen("k", width=2))
            legend.append((f"mean of {len(cores)} cores, over {SMOOTHING:g} s", "black"))
        self._set_legend(self._cores, legend)
        self._cores.setYRange(-5, TOP, padding=0)
        self._cores.getAxis("left").setTicks([[(y, str(y)) for y in range(0, 101, 20)], []])

        self._memory = self._add_plot("Memory", 2, "B")
        self._set_legend(self._memory, [("memory in use", MEMORY)])
        memory = [names.index("memory")]
        self._add_curve(self._memory, "samples", memory, pen=pg.mkPen(MEMORY, width=2))

        self._traffic = self._add_plot("Network", 2, "B/s")
        self._set_legend(self._traffic, [("received", RECEIVED), ("sent", SENT)])
        self._traffic.setLabel("bottom", "Time (s)", **{"font-size": f"{TEXT}px"})
        dashes = QtCore.Qt.PenStyle.DashLine
        for name, pen in (
            ("received", pg.mkPen(RECEIVED, width=1.5)),
            ("sent", pg.mkPen(SENT, width=1.5, style=dashes)),
        ):
            self._add_curve(self._traffic, "samples", [names.index(name)], pen=pen)

    def _add_plot(self, label: str, height: int, unit: str | None = None) -> Any:
        row = self._plots.ci.layout.rowCount()
        plot = self._plots.addPlot(row=row, col=0)
        self._plots.ci.layout.setRowStretchFactor(row, height)
        left = plot.getAxis("left")
        left.setLabel(label, units=unit, **{"font-size": f"{TEXT}px"})
        left.enableAutoSIPrefix(unit is not None)
        left.setWidth(70)
        for axis in (left, plot.getAxis("bottom")):
            axis.setStyle(tickFont=self.font(), hideOverlappingLabels=False)
        plot.showGrid(x=True, y=True, alpha=0.15)
        plot.hideButtons()
        plot.setXRange(0, self._seconds, padding=0)
        return plot

    def _set_legend(self, plot: Any, legend: Sequence[tuple[str, str]]) -> None:
        """Write names in their curves' colours above a plot."""
        names = [f"<span style='color: {colour}'>{name}</span>" for name, colour in legend]
        plot.setTitle(("&nbsp;" * 4).join(names), size=f"{TEXT}px")

    def _add_curve(self, plot: Any, which: str, columns: list[int], pen: Any) -> None:
        """Add what draws the mean of some signals."""
        curve = plot.plot(pen=pen, connect="finite")
        self._curves.append((curve, which, [1 + column for column in columns]))

    def _draw(self) -> None:
        """Draw all curves again."""
        tables = {"samples": self._track.samples(), "smoothed": self._track.smoothed()}
        for curve, which, columns in self._curves:
            table = tables[which]
            curve.setData(table[:, 0], table[:, columns].mean(axis=1))
        memory = tables["samples"][:, self._column["memory"]]
        low, high = np.nanmin(memory), np.nanmax(memory)
        middle, reach = (low + high) / 2, max(high - low, 20e6)
        self._memory.setYRange(middle - 0.7 * reach, middle + 0.7 * reach, padding=0)
        traffic = tables["samples"][:, [self._column["received"], self._column["sent"]]]
        self._traffic.setYRange(0, max(1.1 * np.nanmax(traffic), 1e3), padding=0)

    def _refresh(self) -> None:
        """Draw what has come, let a gap grow, and make room on the right."""
        if self._has_more:
            self._has_more = False
            self._draw()
        now = time.time() - self._began
        if self._gap is not None:
            self._stretch_gap(now)
        if now > self._seconds:
            for plot in (self._cores, self._memory, self._traffic):
                plot.setXRange(0, now, padding=0)

    # -- gaps --------------------------------------------------------------------

    def _mark_gap(self, begin: float, why: str, colour: str) -> list[Any]:
        """Mark a gap without length; what is to grow with it, the text first."""
        text = self._text(why, "#555555", anchor=(0.5, 0.5))
        items = [text]
        for plot in (self._cores, self._memory, self._traffic):
            region = pg.LinearRegionItem(
                [begin, begin], movable=False, brush=pg.mkBrush("#eeeeee"), pen=pg.mkPen(None)
            )
            region.setZValue(-100)  # behind the grid
            plot.addItem(region, ignoreBounds=True)
            plot.addItem(pg.InfiniteLine(begin, pen=pg.mkPen(colour)), ignoreBounds=True)
            items.append(region)
        self._cores.addItem(text, ignoreBounds=True)
        return items

    def _stretch_gap(self, end: float) -> None:
        assert self._gap is not None
        text, *regions = self._gap
        for region in regions:
            region.setRegion([self._gap_began, end])
        text.setPos((self._gap_began + end) / 2, 50)

    def _remark(self, when: float, text: str, colour: str, left: bool) -> None:
        """Write beside a vertical line."""
        item = self._text(text, colour, anchor=(1 if left else 0, 0))
        item.setPos(when, TOP)
        self._cores.addItem(item, ignoreBounds=True)

    def _text(self, text: str, colour: str, anchor: tuple[float, float]) -> Any:
        item = pg.TextItem(text, color=colour, anchor=anchor)
        item.setFont(self.font())
        return item
