"""A few seconds of ``tests/fuzz/fuzz_wire.py``, and what it has found."""

from __future__ import annotations

import pytest
from fuzz.fuzz_wire import Mutator, feed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=300, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(st.lists(st.binary(), max_size=3))
def test_arbitrary_frames(frames):
    feed(frames)


@SETTINGS
@given(st.sampled_from([b"[", b"\x92", b"\x93\x03\x01", b"[3,1,"]), st.binary())
def test_arbitrary_bytes_that_begin_as_a_message(head, rest):
    feed([head + rest])


@pytest.mark.parametrize("seed", range(3))
def test_mutated_messages(seed):
    mutator = Mutator(seed)
    for _ in range(3000):
        feed(mutator.message())
