"""The results as a picture: one panel for each kind of work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .contenders import OURS, PEERS, RAW
from .lines import LINES, Line, median, shown_number
from .measure import Results

__all__ = ["draw"]


@dataclass(frozen=True)
class Panel:
    """One kind of work.

    Attributes
    ----------
    title : str
    unit : str
        And which way is better.
    ticks : dict
        Quantity: what it is called under its place.
    """

    title: str
    unit: str
    ticks: dict[str, str]


PANELS = [
    Panel(
        "time of a call",
        "µs, less is better",
        {
            "call": "sync call",
            "bound": "sync call,\nbound method",
            "busy call": "sync call,\ncores busy",
            "busy bound": "bound method,\ncores busy",
            "inproc": "thread to\nthread",
        },
    ),
    Panel(
        "rate of calls",
        "/s, more is better",
        {
            "async": "async, 10,000\nin flight",
            "fire": "fire and\nforget",
            "crowd rate": "200 clients,\nall together",
        },
    ),
    Panel(
        "arrays of float64",
        "GB/s, more is better",
        {
            "send 1 MB": "sent,\n1 MB",
            "send 8 MB": "8 MB",
            "send 64 MB": "64 MB",
            "get 1 MB": "returned,\n1 MB",
            "get 8 MB": "8 MB",
            "get 64 MB": "64 MB",
        },
    ),
    Panel("start of a node", "ms, less is better", {"start": "", "warm": "warm"}),
    Panel("its memory", "MB, less is better", {"memory": ""}),
    Panel(
        "a live proxy",
        "bytes, less is better",
        {"proxies client": "client", "proxies server": "server"},
    ),
    Panel("release of 100,000", "s, less is better", {"proxies release": ""}),
]

# Okabe and Ito's colours, which can be told apart with any eyes; the markers
# say the same without colour.
STYLES = {
    OURS: ("#D55E00", "o"),
    "RPyC": ("#0072B2", "s"),
    "Pyro5": ("#009E73", "^"),
    "teleprox": ("#CC79A7", "D"),
    "zerorpc": ("#E69F00", "v"),
    "managers": ("#56B4E9", "P"),
}

_RAW_COLOUR = "#555555"
_ROWS = [(1,), (5, 6), (1, 1, 1, 1)]
"""How wide the panels of a row are, next to each other."""


def draw(results: Results, about: dict[str, Any], path: Path) -> None:
    """Draw the medians of a run.

    Parameters
    ----------
    results : dict
        From `measure`.
    about : dict
        From `record.machine`.
    path : Path
        The file to write; its suffix says of which kind.
    """
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    with plt.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = plt.figure(figsize=(9.5, 8.4))
        panels = iter(PANELS)
        grid = figure.add_gridspec(
            len(_ROWS), left=0.075, right=0.99, top=0.895, bottom=0.07, hspace=0.62
        )
        for place, widths in zip(grid, _ROWS):
            row = place.subgridspec(1, len(widths), width_ratios=widths, wspace=0.1 * len(widths))
            for cell in row:
                _draw_panel(figure.add_subplot(cell), next(panels), results)
        _draw_legend(figure, results)
        load = "unknown" if about["load_at_begin"] is None else f"{about['load_at_begin'][0]:.1f}"
        figure.text(
            0.5,
            0.012,
            f"medians on {about['cores']} cores, {about['cpu'] or 'unknown CPU'}, load {load};"
            " logarithmic scales",
            ha="center",
            fontsize=8,
            color="#555555",
        )
        figure.savefig(path, dpi=160)
        plt.close(figure)


def _draw_panel(axes: Any, panel: Panel, results: Results) -> None:
    lines = {line.quantity: line for line in LINES}
    ticks = {quantity: label for quantity, label in panel.ticks.items() if quantity in results}
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold", pad=19)
    axes.annotate(
        panel.unit,
        (0, 1),
        xytext=(0, 6),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8.5,
        color="#555555",
    )
    values = []
    for place, quantity in enumerate(ticks):
        line = lines.get(quantity, Line("", quantity, "µs"))
        values += _draw_group(axes, place, line, results)
    if not values:
        axes.set_axis_off()
        return
    _set_scale(axes, min(values), max(values))
    axes.set_xticks(range(len(ticks)), ticks.values())
    axes.set_xlim(-0.55, len(ticks) - 0.45)
    for place in range(1, len(ticks)):
        axes.axvline(place - 0.5, color="#dddddd", linewidth=0.8)


def _draw_group(axes: Any, place: int, line: Line, results: Results) -> list[float]:
    values = []
    raw = median(results, line.quantity, RAW)
    if raw is not None:
        value = shown_number(line, raw)
        axes.hlines(value, place - 0.45, place + 0.45, _RAW_COLOUR, linewidth=1.6, linestyle=":")
        values.append(value)
    names = list(STYLES)
    for number, name in enumerate(names):
        found = median(results, line.quantity, name)
        # A few proxies may fit into memory that is there already: no place for that here.
        if found is None or found <= 0:
            continue
        value = shown_number(line, found)
        values.append(value)
        colour, marker = STYLES[name]
        where = place + 0.13 * (number - (len(names) - 1) / 2)
        axes.plot(
            where,
            value,
            marker,
            color=colour,
            markersize=9 if name == OURS else 7,
            markeredgecolor="black" if name == OURS else "white",
            markeredgewidth=0.9 if name == OURS else 0.4,
            zorder=3,
        )
        if name == OURS:
            _annotate(axes, where, value)
    return values


def _annotate(axes: Any, where: float, value: float) -> None:
    axes.annotate(
        _short(value),
        (where, value),
        xytext=(5, 7),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color=STYLES[OURS][0],
        bbox={"boxstyle": "square,pad=0.05", "facecolor": "white", "edgecolor": "none"},
        zorder=2.5,
    )


def _short(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.2g}k" if value < 99_500 else f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 99.5 else f"{value:#.2g}".rstrip(".")


def _set_scale(axes: Any, low: float, high: float) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_autoscale_on(False)
    margin = 1.2 * (high / low) ** 0.07
    axes.set_ylim(low / margin, high * margin * 1.3)
    axes.set_yscale("log")
    # A scale of less than two decades has too few powers of ten to read it by.
    within = (1.0, 2.0, 5.0) if high / low < 100 else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=within))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)


def _draw_legend(figure: Any, results: Results) -> None:
    from matplotlib.lines import Line2D

    def taking_part(names: Sequence[str]) -> list[str]:
        return [name for name in names if any(name in found for found in results.values())]

    handles = [
        Line2D([], [], color=_RAW_COLOUR, linestyle=":", linewidth=1.6, label="raw pyzmq or python")
        for _ in taking_part([RAW])
    ]
    for name in taking_part([OURS, *PEERS]):
        colour, marker = STYLES[name]
        handles.append(
            Line2D([], [], color=colour, marker=marker, linestyle="", markersize=8, label=name)
        )
    figure.legend(handles=handles, loc="upper center", ncols=len(handles), frameon=False)
