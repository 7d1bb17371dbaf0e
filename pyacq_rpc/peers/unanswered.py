"""A call for whose answer nobody waits any more, since Ctrl-C was pressed."""

from __future__ import annotations

from collections.abc import Callable, Container

__all__ = ["Unanswered", "note_unanswered", "unanswered_by"]

_ATTRIBUTE = "_pyacq_rpc_unanswered"


class Unanswered:
    """A request that goes on over there, although the wait for it was interrupted.

    Parameters
    ----------
    address : str
        Of the server.
    server : str
        What the server is called in messages.
    request_id : int
    pending : container of int
        The requests of that client that are on their way.
    withdraw : callable
        Withdraws the request if the server has not begun with it.
    wait : callable
        Takes in messages until something is so: `Attention.wait`.
    """

    def __init__(
        self,
        address: str,
        server: str,
        request_id: int,
        pending: Container[int],
        withdraw: Callable[[], object],
        wait: Callable[[Callable[[], bool], float | None, bool], bool],
    ) -> None:
        self.address = address
        self.server = server
        self.withdraw = withdraw
        self.request_id = request_id
        self._pending = pending
        self._wait = wait

    def goes_on(self) -> bool:
        """Whether it was neither answered nor withdrawn, and the server is there."""
        return self.request_id in self._pending

    def ends(self, within: float) -> bool:
        """Wait until it no longer goes on, that many seconds at most; whether that is so."""
        return self._wait(lambda: not self.goes_on(), within, False)


def note_unanswered(interrupt: KeyboardInterrupt, call: Unanswered) -> None:
    """Note with an interrupt which call it has ended the wait for; the innermost counts."""
    if unanswered_by(interrupt) is None:
        setattr(interrupt, _ATTRIBUTE, call)


def unanswered_by(error: BaseException) -> Unanswered | None:
    """Return the call for whose answer an exception has ended the wait."""
    found: Unanswered | None = getattr(error, _ATTRIBUTE, None)
    return found
