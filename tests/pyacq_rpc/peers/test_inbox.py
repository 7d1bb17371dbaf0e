from __future__ import annotations

import zmq

from pyacq_rpc import Limits
from pyacq_rpc.peers.inbox import OverZmq
from pyacq_rpc.transport.stamps import PIECE, Stamps, new_secret


def test_only_what_is_not_too_large_is_put_together():
    """It would take its memory once more."""
    stamps = Stamps(new_secret())
    for most, count, excess in ((3 * PIECE, 2, ""), (2 * PIECE, 5, "bytes")):
        frames = [zmq.Frame(bytes(f)) for f in stamps.put([b"", bytes(3 * PIECE)])]
        message = OverZmq(frames, stamps.secret, Limits(message=most))
        assert len(message) == count
        assert excess in message.excess
        assert bool(message.excess) == bool(excess)
