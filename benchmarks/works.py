"""What is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

__all__ = ["WORKS", "Contender", "Work"]


@dataclass(frozen=True)
class Work:
    """Something to do many times over.

    Attributes
    ----------
    name : str
        Of the line in the table.
    method : str
        Of the contender: called as ``method(count)`` or ``method(count, megabytes)``.
    count : int
        How many times in one round.
    unit : {'µs', '/s', 'ms'}
        How the table shows the time of one.
    megabytes : int
        Size of the array that travels; 0 if none does.
    """

    name: str
    method: str
    count: int
    unit: str
    megabytes: int = 0

    def shown(self, seconds: float) -> str:
        """Write the time of one."""
        if self.unit == "/s":
            return f"{1 / seconds:,.0f} /s"
        if self.unit == "ms":
            return f"{seconds * 1e3:.2f} ms {self.megabytes / 1e3 / seconds:5.2f} GB/s"
        return f"{seconds * 1e6:.1f} µs"


WORKS = [
    Work("thing.add(1, 2)", "call", 1000, "µs"),
    Work("thing.add(1, 2), async, all results read", "pipeline", 10_000, "/s"),
    Work("thing.tick(), off, then one sync call", "fire", 20_000, "/s"),
    Work("len(array), 1 MB", "send_array", 40, "ms", 1),
    Work("len(array), 8 MB", "send_array", 10, "ms", 8),
    Work("len(array), 64 MB", "send_array", 3, "ms", 64),
    Work("array returned, 1 MB", "get_array", 40, "ms", 1),
    Work("array returned, 8 MB", "get_array", 10, "ms", 8),
    Work("array returned, 64 MB", "get_array", 3, "ms", 64),
]
"""The lines of the table."""


class Contender(Protocol):
    """A way to do the works, between this process and one that it starts.

    A work that it has no method for stays empty in the table.
    """

    name: ClassVar[str]
    """Of the column in the table."""

    baseline: ClassVar[str]
    """Name of the contender that it is compared with; empty for none."""

    def __enter__(self) -> Any:
        """Start the other process."""

    def __exit__(self, *error: object) -> None:
        """End it, and leave nothing behind."""
