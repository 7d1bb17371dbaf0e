"""Whether a message is larger than a server takes or sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..limits import Limits

__all__ = ["too_large", "too_much"]


def too_large(frames: Sequence[Any], limits: Limits) -> str:
    """Return what is too large about a message, as the end of a sentence; empty if nothing is.

    Parameters
    ----------
    frames : sequence
        Buffers of bytes, or frames of zmq.
    limits : Limits
    """
    return too_much(sum(map(_size, frames)), len(frames), limits)


def too_much(size: int, frames: int, limits: Limits) -> str:
    """Return the same about a message of so many bytes and frames."""
    if size > limits.message:
        what, name, limit = f"{size} bytes", "message", limits.message
    elif frames > limits.frames:
        what, name, limit = f"{frames} frames", "frames", limits.frames
    else:
        return ""
    return (
        f"has {what}, and the server takes and sends {limit} at most"
        f" (to raise that, start it with limits=Limits({name}=...))"
    )


def _size(frame: Any) -> int:
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)
