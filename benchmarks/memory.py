"""How much memory a process takes."""

from __future__ import annotations

from pathlib import Path

import psutil

__all__ = ["own", "share"]


def own(pid: int) -> int:
    """Return the bytes that nobody else has: the unique set size."""
    rollup = _rollup(pid)
    if rollup:
        return rollup["Private_Clean"] + rollup["Private_Dirty"]
    unique: int = psutil.Process(pid).memory_full_info().uss
    return unique


def share(pid: int) -> int:
    """Return the proportional set size, or the unique one where there is no other.

    A page that several processes have counts for each in equal parts.
    """
    return _rollup(pid).get("Pss") or own(pid)


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except FileNotFoundError:
        return {}
    fields = [line.split() for line in lines]
    return {name.rstrip(":"): int(kilobytes) * 1024 for name, kilobytes, *_ in fields}
