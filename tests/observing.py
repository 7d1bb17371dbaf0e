"""What hooks and counters tell, kept and checked."""

from __future__ import annotations

from collections.abc import Callable

from pyacq_rpc import CallInfo
from pyacq_rpc.peers.conversation import Conversation


class Recorder:
    """A hook that keeps what it is told.

    Attributes
    ----------
    begun : list of CallInfo
    ended : list of (CallInfo, BaseException or None)
        Each with what it has raised.
    """

    def __init__(self) -> None:
        self.begun: list[CallInfo] = []
        self.ended: list[tuple[CallInfo, BaseException | None]] = []

    def __call__(self, call: CallInfo) -> Callable[[BaseException | None], None]:
        """Take the beginning of a call, and return what takes its end."""
        self.begun.append(call)
        return lambda error: self.ended.append((call, error))

    def about(self) -> list[str]:
        """What the calls that have begun are about."""
        return [call.about for call in self.begun]

    def both(self) -> list[tuple[str, str | None]]:
        """What the calls that have ended were about, and the classes of what they have raised."""
        return [(call.about, None if e is None else type(e).__name__) for call, e in self.ended]

    def errors(self) -> list[tuple[str, str]]:
        """The same of those that have raised."""
        return [(call.about, type(error).__name__) for call, error in self.ended if error]


def adds_up(conversation: Conversation) -> bool:
    """Whether what is said to be in flight is what has no answer yet."""
    entries = [*conversation._pending.values()]
    return conversation.stats().in_flight == sum(entry.count for entry in entries)
