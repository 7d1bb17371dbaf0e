from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("numpy")

from benchmarks.contenders import OURS, RAW
from benchmarks.lines import LINES


@pytest.fixture
def made_up() -> dict[str, dict[str, list[float | None]]]:
    """Results of a run that never was: ours takes twice as long as plain pyzmq."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for line in LINES:
        for quantity in (line.quantity, *line.to[1:]):
            found.setdefault(quantity, {OURS: [2e-4, 3e-4], RAW: [1e-4, None]})
    found["call"]["RPyC"] = [5e-4, 5e-4]
    found["bound"]["RPyC"] = [4e-4, 4e-4]
    del found["bound"][RAW]
    return found


@pytest.fixture
def about() -> dict[str, Any]:
    """The machine that it never was on."""
    return {"system": "Linux", "cpu": "abacus", "cores": 2, "load_at_begin": [0.25, 0.5, 0.75]}
