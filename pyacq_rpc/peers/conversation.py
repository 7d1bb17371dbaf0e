"""The requests of one client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import InvalidStateError
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import CallTimeout, ServerDisconnected
from ..session.holding import Lease
from ..session.stats import ClientStats
from ..wire.codecs import Codec
from ..wire.messages import Cancel, Request, make
from .answers import Answers
from .attention import Attention
from .channel import Channel
from .exchange import CLAIM_GRACE, Outgoing, refuse
from .future import Answerer, Future
from .pending import Pending, PendingRequests
from .runtime import Runtime
from .sent_batch import SentBatch
from .thread_state import ThreadState
from .unanswered import Unanswered, note_unanswered

if TYPE_CHECKING:
    from .hooks import HookedCall

__all__ = ["Conversation"]


class Conversation:
    """What one client has to say to its server; for what that says see `Answers`.

    Parameters
    ----------
    runtime : Runtime
    thread : ThreadState
        The thread that the client belongs to.
    address : str
        Where the server listens.
    codec : Codec
        How messages are written.
    ended : callable
        Called when the server is gone, or the client has closed.
    attention : Attention
        Takes in the answers, and waits for them.

    Attributes
    ----------
    channel : Channel
        The connection.
    attention : Attention
        The same.
    codec : Codec
        How messages are written.
    ids : iterator
        The ids of requests to come.
    answers : Answers
        What the server says.
    """

    def __init__(
        self,
        runtime: Runtime,
        thread: ThreadState,
        address: str,
        codec: Codec,
        ended: Callable[[], None],
        attention: Attention,
    ) -> None:
        self.address = address
        self._runtime = runtime
        self._thread = thread
        self.codec = codec
        self._ended = ended
        self.ids = runtime.request_ids
        self._pending = PendingRequests()
        self._calling = 0  # of the owner's calls, from before they are sent
        self.attention = attention
        self.answers = Answers(runtime, thread, address, codec, self._pending, self._end)
        self.channel = Channel(runtime, address, codec, self.answers, attention)
        self.answers.channel = self.channel
        attention.attend(self.channel, self._pending)

    def has_pending(self) -> bool:
        """Whether answers are to come."""
        return bool(self._pending)

    def is_awaited(self) -> bool:
        """Whether somebody waits for one of them, or has a future of it."""
        if self._calling:
            return True
        return any(pending.future is not None for pending in list(self._pending.values()))

    def stats(self) -> ClientStats:
        """Return what was counted; see `RPCClient.stats`."""
        pending, channel = self._pending, self.channel
        # No call between these, so that they are those of one time.
        sent, answered, failed, off = pending.sent, pending.answered, pending.failed, pending.off
        return ClientStats(
            sent=sent,
            answered=answered,
            failed=failed,
            off=off,
            in_flight=sent - answered - failed - off,
            timed_out=pending.timed_out,
            leases=channel.holder.live_leases(),
            bytes_sent=channel.roads.bytes_sent,
            bytes_received=channel.arrivals.bytes,
            connected_since=self.answers.since,
            road=None if self.answers.since is None else channel.roads.taken(),
        )

    # -- sending -----------------------------------------------------------

    def ask(
        self,
        action: str,
        options: dict[str, Any],
        reply: str,
        answerer: Answerer,
        holding: Lease | None,
        hooked: HookedCall | None = None,
    ) -> Future[Any]:
        """Send a request, and return the future of its answer.

        Somebody has to wait for that, or else to call `arm`.

        Parameters
        ----------
        action : str
        options : dict
        reply : {'auto', 'proxy', 'value', 'ack'}
        answerer : Answerer
            Waits for the future, when that is asked to.
        holding : Lease or None
            One that the server knows of, kept alive until the request has arrived.
        hooked : HookedCall, optional
            To be told when the answer has come.
        """
        context = None if hooked is None else hooked.context
        depth = self._thread.depth_of_calls()
        request = make(Request, (next(self.ids), action, reply, options, context, depth))
        outgoing = Outgoing(self._runtime, self._thread, self.answers.server_id, None, self.channel)
        ended = None if hooked is None else hooked.end
        future: Future[Any] = Future(answerer, request.id, ended)
        sends = self.channel.roads.sends
        try:
            frames = self.codec.encode(request, outgoing.refer)
            self._pending.begin(request.id, Pending(future, outgoing, holding))
            self.attention.asked += 1
            self._send_soon(frames)
        except BaseException:
            if self.channel.roads.sends == sends:
                self._take_back(request.id, outgoing)
            raise
        return future

    def new_outgoing(self) -> Outgoing:
        """Return what is to know what a message to this server refers to."""
        return Outgoing(self._runtime, self._thread, self.answers.server_id, None, self.channel)

    def ask_batch(self, requests: list[Any], sent: SentBatch, answerer: Answerer) -> Future[Any]:
        """Send a batch, and return the future of its answer; all its promises complete first.

        Parameters
        ----------
        requests : list
            Packed.
        sent : SentBatch
            What waits for the answers.
        answerer : Answerer
        """
        options = {"requests": requests, "unread": sent.unread()}
        depth = self._thread.depth_of_calls()
        request = Request(next(self.ids), "batch", "value", options, None, depth)
        future = sent.future = Future(answerer, request.id)
        sends = self.channel.roads.sends
        try:
            frames = self.codec.encode(request, refuse)
            self._pending.begin(request.id, sent)
            self.attention.asked += 1
            self.channel.send(frames)
        except BaseException:
            if self.channel.roads.sends == sends:
                self._pending.take_back(request.id)
            else:
                self._note_batch(sent)
                self.abandon(request.id)
            raise
        self._note_batch(sent)
        return future

    def _note_batch(self, sent: SentBatch) -> None:
        sent.is_sent = True
        self._pending.note_off(sent.off)
        self.attention.arm()

    def _send_soon(self, frames: list[Any]) -> None:
        """Send what may wait a moment for more."""
        self.channel.send(frames, soon=True)

    def call(
        self,
        action: str,
        options: dict[str, Any],
        reply: str,
        holding: Lease | None,
        timeout: float | None,
        reentrant: bool,
        context: dict[str, str] | None = None,
    ) -> Any:
        """Send a request, wait for its answer, and return or raise that.

        This is `ask` and `wait` without a future, which few calls need and
        which takes longer to make than to fill.
        """
        depth = self._thread.depth_of_calls()
        if depth and reentrant and self._thread.server is not None:
            self._thread.server.nesting.check()
        request_id = next(self.ids)
        outgoing = Outgoing(self._runtime, self._thread, self.answers.server_id, None, self.channel)
        request = make(Request, (request_id, action, reply, options, context, depth))
        pending = Pending(None, outgoing, holding)
        sends = self.channel.roads.sends
        self._calling += 1
        try:
            frames = self.codec.encode(request, outgoing.refer)
            self._pending.begin(request_id, pending)
            self.channel.send(frames)
            if not self.attention.wait(pending.is_done, timeout, reentrant):
                raise self._too_late(timeout)  # from now on a late answer is dropped
        except BaseException as error:
            if self.channel.roads.sends == sends:
                self._take_back(request_id, outgoing)
            elif isinstance(error, KeyboardInterrupt):
                self.note_interrupt(error, request_id, partial(self.cancel, request_id))
            raise
        finally:
            self._calling -= 1
        if pending.error is None:
            return pending.value
        try:
            raise pending.error
        finally:
            # The exception's traceback holds this frame, which would hold the
            # exception: a cycle that would keep proxies alive.
            del pending

    def ask_urgently(
        self, action: str, answerer: Answerer, options: dict[str, Any] | None = None
    ) -> Future[Any]:
        """Send a request that overtakes those before it, and return the future of its answer."""
        request = Request(next(self.ids), action, "auto", options or {})
        future: Future[Any] = Future(answerer, request.id)
        nothing = Outgoing(self._runtime, self._thread, None, None, None)
        self._pending.begin(request.id, Pending(future, nothing, None))
        self.channel.overtake(request)
        self.attention.arm()
        return future

    def tell(
        self,
        action: str,
        options: dict[str, Any],
        holding: Lease | None,
        context: dict[str, str] | None = None,
    ) -> None:
        """Send a request that is to have no answer; the parameters are those of `call`."""
        depth = self._thread.depth_of_calls()
        request = make(Request, (next(self.ids), action, "off", options, context, depth))
        outgoing = Outgoing(self._runtime, self._thread, self.answers.server_id, None, self.channel)
        sends = self.channel.roads.sends
        try:
            self._send_soon(self.codec.encode(request, outgoing.refer))
        except BaseException:
            if self.channel.roads.sends == sends or self.channel.closed:
                outgoing.undo()
            else:
                self._note_told(outgoing, holding)
            raise
        self._note_told(outgoing, holding)

    def _note_told(self, outgoing: Outgoing, holding: Lease | None) -> None:
        self._pending.note_off(1)
        foreign = holding is not None and holding.home is not self.channel.holder
        if outgoing.leases or outgoing.grants or foreign:
            self._hold_until_arrived(outgoing, holding)

    def _hold_until_arrived(self, outgoing: Outgoing, holding: Lease | None) -> None:
        """Keep what a request without an answer refers to until it is there.

        The server takes our messages in order: once it answers the next one,
        it has had that request too.
        """
        ping = Request(next(self.ids), "ping", "ack", {})
        self._pending.begin(ping.id, Pending(None, outgoing, holding))
        try:
            self.channel.send(self.codec.encode(ping, refuse))
        except ServerDisconnected:
            self._take_back(ping.id, outgoing)
            raise
        self.attention.arm()

    def _take_back(self, request_id: int, outgoing: Outgoing) -> None:
        """A request was not sent."""
        self._pending.take_back(request_id)
        outgoing.undo()

    def note_timeout(self) -> None:
        """Somebody has given up waiting for an answer, elsewhere than in `wait`."""
        self._pending.timed_out += 1

    def abandon(self, request_id: int) -> bool:
        """Nobody waits for this one any more; whether it is still on its way."""
        return self._pending.abandon(request_id)

    def expire(self, request_id: int, timeout: float | None) -> None:
        """End the wait for an answer that has not come in time; it is dropped if it comes."""
        pending = self._pending.get(request_id)
        if pending is not None and pending.future is not None:
            late = self._too_late(timeout)
            future, pending.future = pending.future, None
            with contextlib.suppress(InvalidStateError):  # cancelled at this very moment
                future.set_exception(late)

    def cancel(self, request_id: int) -> None:
        """Withdraw a request if the server has not begun with it, or cancel it if it can."""
        is_on_its_way = self.abandon(request_id)
        self.attention.wake()  # if another thread has done this
        if is_on_its_way:
            self.channel.overtake(Cancel(request_id))

    def note_interrupt(
        self, interrupt: KeyboardInterrupt, request_id: int, withdraw: Callable[[], object]
    ) -> None:
        """Note with an interrupt that it has ended the wait for this request."""
        server, wait = self.channel.server, self.attention.wait
        call = Unanswered(self.address, server, request_id, self._pending, withdraw, wait)
        note_unanswered(interrupt, call)

    # -- waiting -----------------------------------------------------------

    def wait(self, is_done: Callable[[], bool], timeout: float | None, reentrant: bool) -> None:
        """Take in messages until that is so; see `Attention.wait`.

        Raises
        ------
        CallTimeout
            If it is not so in time.
        """
        if not self.attention.wait(is_done, timeout, reentrant):
            raise self._too_late(timeout)

    def _too_late(self, timeout: float | None) -> CallTimeout:
        self._pending.timed_out += 1
        return CallTimeout(self.describe_silence(timeout))

    def describe_silence(self, timeout: float | None) -> str:
        """Say what is known about an answer that did not come in time."""
        if self.answers.server_id is None:
            return (
                f"no answer from {self.address} after {timeout} s, and no sign of a server"
                " there: either none is listening, or it has been busy all the time"
            )
        return (
            f"no answer from {self.channel.server} after {timeout} s: it is busy, and what it"
            " was asked for goes on there; to wait longer, give a _timeout"
        )

    # -- the end -----------------------------------------------------------

    def close(self) -> None:
        """Close the connection; calls that wait for an answer fail."""
        try:
            self.channel.close()
            if self.channel.gone is None:
                self._end(self.channel.reason())
        except Exception:
            raise
        except BaseException:  # an interrupt
            self._runtime.watcher.do(self.close)  # where none comes
            raise

    def _end(self, error: ServerDisconnected) -> None:
        self._ended()
        self._pending.fail_all(error)
        self._pending.handed.end(partial(self._runtime.watcher.do, delay=CLAIM_GRACE))
        self.attention.wake()
