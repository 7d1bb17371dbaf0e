from __future__ import annotations

import pytest

from pyacq_rpc import LimitExceeded, Limits
from pyacq_rpc.peers.sizes import SizeCheck, too_large

LIMITS = Limits(message=100_000, frames=4)


@pytest.mark.parametrize(
    ("frames", "excess"),
    [
        ([b"x" * 100_000], ""),
        ([b"x" * 100_000, b"y"], "has 100001 bytes, and the server takes and sends 100000"),
        ([b"", b"", b"", b"", b""], "has 5 frames, and the server takes and sends 4"),
        ([b"x", memoryview(bytes(99_999)).cast("B", (3, 33_333))], ""),
        ([b"xy", memoryview(bytes(99_999)).cast("B", (3, 33_333))], "has 100001 bytes"),
    ],
)
def test_too_large(frames, excess):
    assert too_large(frames, LIMITS).startswith(excess)
    assert bool(too_large(frames, LIMITS)) == bool(excess)


def test_what_a_server_does_not_take():
    check = SizeCheck()
    check.check([b"x" * 100_001], "the server")  # it has not told yet
    check.limits = LIMITS
    check.check([b"x" * 100_000], "the server")
    with pytest.raises(LimitExceeded, match="this message to the server has 100001 bytes"):
        check.check([b"x" * 100_001], "the server")
