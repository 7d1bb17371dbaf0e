"""Every row of the table, and how to bring it about."""

from __future__ import annotations

from collections.abc import Sequence

from .cells import Outcomes, strike
from .clients import befall
from .resources import run_out
from .table import CLIENT, NETWORK, RESOURCES, SERVER, Row

ROWS = [*SERVER, *NETWORK, *CLIENT, *RESOURCES]


def bring_about(row: Row, uses: Sequence[str]) -> Outcomes:
    """Bring a fault upon some uses, and return what has come of each."""
    if row in CLIENT:
        return befall(row, uses)
    if row in RESOURCES:
        return run_out(row, uses)
    return strike(row, uses)
