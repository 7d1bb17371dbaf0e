"""The client of a thread whose event loop reads its answers: what proxies find there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ServerDisconnected
from ..peers.attention import Attention
from ..peers.client import RPCClient
from ..peers.conversation import Conversation
from ..peers.future import Future
from ..peers.runtime import Runtime
from ..peers.thread_state import ThreadState
from ..session.options import NO_TIMEOUT_GIVEN
from ..session.proxy import ObjectProxy
from ..session.special import INPLACE
from ..transport.keys import KeyOrPath
from ..wire.codecs import Codec
from ..wire.messages import Target
from .deadlines import Deadlines
from .loop_reader import LoopReader

if TYPE_CHECKING:
    from ..peers.hooks import HookedCall

__all__ = ["LoopAttention", "LoopClient", "LoopConversation"]

_INSTEAD = {
    "__next__": "async for item in proxy, or await anext(aiter(proxy))",
    "__enter__": "call the methods that do so",
    "__exit__": "call the methods that do so",
    "set_item": "await client.set_item(name, value)",
}
"""What to do in an event loop, where it is not the special method with ``_sync='async'``."""


class LoopAttention(Attention):
    """Has the event loop take in the answers, not the I/O thread.

    Where the event loop cannot do that, or does not any more, the I/O thread does.

    Attributes
    ----------
    reader : LoopReader or None
        Has the event loop read, where it can.
    has_left : bool
        Whether the event loop is to do nothing more here.
    """

    def __init__(self, runtime: Runtime, thread: ThreadState) -> None:
        super().__init__(runtime, thread)
        self.reader: LoopReader | None = None
        self.has_left = False

    def is_busy(self) -> bool:
        """Whether the I/O thread had better wait for more to come."""
        return not self._is_read_here() and super().is_busy()

    def unattended(self) -> bool:
        """Whether answers are to come and nobody waits for them here."""
        return not self._is_read_here() and super().unattended()

    def _is_read_here(self) -> bool:
        return self.reader is not None and not self.has_left

    def received(self) -> None:
        """Something was done: if the owner waits, it has to look again."""
        super().received()
        if self.reader is not None:
            self.reader.look()


class LoopConversation(Conversation):
    """A conversation whose answers are taken in by the event loop.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
        The running one.
    runtime, thread, address, codec, ended
        As of `Conversation`.
    """

    attention: LoopAttention

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        runtime: Runtime,
        thread: ThreadState,
        address: str,
        codec: Codec,
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._flushing = False
        self.deadlines = Deadlines(loop, self.expire, self._is_pending)
        attention = LoopAttention(runtime, thread)
        super().__init__(runtime, thread, address, codec, ended, attention)
        with contextlib.suppress(NotImplementedError):  # ProactorEventLoop, or no epoll
            attention.reader = LoopReader(loop, self.channel)
        if attention.has_left:
            self.leave_loop()  # the I/O thread has lost the server meanwhile

    def _is_pending(self, request_id: int) -> bool:
        return request_id in self._pending

    def interrupted(self) -> None:
        """An interrupt may have left something to be read."""
        if self.attention.reader is not None:
            self.attention.reader.interrupted()

    def _send_soon(self, frames: list[Any]) -> None:
        """Send a request: the first in a turn of the event loop at once, others with its end."""
        if self._flushing:
            self.channel.send(frames, held=True)
        elif self.attention.has_left:
            super()._send_soon(frames)
        else:
            self._flushing = True
            self._loop.call_soon(self._flush)
            self.channel.send(frames)

    def _flush(self) -> None:
        self._flushing = False
        self.channel.flush()

    def leave_loop(self) -> None:
        """Have the event loop, which is about to end, do nothing more here; from any thread."""
        attention = self.attention
        had_left, attention.has_left = attention.has_left, True  # before it is looked who reads
        if attention.reader is not None:
            attention.reader.close()
        if had_left:
            return
        self._flushing = False
        with contextlib.suppress(RuntimeError):  # the event loop is closed
            self._loop.call_soon_threadsafe(self.deadlines.clear)
        self.channel.flush()
        attention.disarm()
        attention.arm()

    def close(self) -> None:
        """Close the connection; calls that wait for an answer fail."""
        super().close()
        # The I/O thread may have closed it, and be about to have the event loop do the rest, which
        # may end before it comes to that.
        self.leave_loop()

    def _end(self, error: ServerDisconnected) -> None:
        super()._end(error)
        self.leave_loop()


class LoopClient(RPCClient):
    """What `AsyncClient` is to proxies: a client whose calls are awaited.

    It takes the place of another client of the address that the thread has, and
    leaves it to that again when it is closed.

    Parameters
    ----------
    address, serializer, key
        As of `RPCClient`.

    Raises
    ------
    RuntimeError
        If no event loop of asyncio's runs in this thread.
    """

    def __init__(
        self,
        address: str | bytes,
        serializer: str = "msgpack",
        key: KeyOrPath | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._conversation: LoopConversation
        self._replaced: RPCClient | None = None
        super().__init__(address, serializer=serializer, key=key)

    def _converse(self) -> Conversation:
        return LoopConversation(
            self.loop, self._runtime, self._thread, self.address, self._codec, self.leave_thread
        )

    def _connect(self) -> None:
        clients = self._thread.clients
        known = clients.pop(self.address, None)
        try:
            super()._connect()
        except BaseException:
            if known is not None:
                clients[self.address] = known
            raise
        self._replaced = known

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        about: ObjectProxy | None,
        hooked: HookedCall | None = None,
    ) -> Any:
        """Send a request of a proxy, whose answer is awaited unless `sync` says otherwise."""
        if self.loop.is_closed():
            # The thread goes on without that loop, and this like any other client.
            self._conversation.leave_loop()
            return super().request(action, opts, return_type, sync, timeout, about, hooked)
        if sync == "now" and not self.may_wait():
            raise RuntimeError(_refusal(action, opts))
        try:
            answer = super().request(
                action, opts, return_type, sync or "async", timeout, about, hooked
            )
        except BaseException:
            self._conversation.interrupted()
            raise
        if type(answer) is Future and sync in (None, "async") and hooked is None:
            timeout = self._timeout if timeout is NO_TIMEOUT_GIVEN else timeout
            if timeout is not None:
                self._conversation.deadlines.add(answer.request_id, timeout)
        return answer

    def ask_urgently(
        self, action: str, timeout: float | None, options: dict[str, Any] | None = None
    ) -> Future[Any]:
        """Send a request that overtakes those before it, and return the future of its answer."""
        self.check_usable()
        future = self._conversation.ask_urgently(action, self, options)
        if timeout is not None:
            self._conversation.deadlines.add(future.request_id, timeout)
        return future

    def may_wait(self) -> bool:
        """Whether the current thread may wait for an answer: not while the event loop runs."""
        return asyncio._get_running_loop() is not self.loop

    def hurry(self) -> None:
        """Return: all are sent with the end of this turn of the event loop."""

    def leave_thread(self) -> None:
        """Be this thread's client no more, and leave that to the one before."""
        super().leave_thread()
        replaced, self._replaced = self._replaced, None
        if replaced is not None and not replaced.closed():
            self._thread.clients.setdefault(self.address, replaced)

    def thread_ended(self) -> None:
        """The thread of this client is gone, and with it the event loop."""
        self._conversation.leave_loop()
        super().thread_ended()


def _refusal(action: str, opts: dict[str, Any]) -> str:
    """Say what was asked for that cannot be awaited, and what can be."""
    target = opts.get("obj")
    name = target.attributes[-1] if isinstance(target, Target) else action
    instead = _INSTEAD.get(name)
    if instead is None and name.strip("_") in INPLACE:
        instead = "call a method that does so"
    if instead is None:
        instead = f"await proxy.{name}(..., _sync='async')"
    return (
        f"{name} has to be answered at once, for which the event loop would have to wait;"
        f" instead, {instead}"
    )
