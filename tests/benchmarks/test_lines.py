from __future__ import annotations

import pytest

pytest.importorskip("numpy")

from benchmarks.contenders import CONTENDERS, OURS, PEERS, RAW
from benchmarks.lines import LINES, Line, compare, median, shown
from benchmarks.works import PHASES, busy

CALL = Line("sync call", "call", "µs", (RAW, "call"), "raw echo", "≤ 0.8")
PEER = Line("sync call", "call", "µs", ("best peer", "call", "bound"), "", "≤ 0.8")
RATE = Line("async", "async", "/s", (RAW, "async"), "raw pipeline", "≥ 0.8")


def test_the_ratio_of_times_is_the_median_of_the_ratios_of_each_round():
    # The machine was ten times as slow in the second round.
    found = compare(CALL, {"call": {OURS: [1.0, 10.0, 1.0], RAW: [2.0, 20.0, 4.0]}})
    assert found.ratio == 0.5
    assert (found.ours, found.theirs, found.to) == (1.0, 4.0, "raw echo")
    assert found.reached


def test_a_round_that_one_has_missed_does_not_count():
    found = compare(CALL, {"call": {OURS: [1.0, 10.0], RAW: [1.0, None]}})
    assert found.ratio == 1.0
    assert not found.reached


def test_what_was_not_measured_together_is_compared_by_its_medians():
    line = Line("crowd", "crowd", "/s", (OURS, "async"), "", "≥ 0.8")
    found = compare(line, {"crowd": {OURS: [2.0]}, "async": {OURS: [1.0, 1.0, 5.0]}})
    assert found.ratio == 0.5  # twice the time is half the rate


def test_the_ratio_of_rates_is_more_for_who_is_faster():
    found = compare(RATE, {"async": {OURS: [1.0], RAW: [2.0]}})
    assert found.ratio == 2.0
    assert found.reached


def test_the_best_peer_counts_in_its_best_form():
    results = {
        "call": {OURS: [1.0], RAW: [0.1], PEERS[0]: [5.0], PEERS[1]: [4.0]},
        "bound": {OURS: [0.5], PEERS[0]: [2.0], PEERS[1]: [3.0]},
    }
    found = compare(PEER, results)
    assert (found.theirs, found.ratio, found.to) == (2.0, 0.5, f"{PEERS[0]}, bound method")


def test_nothing_is_reached_where_the_other_is_missing():
    found = compare(PEER, {"call": {OURS: [1.0], RAW: [1.0]}})
    assert (found.theirs, found.ratio, found.reached) == (None, None, None)


def test_no_line_where_we_took_no_part():
    assert compare(CALL, {"call": {RAW: [1.0]}}) is None
    assert compare(CALL, {}) is None


def test_a_value_is_held_against_the_reach_where_nobody_else_is():
    line = Line("release", "release", "s for 100,000", reach="≤ 2")
    assert compare(line, {"release": {OURS: [1e-5]}}).reached
    assert not compare(line, {"release": {OURS: [3e-5]}}).reached


def test_a_median_leaves_out_missed_rounds():
    assert median({"call": {OURS: [None, 3.0, 1.0]}}, "call", OURS) == 2.0
    assert median({"call": {OURS: [None]}}, "call", OURS) is None


@pytest.mark.parametrize(
    ("quantity", "unit", "value", "text"),
    [
        ("call", "µs", 25e-6, "25.0 µs"),
        ("call", "µs", 123.4e-6, "123 µs"),
        ("call", "µs", 1234e-6, "1,234 µs"),
        ("async", "/s", 1e-5, "100,000 /s"),
        ("send 8 MB", "GB/s", 2e-3, "4.00 GB/s"),
        ("memory", "MB", 12.34e6, "12.3 MB"),
        ("crowd evenness", "", 0.5, "0.500"),
        ("release", "s for 100,000", 2e-5, "2.00 s"),
    ],
)
def test_values_are_shown_in_their_units(quantity, unit, value, text):
    assert shown(Line("", quantity, unit), value) == text


def test_every_line_is_about_something_that_is_measured():
    works = {work.name for phase in busy(PHASES) for work in phase.works}
    for line in LINES:
        assert line.quantity in works or line.quantity.rpartition(" ")[0] in works
        if line.to:
            assert line.to[0] in (*CONTENDERS, "best peer")
            assert set(line.to[1:]) <= works
