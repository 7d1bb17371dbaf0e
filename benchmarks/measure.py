"""Runs works with contenders, round by round, and shows what came out."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import zmq

import pyacq_rpc

from .works import Contender, Work

__all__ = ["Results", "as_json", "as_table", "measure"]

Results = dict[str, dict[str, list[float]]]
"""Work, contender: seconds that one took, for each round."""


def measure(
    works: Sequence[Work],
    contenders: Sequence[Contender],
    rounds: int,
    told: Callable[[str], object] = lambda text: None,
) -> Results:
    """Run all works with all contenders in turn, as many rounds as asked for.

    Parameters
    ----------
    works : sequence of Work
    contenders : sequence of Contender
        Already started.
    rounds : int
        One more comes first, with a tenth of the work, which does not count.
    told : callable, optional
        Is told how far things are.
    """
    results: Results = {work.name: {} for work in works}
    for number in range(rounds + 1):
        told(f"round {number} of {rounds}" if number else "warming up")
        for index, work in enumerate(works):
            first = (number + index) % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                method = getattr(contender, work.method, None)
                if method is None:
                    continue
                count = work.count if number else max(1, work.count // 10)
                arguments = (count, work.megabytes) if work.megabytes else (count,)
                start = time.perf_counter()
                method(*arguments)
                seconds = (time.perf_counter() - start) / count
                if number:
                    results[work.name].setdefault(contender.name, []).append(seconds)
    return results


def ratio(results: Results, work: Work, contender: Contender) -> float | None:
    """How many times as long as its baseline a contender takes."""
    times = results[work.name]
    if contender.name not in times or contender.baseline not in times:
        return None
    return statistics.median(times[contender.name]) / statistics.median(times[contender.baseline])


def as_table(works: Sequence[Work], contenders: Sequence[Contender], results: Results) -> str:
    """Write medians, and how they compare with raw ones, as lines of text."""
    head = ["median of one"]
    for contender in contenders:
        head += [contender.name, "x raw"] if contender.baseline else [contender.name]
    rows = [head]
    for work in works:
        row = [work.name]
        for contender in contenders:
            times = results[work.name].get(contender.name)
            row.append(work.shown(statistics.median(times)) if times else "-")
            if contender.baseline:
                compared = ratio(results, work, contender)
                row.append("-" if compared is None else f"{compared:.1f}")
        rows.append(row)
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) for cell, width in zip(row, widths)]
        lines.append("  ".join([row[0].ljust(widths[0]), *cells[1:]]))
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def as_json(
    works: Sequence[Work], contenders: Sequence[Contender], results: Results
) -> dict[str, Any]:
    """Return everything that is known of a run, for a file."""
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": {
            "pyacq-rpc": pyacq_rpc.__version__,
            "python": platform.python_version(),
            "pyzmq": zmq.__version__,
            "libzmq": zmq.zmq_version(),
            "numpy": np.__version__,
        },
        "machine": {
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
        },
        "works": {
            work.name: {
                contender.name: {
                    "median_seconds": statistics.median(results[work.name][contender.name]),
                    "ratio_to": contender.baseline or None,
                    "ratio": ratio(results, work, contender),
                    "seconds": results[work.name][contender.name],
                }
                for contender in contenders
                if contender.name in results[work.name]
            }
            for work in works
        },
    }
