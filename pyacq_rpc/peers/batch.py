"""`Batch`: gathers what a thread asks of a server, and sends it in one message."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from ..errors import ServerDisconnected
from ..limits import Limits
from ..session.dispatch import GIVES_ITEMS
from ..session.holding import Lease
from ..session.options import NO_TIMEOUT_GIVEN
from ..session.proxy import ObjectProxy
from ..session.questions import QUESTIONS
from ..session.special import COMPARISONS
from ..wire.batches import PROMISED, pack_frames
from ..wire.messages import URGENT, Request, Target, make
from .exchange import Outgoing
from .promise import Promise
from .promising import Promising
from .queued_request import QueuedRequest
from .sent_batch import SentBatch

if TYPE_CHECKING:
    from .batching import Batching
    from .conversation import Conversation
    from .hooks import HookedCall
    from .runtime import Runtime
    from .thread_state import ThreadState

__all__ = ["Batch"]

_STATEMENTS = frozenset({"__setattr__", "__delattr__", "__setitem__", "__delitem__"})
_COMPARISONS = frozenset(f"__{name}__" for name in COMPARISONS)


def _is_comparison(action: str, opts: dict[str, Any]) -> bool:
    return action == "call_obj" and not _COMPARISONS.isdisjoint(opts["obj"].attributes[-1:])


def _is_question(target: Target) -> bool:
    """Whether a prompt asks, which is to be held up by nothing else."""
    return bool(target.attributes) and target.attributes[-1] in QUESTIONS


def _is_statement(action: str, opts: dict[str, Any]) -> bool:
    """Whether a request was written as a statement, which gives nothing to look at."""
    if action == "call_obj":
        attributes = opts["obj"].attributes
        return bool(attributes) and attributes[-1] in _STATEMENTS
    return action == "set_item"


class Batch(Promising):
    """What is asked for within one block of `RPCClient.batch`.

    Parameters
    ----------
    client : RPCClient
    conversation : Conversation
        The client's.
    thread : ThreadState
        The client's, and the current one.
    runtime : Runtime
    timeout : float or None
        Seconds to wait for the answer, where that is waited for.
    """

    def __init__(
        self,
        client: Batching,
        conversation: Conversation,
        thread: ThreadState,
        runtime: Runtime,
        timeout: float | None,
    ) -> None:
        self.client = client
        self._conversation = conversation
        self._thread = thread
        self._runtime = runtime
        self._timeout = timeout
        self._ids = conversation.ids
        self._codec = conversation.codec
        self._requests: dict[int, QueuedRequest] = {}
        # Attributes that were looked up, which concern us as far as somebody holds them.
        self._looked_up: dict[int, weakref.ref[Promise[Any]]] = {}
        self._level = -1
        self._over: str | None = None

    def __repr__(self) -> str:
        state = self._over or f"{len(self._requests)} requests so far"
        return f"<Batch of {self.client!r}, {state}>"

    # -- beginning and end -------------------------------------------------------

    def begin(self) -> None:
        """Gather from now on.

        Raises
        ------
        RuntimeError
            If it has done so before.
        """
        if self._level >= 0:
            raise RuntimeError("a batch is for one block; for another one, open client.batch()")
        self._level = self._depth()

    def end(self) -> None:
        """Send what there is; wait if an error might be lost otherwise, and raise the first."""
        try:
            sent = self._send()
        except BaseException:
            self._over = "not sent"
            self._drop()  # an interrupt may have left something
            raise
        self._over = "sent"
        if sent is not None and sent.is_awaited():
            self._wait(sent, self._timeout)

    def drop(self) -> None:
        """Send nothing more: what there is, is given up, unless it has ended before."""
        if self._over is None:
            self._over = "not sent, since its block has raised"
            self._drop()

    def is_open(self) -> bool:
        """Whether it has begun and not ended."""
        return self._level >= 0 and self._over is None

    def is_here(self) -> bool:
        """Whether what is asked for just now is asked for by the block itself.

        While the block waits for an answer, the server of its thread may carry out requests
        of others, which have nothing to do with it.
        """
        return self._depth() == self._level

    def _depth(self) -> int:
        """How many waits and turns of the current thread are within each other."""
        server = self._thread.server
        depth = 0 if server is None else server.depth()
        for client in list(self._thread.made):
            depth += client.waits()
        return depth

    # -- requests ------------------------------------------------------------------

    def passes_by(self, action: str, opts: dict[str, Any]) -> bool:
        """Whether a request is sent by itself, and now.

        Items are given away some at a time, where the answers to a batch come all at once.
        What has been asked for before comes before the first of them.
        """
        if action in GIVES_ITEMS:
            if action == "iterate":
                self.flush()
            return True
        if action in URGENT:
            return True
        if action == "call_obj" and _is_question(opts["obj"]):
            return True
        if self._runtime.outgoing_hooks:
            from .hooks import is_within_hook

            # What a hook asks for is no part of the call that it is about.
            return is_within_hook()
        return False

    def request_about(
        self,
        about: ObjectProxy | Promise[Any] | None,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
    ) -> Any:
        """Take up a request of a proxy; the parameters are those of `RPCClient.send`."""
        holding, type_name = None, ""
        if about is not None:
            holding, type_name = about._lease, about._type_str
            if holding is not None:
                holding = self.client.introduced(holding)
        return self.request(action, opts, return_type, sync, timeout, holding, type_name)

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        holding: Lease | None,
        type_name: str,
    ) -> Any:
        """Take up a request; `type_name` is that of the reference that it is about."""
        request_id = next(self._ids)
        if sync == "now" and _is_comparison(action, opts):
            sync = None  # whoever looks whether its promise is true, waits
        hooked = None
        if self._runtime.outgoing_hooks:
            hooked = self._hooked(action, opts, sync or "async", type_name)
        if sync == "off":
            self._add(request_id, action, opts, "off", holding, hooked)
            return None
        reply = return_type or "auto"
        request = self._add(request_id, action, opts, reply, holding, hooked)
        if sync == "now" and _is_statement(action, opts):
            return None
        promise: Promise[Any] = Promise(self, request_id)
        request.promised(promise)
        if sync in ("sync", "now"):
            return self._ask_now(promise, timeout)
        return promise

    def _hooked(
        self, action: str, opts: dict[str, Any], sync: str, type_name: str
    ) -> HookedCall | None:
        from .hooks import is_within_hook, outgoing_call

        if is_within_hook():
            return None
        return outgoing_call(self.client, action, opts, sync, type_name)

    def promise_of(self, target: Target, holding: Lease | None) -> Promise[Any]:
        """Return the promise of an attribute, for whose sake nothing is asked yet.

        Its id says when it was looked up: if it comes to be fetched, then that is its turn.
        """
        request_id = next(self._ids)
        promise: Promise[Any] = Promise(self, request_id, target, holding)
        self._looked_up[request_id] = weakref.ref(promise)
        return promise

    def fetch_now(self, promise: Promise[Any]) -> None:
        """Send what there is, and wait for an attribute; raises what its look-up raised."""
        self.fetch(promise)
        self._ask_now(promise, NO_TIMEOUT_GIVEN)

    def _ask_now(self, promise: Promise[Any], timeout: float | None) -> Any:
        self.flush(timeout)
        return promise.result(0)

    def flush(self, timeout: float | None = NO_TIMEOUT_GIVEN) -> None:
        """Send what there is, and wait; raises the first error that nobody else would learn of."""
        sent = self._send()
        if sent is not None:
            self._wait(sent, self.client.timeout if timeout is NO_TIMEOUT_GIVEN else timeout)

    def fetch(self, promise: Promise[Any]) -> None:
        """Make a request of an attribute that was looked up: it is read where that was."""
        if self._looked_up.pop(promise.request_id, None) is None:
            return
        opts = {"obj": promise._about}
        hooked = None
        if self._runtime.outgoing_hooks:
            hooked = self._hooked("get_obj", opts, "async", promise._type_str)
        number = promise.request_id
        request = self._add(number, "get_obj", opts, "auto", promise._holding, hooked)
        request.promised(promise)
        del promise.__dict__["_about"]  # its own result from now on
        promise.__dict__["_holding"] = None

    def keep(self, promise: Promise[Any]) -> None:
        """Hold a promise until it gets its answer: somebody waits for that."""
        if self.is_open() and self._thread.is_current():
            self.fetch(promise)
        request = self._requests.get(promise.request_id)
        if request is not None:
            request.keep(promise)

    def _add(
        self,
        request_id: int,
        action: str,
        opts: dict[str, Any],
        reply: str,
        holding: Lease | None,
        hooked: HookedCall | None,
    ) -> QueuedRequest:
        target = opts.get("obj")
        uses: tuple[int, ...] = ()
        if type(target) is Target and target.ref.startswith(PROMISED):
            uses = (int(target.ref[len(PROMISED) :]),)
        request = QueuedRequest(self, request_id, reply, uses, hooked)
        context = None
        try:
            if hooked is not None:
                hooked.begin(self._runtime.outgoing_hooks)
                context = hooked.context
            message = make(Request, (request_id, action, reply, opts, context, 0))
            frames = self._codec.encode(message, request.refer)
            if len(frames) > 1:
                # Now: the block may change what these are of, before it is over.
                frames = [frames[0], *map(bytes, frames[1:])]
        except BaseException as error:
            request.undo(error)
            raise
        request.frames = frames
        if holding is not None:
            outgoing = request.get_outgoing()
            outgoing.leases = [*(outgoing.leases or ()), holding]
        for used in request.uses:
            self._requests[used].used = True
        self._requests[request_id] = request
        return request

    def new_outgoing(self) -> Outgoing:
        """Return what is to know what a request refers to."""
        return self._conversation.new_outgoing()

    # -- sending -------------------------------------------------------------------

    def _send(self) -> SentBatch | None:
        """Send what there is; None if there is nothing."""
        self._see_to_attributes()
        requests = [self._requests[number] for number in sorted(self._requests)]
        self._requests = {}
        sent: SentBatch | None = None
        try:
            kept = _to_be_sent(requests)
            if kept:
                sent, packed = self._pack(kept)
                self._conversation.ask_batch(packed, sent, self.client)
        except BaseException as error:
            if sent is None or not sent.is_sent:
                for request in requests:
                    request.undo(error)
                    promise = request.promise()
                    if promise is not None:
                        _end(promise, error)
            else:  # an interrupt: nobody waits for the promises, which come true nonetheless
                sent.note_sent()
            raise
        if sent is not None:
            sent.note_sent()
        return sent

    def _pack(self, kept: list[QueuedRequest]) -> tuple[SentBatch, list[Any]]:
        conversation = self._conversation
        if self.client.conversation is not conversation:
            raise ServerDisconnected("the client has connected anew since its batch was opened")
        whole = conversation.new_outgoing()
        room = (conversation.channel.sizes.limits or Limits()).frames - 1
        packed = []
        for request in kept:
            frames, used = pack_frames(request.frames, room)
            request.frames = []
            room -= used
            packed.append(frames)
            if request.outgoing is not None:
                whole.absorb(request.outgoing)
        return SentBatch(kept, whole), packed

    def _see_to_attributes(self) -> None:
        """Have those fetched that somebody still holds, and that were not steps only."""
        try:
            for looked_up in list(self._looked_up.values()):
                promise = looked_up()
                if promise is None or promise._was_cancelled():
                    continue
                if promise._is_step:
                    promise.set_exception(_only_a_step(promise))
                else:
                    self.fetch(promise)
        except BaseException:
            self._drop()
            raise
        self._looked_up.clear()

    def _wait(self, sent: SentBatch, timeout: float | None) -> None:
        """Wait for the answer; raise the first error that nobody else would learn of."""
        future = sent.future
        assert future is not None
        try:
            self.client.process_until_future(future, timeout)
        except BaseException:
            self._conversation.abandon(future.request_id)
            raise
        if sent.errors:
            raise sent.take_errors()

    def _drop(self) -> None:
        """Send nothing of what there is."""
        requests, self._requests = self._requests, {}
        for request in requests.values():
            request.undo()
            promise = request.promise()
            if promise is not None:
                promise.cancel()
        looked_up, self._looked_up = self._looked_up, {}
        for held in looked_up.values():
            promise = held()
            if promise is not None:
                promise.cancel()


def _to_be_sent(requests: list[QueuedRequest]) -> list[QueuedRequest]:
    """Leave out what was cancelled, and what would need the result of that."""
    kept: list[QueuedRequest] = []
    gone: set[int] = set()
    for request in requests:
        promise = request.kept = request.promise()
        cancelled = promise is not None and promise._was_cancelled()
        if cancelled or not gone.isdisjoint(request.uses):
            gone.add(request.number)
            request.undo()
            if promise is not None:
                promise.cancel()
        else:
            kept.append(request)
    return kept


def _end(promise: Promise[Any], error: BaseException) -> None:
    if promise.done():
        return
    if isinstance(error, Exception):
        promise.set_exception(type(error)(*error.args))
    else:
        promise.cancel()


def _only_a_step(promise: Promise[Any]) -> RuntimeError:
    chain = ".".join(promise._about.attributes if promise._about else ())
    return RuntimeError(
        f"the attribute {chain} was used on the way only, and not fetched; _undefer() in the"
        " block gives a promise of it"
    )
