"""Whether a message is larger than a server takes or sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import LimitExceeded
from ..limits import Limits

__all__ = ["SizeCheck", "too_large", "too_much"]


class SizeCheck:
    """Keeps a client from sending what its server would not take.

    Attributes
    ----------
    limits : Limits or None
        What the server takes, once it has told.
    """

    def __init__(self) -> None:
        self.limits: Limits | None = None

    def check(self, frames: Sequence[Any], server: str) -> None:
        """Raise `LimitExceeded` if a message is known to be too large for the server."""
        excess = "" if self.limits is None else too_large(frames, self.limits)
        if excess:
            raise LimitExceeded(f"this message to {server} {excess}")


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
