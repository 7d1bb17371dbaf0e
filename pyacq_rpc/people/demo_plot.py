"""The plot that the demo ends with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

__all__ = ["Outage", "draw"]

MOST_LABELS = 8
"""Cores that are named in the legend; beyond, only their mean is."""


@dataclass
class Outage:
    """When a node was dead.

    Attributes
    ----------
    killed, restarted : float
        In seconds since the epoch.
    noticed_after : float
        In seconds.
    """

    killed: float
    restarted: float
    noticed_after: float


def draw(
    path: Path,
    signals: list[tuple[str, str]],
    samples: Array,
    smoothed: Array,
    outage: Outage,
) -> None:
    """Draw all signals against time into a PNG file.

    Parameters
    ----------
    path : Path
        Where the file goes.
    signals : list of (str, str)
        Name and unit of each.
    samples, smoothed : array of float64, shape (samples, 1 + signals)
        The time of each sample in seconds since the epoch, then its values.
    outage : Outage
        Marked in the plot; the curves have a gap there.
    """
    from matplotlib.figure import Figure

    start = samples[0, 0]
    times = samples[:, 0] - start
    killed, restarted = outage.killed - start, outage.restarted - start
    figure = Figure(figsize=(10, 7.5), dpi=120, layout="constrained")
    axes: Any = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 2])
    figure.suptitle(
        f"{times[-1]:.0f} s of this machine, sampled by a node that was killed and started again",
        fontsize="x-large",
    )
    pieces = [times <= killed, times > killed]

    def curve(ax: Any, y: Array, **style: Any) -> None:
        for piece in pieces:  # two lines, so that none bridges the gap
            ax.plot(times[piece], y[piece], **style)
            style.pop("label", None)

    cores = [i for i, (name, _) in enumerate(signals) if name.startswith("CPU")]
    colours = _colours(len(cores))
    few = len(cores) <= MOST_LABELS
    for index, colour in zip(cores, colours):
        name = signals[index][0]
        curve(axes[0], samples[:, 1 + index], color=colour, alpha=0.3 if few else 0.15, lw=0.8)
        if few:
            curve(axes[0], smoothed[:, 1 + index], color=colour, lw=2, label=name)
    if not few:
        mean = smoothed[:, [1 + index for index in cores]].mean(axis=1)
        curve(axes[0], mean, color="black", lw=2, label=f"mean of {len(cores)} cores")
    # Room above for what is written beside the marks.
    axes[0].set(ylabel="CPU busy (%)", ylim=(-3, 130), yticks=range(0, 101, 20))

    names = [name for name, _ in signals]
    memory = samples[:, 1 + names.index("memory")]
    size, prefix = _prefix(memory.max())
    curve(axes[1], memory / size, color="tab:purple", lw=2, label="in use")
    axes[1].set(ylabel=f"Memory ({prefix}B)")
    middle = (memory.max() + memory.min()) / 2
    reach = max(memory.max() - memory.min(), 20e6)
    axes[1].set_ylim(max(0.0, middle - 0.7 * reach) / size, (middle + 0.7 * reach) / size)
    axes[1].ticklabel_format(axis="y", useOffset=False)

    traffic = {name: samples[:, 1 + names.index(name)] for name in ("received", "sent")}
    size, prefix = _prefix(max(rate.max() for rate in traffic.values()))
    styles = {"received": ("tab:green", "-"), "sent": ("tab:red", "--")}
    for name, rate in traffic.items():
        colour, dashes = styles[name]
        curve(axes[2], rate / size, color=colour, ls=dashes, lw=1.5, label=name)
    axes[2].set(ylabel=f"Network ({prefix}B/s)", xlabel="Time (s)")
    axes[2].set_ylim(bottom=0)
    axes[2].set_xlim(0, times[-1])

    for ax in axes:
        ax.axvspan(killed, restarted, facecolor="0.92", edgecolor="0.75", hatch="///", lw=0)
        ax.axvline(killed, color="firebrick", lw=1.5)
        ax.axvline(restarted, color="forestgreen", lw=1.5)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    _mark(axes[0], killed, "right", f"killed, noticed\nafter {outage.noticed_after * 1e3:.1f} ms")
    _mark(axes[0], restarted, "left", f"started again\nafter {restarted - killed:.1f} s")
    axes[0].text(
        (killed + restarted) / 2,
        50,
        "no monitor",
        ha="center",
        va="center",
        color="0.35",
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "0.92", "lw": 0},
    )
    axes[0].text(
        1.02,
        0.02,
        "thin: ten times a second\nthick: mean over 0.5 s" if few else "thin: each core",
        transform=axes[0].transAxes,
        fontsize="small",
        color="0.4",
    )
    figure.align_ylabels()
    figure.savefig(path, format="png")


def _mark(ax: Any, x: float, side: str, text: str) -> None:
    """Write beside a vertical line."""
    colour = "firebrick" if side == "right" else "forestgreen"
    ax.annotate(
        text,
        (x, 0.97),
        xycoords=("data", "axes fraction"),
        xytext=(-6 if side == "right" else 6, 0),
        textcoords="offset points",
        ha=side,
        va="top",
        color=colour,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.8, "lw": 0},
    )


def _colours(number: int) -> list[Any]:
    """Return colours that can be told apart, as far as that goes."""
    from matplotlib import colormaps

    if number <= MOST_LABELS:
        return [colormaps["tab10"](index) for index in range(number)]
    return [colormaps["viridis"](index / number) for index in range(number)]


def _prefix(largest: float) -> tuple[float, str]:
    """Return the size and the name of the unit in which `largest` reads well."""
    for size, prefix in ((1e9, "G"), (1e6, "M")):
        if largest >= size:
            return size, prefix
    return 1e3, "k"
