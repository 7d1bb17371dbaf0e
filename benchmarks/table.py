"""The results as text."""

from __future__ import annotations

from collections.abc import Sequence

from .contenders import CONTENDERS, OURS, RAW
from .lines import LINES, Line, compare, median, shown
from .measure import Results

__all__ = ["comparison_table", "values_table"]

_BOUND = [
    Line("sync call, bound method", "bound", "µs"),
    Line("bound method, cores busy", "busy bound", "µs"),
]

_NAMES = {RAW: "raw"}


def comparison_table(results: Results) -> str:
    """Write how we do, line by line."""
    rows = [["", OURS, "theirs", "ratio", "reach", "", "ratio to theirs, which is"]]
    for line in LINES:
        found = compare(line, results)
        if found is None:
            continue
        rows.append(
            [
                line.title,
                shown(line, found.ours),
                "" if found.theirs is None else shown(line, found.theirs),
                "" if found.ratio is None else f"{found.ratio:.2f}",
                line.reach,
                {None: "", True: "yes", False: "no"}[found.reached],
                found.to,
            ]
        )
    return _laid_out(rows, left=(0, 6))


def values_table(results: Results) -> str:
    """Write everybody's medians; empty where somebody cannot do a work."""
    taking_part = [name for name in CONTENDERS if any(name in found for found in results.values())]
    rows = [["median", *(_NAMES.get(name, name) for name in taking_part)]]
    for line in _quantities():
        if line.quantity not in results:
            continue
        values = [median(results, line.quantity, name) for name in taking_part]
        rows.append([line.title, *("" if one is None else shown(line, one) for one in values)])
    return _laid_out(rows)


def _quantities() -> list[Line]:
    first = {line.quantity: line for line in reversed(LINES)}
    lines = [line for line in LINES if first[line.quantity] is line]
    for line in _BOUND:
        before = line.quantity.replace("bound", "call")
        lines.insert([one.quantity for one in lines].index(before) + 1, line)
    return lines


def _laid_out(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])
