"""Each fault upon each kind of use: what the table says comes of it, in time."""

from __future__ import annotations

import pytest
from faults.bringing import ROWS, bring_about
from faults.cells import MARGIN
from faults.resources import can_fill_a_disk
from faults.table import KINDS, SLOW, UNHARMED

from pyacq_rpc.peers.runtime import current

QUICK = [row for row in ROWS if row.fault not in SLOW]


@pytest.fixture(scope="module")
def brought_about():
    """What has come of the rows so far: each is brought about once, upon all uses side by side."""
    return {}


def check(row, uses, found):
    wanted = {use: row.outcomes[use] for use in uses}
    if "descriptors" in row.fault and not current().direct:
        wanted = dict.fromkeys(wanted, UNHARMED)  # none are sent that way
    assert wanted == {use: found[use][0] for use in uses}
    if row.within is not None:
        late = {use: took for use, (_, took) in found.items() if took > row.within + MARGIN}
        assert not late


@pytest.mark.timeout(90)
@pytest.mark.parametrize("use", KINDS)
@pytest.mark.parametrize("row", QUICK, ids=lambda row: row.fault)
def test_cell(row, use, brought_about):
    if row.fault == "disk full" and not can_fill_a_disk():
        pytest.skip("only root can mount a small disk")
    if row.fault not in brought_about:
        brought_about[row.fault] = bring_about(row, KINDS)
    check(row, [use], brought_about[row.fault])


@pytest.mark.timeout(90)
@pytest.mark.parametrize("row", [r for r in ROWS if r not in QUICK], ids=lambda row: row.fault)
def test_row(row):
    """Not a test for each use, which take seconds each if they are spread over processes."""
    check(row, KINDS, bring_about(row, KINDS))
