"""Tells what user code has raised from errors of the machinery."""

from __future__ import annotations

from ..wire.messages import Failure

__all__ = ["UserError"]


class UserError(Exception):
    """Wraps what user code raised, to tell it from errors of the machinery.

    Attributes
    ----------
    error : BaseException
    failure : Failure or None
        What a peer is told of it, if that was written down when it was raised.
    """

    def __init__(self, error: BaseException, failure: Failure | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.failure = failure
