from __future__ import annotations

from benchmarks import crowd


def test_a_client_that_begins_late_makes_a_call_all_the_same():
    assert crowd._rate(lambda: 3, seconds=0.0) > 0
