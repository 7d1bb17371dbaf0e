"""What has arrived over a client's connection, until it has been seen to.

It is decoded in the order of arrival, by one thread at a time; what each message
brings about is then done by whichever thread comes first, without any lock, since
that may run the user's code.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from ..late_logging import getLogger

if TYPE_CHECKING:
    from ..errors import ServerDisconnected
    from .attention import Attention
    from .channel import Channel
    from .lease_holder import LeaseHolder
    from .runtime import Runtime

__all__ = ["Arrivals", "Receiver"]

_log = getLogger(__name__)

_pop_first: Callable[[collections.deque[Any]], Any] = collections.deque.popleft


class Receiver(Protocol):
    """Who takes what arrives: a client."""

    def receive(self, frames: list[Any]) -> Callable[[], object] | None:
        """Decode one message, and return what has to be done about it.

        Raises
        ------
        RPCError
            If it refers to what cannot be resolved.
        """

    def losing(self, along: list[Channel]) -> None:
        """The server is gone, which nobody can see yet; add what is lost with this channel."""

    def lost(self, error: ServerDisconnected) -> None:
        """The server is gone, and the channel closed; perhaps told twice."""


class Arrivals:
    """The messages that a channel has read, in their order, and what they bring about.

    Parameters
    ----------
    runtime : Runtime
    address : str
        Of the server.
    receiver : Receiver
    attention : Attention
        Is told when something was done.
    holder : LeaseHolder
        Of the leases that come along.
    lose : callable
        Sees to the end of the server; gets what has become of it.

    Attributes
    ----------
    inbox : collections.deque
        Messages, and at the end what has become of the server.
    bytes : int
        How many came, of all messages.
    """

    def __init__(
        self,
        runtime: Runtime,
        address: str,
        receiver: Receiver,
        attention: Attention,
        holder: LeaseHolder,
        lose: Callable[[str], object],
    ) -> None:
        self.inbox: collections.deque[list[Any] | str] = collections.deque()
        self.bytes = 0
        self._runtime = runtime
        self._address = address
        self._receiver = receiver
        self._attention = attention
        self._holder = holder
        self._lose = lose
        self._decoding = threading.Lock()
        self._effects: collections.deque[Callable[[], object]] = collections.deque()

    def __bool__(self) -> bool:
        return bool(self.inbox or self._effects)

    def deliver(self) -> bool:
        """See to everything that was read; whether there was anything.

        An interrupt leaves what it has kept from being done to the next call.
        """
        worked = False
        effects = self._effects
        while self.inbox or effects:
            begun: list[Callable[[], object]] = []
            try:
                self._decode()
                try:
                    begun += map(_pop_first, (effects,))  # kept, whatever happens next
                except IndexError:
                    break
                worked = True
                begun[0]()
                del begun[0]
            except Exception:
                raise  # done once more, it would fail again
            except BaseException:  # an interrupt
                if begun:  # to be done once more, which does no harm
                    effects.appendleft(begun[0])
                self._runtime.watcher.do(self.deliver)  # perhaps nobody waits here
                raise
            finally:
                self._attention.received()
        return worked

    def _decode(self) -> None:
        # A thread that finds another one decoding need not wait: that one
        # looks again after it has let go.
        inbox, effects = self.inbox, self._effects
        while inbox:
            held: list[bool] = []
            try:
                # In one step: an interrupt between taking the lock and noting it
                # would leave it taken for ever.
                held += map(self._decoding.acquire, (False,))
                if not held[0]:
                    return
                while True:
                    if not inbox:
                        break
                    effect = self._effect_of(inbox[0])
                    # No call between these: all of them happen, or none.
                    if effect is not None:
                        effects += [effect]
                    del inbox[0]
                    self._holder.arriving.clear()
            finally:
                if True in held:
                    self._decoding.release()

    def _effect_of(self, arrived: list[Any] | str) -> Callable[[], object] | None:
        if isinstance(arrived, str):
            return partial(self._lose, arrived)
        self.bytes += len(arrived[0]) if len(arrived) == 1 else sum(map(len, arrived))
        try:
            return self._receiver.receive(arrived)
        except Exception:  # noqa: BLE001  # one bad message must not lose the others
            _log.exception("a message of %s could not be taken in", self._address)
            return None
