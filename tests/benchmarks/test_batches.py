from __future__ import annotations

from benchmarks import batches


def test_all_ways_are_measured():
    found = batches.measure(calls=20, rounds=1)
    assert len(found) == 5
    assert min(found.values()) > 0
