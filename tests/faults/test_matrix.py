"""Each fault upon each kind of use: what the table says comes of it, in time."""

from __future__ import annotations

import pytest
from faults.cells import MARGIN, strike
from faults.table import KINDS, NETWORK, SERVER, SLOW

ROWS = [*SERVER, *NETWORK]


def check(row, uses):
    found = strike(row, uses)
    assert {use: row.outcomes[use] for use in uses} == {use: found[use][0] for use in uses}
    if row.within is not None:
        late = {use: took for use, (_, took) in found.items() if took > row.within + MARGIN}
        assert not late


@pytest.mark.parametrize("use", KINDS)
@pytest.mark.parametrize("row", [row for row in ROWS if row.fault not in SLOW], ids=lambda r: r[0])
def test_cell(row, use):
    check(row, [use])


@pytest.mark.parametrize("row", [row for row in ROWS if row.fault in SLOW], ids=lambda r: r[0])
def test_row(row):
    """Side by side, since each takes seconds."""
    check(row, KINDS)
