"""Tables of plain text, and how numbers are written in them."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["in_bytes", "in_time", "table"]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows under a head, in columns.

    Examples
    --------
    >>> print(table(["NAME", "PID"], [["lab", "7"], ["spectrograph", "42"]]))
    NAME          PID
    lab           7
    spectrograph  42
    """
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def in_time(seconds: float | None) -> str:
    """Return a time in a unit that fits.

    Examples
    --------
    >>> in_time(0.000085), in_time(0.25), in_time(7), in_time(150), in_time(9000), in_time(2e5)
    ('85 µs', '250 ms', '7.0 s', '2 min', '2.5 h', '2.3 d')
    >>> in_time(None)
    '-'
    """
    if seconds is None:
        return "-"
    for limit, factor, unit, digits in _TIMES:
        if seconds < limit:
            return f"{seconds * factor:.{digits}f} {unit}"
    return f"{seconds / 86400:.1f} d"


_TIMES = (
    (1e-3, 1e6, "µs", 0),
    (1.0, 1e3, "ms", 0),
    (100.0, 1.0, "s", 1),
    (6000.0, 1 / 60, "min", 0),
    (86400.0, 1 / 3600, "h", 1),
)


def in_bytes(size: float | None) -> str:
    """Return a number of bytes in a unit that fits.

    Examples
    --------
    >>> in_bytes(2048), in_bytes(3.5e6), in_bytes(2e9), in_bytes(None)
    ('2.0 kB', '3.5 MB', '2.0 GB', '-')
    """
    if size is None:
        return "-"
    for limit, unit in ((1e6, "kB"), (1e9, "MB"), (1e12, "GB")):
        if size < limit:
            return f"{size / limit * 1e3:.1f} {unit}"
    return f"{size / 1e12:.1f} TB"
