"""Limits that a test soon reaches."""

from __future__ import annotations

from pyacq_rpc import Limits

MB = 1 << 20
TIGHT = Limits(message=4 * MB, frames=10, nesting=20, requests=16, unsent=2 * MB, leases=5)
