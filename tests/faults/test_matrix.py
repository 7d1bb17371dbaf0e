"""Each fault upon each kind of use: what the table says comes of it, in time."""

from __future__ import annotations

import pytest
from faults.bringing import ROWS, bring_about
from faults.cells import MARGIN
from faults.resources import can_fill_a_disk
from faults.table import KINDS, SLOW, UNHARMED

from pyacq_rpc.peers.runtime import current

QUICK = [row for row in ROWS if row.fault not in SLOW]


def check(row, uses):
    if row.fault == "disk full" and not can_fill_a_disk():
        pytest.skip("only root can mount a small disk")
    found = bring_about(row, uses)
    wanted = {use: row.outcomes[use] for use in uses}
    if "descriptors" in row.fault and not current().direct:
        wanted = dict.fromkeys(wanted, UNHARMED)  # none are sent that way
    assert wanted == {use: found[use][0] for use in uses}
    if row.within is not None:
        late = {use: took for use, (_, took) in found.items() if took > row.within + MARGIN}
        assert not late


@pytest.mark.parametrize("use", KINDS)
@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.fault)
def test_cell(row, use):
    check(row, [use])


@pytest.mark.timeout(90)
@pytest.mark.parametrize("row", [r for r in ROWS if r not in QUICK], ids=lambda row: row.fault)
def test_row(row):
    """Side by side, since each takes seconds."""
    check(row, KINDS)
