"""`RemoteIterator`: the items of an object that lives somewhere else, some ahead of need.

They are asked for in chunks; the next one is on its way while this one is used up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from ..errors import CallTimeout, ProtocolError, ServerDisconnected
from .special import Forwarding

if TYPE_CHECKING:
    from .link import Link
    from .proxy import ObjectProxy

__all__ = ["PREFETCH", "Answer", "RemoteIterator", "check_prefetch"]

PREFETCH = 100
"""Items that may be ahead of who iterates, unless it is said otherwise."""

MOST_AHEAD = 1_000_000
"""The most that can be said: they are kept in memory here."""


class Answer(Protocol):
    """A future of a client's, as an iterator sees it."""

    def done(self) -> bool:
        """Whether the answer is here."""

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait, and return what the request has raised."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait, and return what the request has returned."""

    def cancel(self) -> bool:
        """Withdraw the request if it has not begun."""

    async def settled(self) -> None:
        """Wait in a coroutine; if that is cancelled, the request is not."""


class RemoteIterator:
    """Iterates over an object of another thread, process or machine.

    Made by ``iter(proxy)``, ``for x in proxy`` and ``async for x in proxy``, and by
    ``proxy._iterate(prefetch=...)``. Items are produced over there ahead of need, but
    never more than `prefetch` of them: a slow consumer stops the producer. They come in
    order, and what the iterator over there raises comes at its place.

    It ends where the other one does. To end a generator earlier, call `close`, use
    this in a ``with``, or drop it. It may be used from any thread, by one at a time.

    Attributes
    ----------
    return_type : str
        How the items come; for those that have not been asked for.
    patience : callable
        Tells for how many seconds it waits for an item; None: for ever.
    source : str
        Tells the object that is iterated over from others, if that is an iterator itself.

    Examples
    --------
    >>> server = start_background("example")
    >>> count = RPCClient(server.address)._import("itertools").count
    >>> with count(5)._iterate(prefetch=10) as numbers:
    ...     next(numbers), next(numbers)
    (5, 6)
    """

    __slots__ = (
        "__weakref__",
        "_at",
        "_coming",
        "_ended",
        "_feed",
        "_instead",
        "_is_used",
        "_items",
        "_link",
        "_mark",
        "_on_start",
        "_position",
        "_prefetch",
        "patience",
        "return_type",
        "source",
    )

    def __init__(
        self,
        start: Answer,
        link: Link,
        prefetch: int,
        return_type: str,
        patience: Callable[[], float | None],
        on_start: Callable[[RemoteIterator], RemoteIterator],
    ) -> None:
        self.source = ""
        self._link = link
        self._prefetch = prefetch
        self.return_type = return_type
        self.patience = patience
        self._on_start: Callable[[RemoteIterator], RemoteIterator] | None = on_start
        self._instead: RemoteIterator | None = None
        self._feed: ObjectProxy | None = None
        self._items: list[Any] = []
        self._at = 0  # of the next one to be taken, among those
        self._mark = 0  # from there on something has to be done before that
        self._position = 0  # of what is to come after those, among all
        self._coming: Answer | None = start
        self._ended = False  # nothing is to come after those
        self._is_used = False

    def __repr__(self) -> str:
        state = "open" if self.goes_on() else "ended"
        return f"<RemoteIterator of the server at {self._link.address}, {state}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a RemoteIterator can be neither copied nor pickled: there is one who takes its items"
        )

    @property
    def prefetch(self) -> int:
        """How many items may have been produced and not taken; it can be set.

        With 0, each is produced when it is asked for.
        """
        return self._prefetch

    @prefetch.setter
    def prefetch(self, prefetch: int) -> None:
        check_prefetch(prefetch)
        self._prefetch = prefetch
        self._mark = self._at  # what has to be done now is to be found out anew

    def goes_on(self) -> bool:
        """Whether it has not come to its end."""
        return not self._ended or self._at < len(self._items)

    def start(self) -> None:
        """Wait until it has begun; raises what that has raised."""
        while not self._is_begun():
            self._wait()

    def instead(self) -> RemoteIterator:
        """Return what gives the items: this one, or an earlier one of the same iterator."""
        return self._instead or self

    # -- taking items ----------------------------------------------------------

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        at = self._at
        if at >= self._mark:
            if self._instead is None:
                self._wait_for_item()
            if self._instead is not None:
                return next(self._instead)
            at = self._at
        items = self._items
        item = items[at]
        # No call from here on: Ctrl-C finds the item given, or still here.
        items[at] = None
        self._at = at + 1
        return item

    def _wait_for_item(self) -> None:
        self._check_use()
        self._is_used = True
        try:
            while True:
                if self._is_ready():
                    break
                if self._ended:
                    self._feed = None
                    raise StopIteration
                self._wait()
        finally:
            self._is_used = False

    def __aiter__(self) -> RemoteIterator:
        return self

    async def __anext__(self) -> Any:
        if self._at >= self._mark and self._instead is None:
            await self._get_ready()
        if self._instead is not None:
            return await self._instead.__anext__()
        try:
            return next(self)
        except StopIteration:
            raise StopAsyncIteration from None

    async def _get_ready(self) -> None:
        """Wait until `next` does not wait."""
        self._check_use()
        self._is_used = True
        try:
            while True:
                if self._is_ready() or self._ended:
                    break
                await self._request().settled()
                self._wait()
        except StopIteration:  # with a value
            raise StopAsyncIteration from None
        finally:
            self._is_used = False

    def _check_use(self) -> None:
        if self._is_used:
            raise ValueError(
                f"{self!r} is being waited for already; it gives items to one at a time"
            )

    def _is_ready(self) -> bool:
        """Whether there is an item to be taken; see to it that others follow."""
        if self._at >= len(self._items):
            return self._instead is not None
        mark = len(self._items)
        if self._prefetch and self._coming is None and not self._ended:
            # Not before half of what may be ahead is used up, or each item would be asked for.
            half = mark - 1 - self._prefetch // 2
            if self._at >= half:
                self._ask_ahead(self._prefetch - (mark - self._at - 1))
            else:
                mark = half
        self._mark = mark
        return True

    # -- asking for them ---------------------------------------------------------

    def _ask_ahead(self, room: int) -> None:
        # If the server is gone, that is told when the items that have arrived are used up.
        with contextlib.suppress(ServerDisconnected):
            # In its own thread there is nothing to be gained.
            if room > 0 and not self._link.client().here:
                self._ask(room)

    def _ask(self, room: int) -> Answer:
        feed = self._feed
        assert feed is not None
        opts = {"obj": feed._target, "at": self._position, "room": room}
        # If Ctrl-C comes before the future is kept, the same items are asked for once more.
        coming: Answer = feed._send("fetch", opts, "async", self.return_type, None)
        self._coming = coming
        return coming

    def _request(self) -> Answer:
        """Return the answer that is to come, or ask for one."""
        return self._coming or self._ask(max(1, self._prefetch))

    def _wait(self) -> None:
        """Take in the next chunk."""
        coming = self._request()
        if not coming.done():
            self._check_may_wait("an item is still to come")
        timeout = None if coming.done() else self.patience()
        try:
            error = coming.exception(timeout)
        except CallTimeout:
            raise CallTimeout(
                f"no item from {self._link.describe()} after {timeout} s; whoever asks again waits"
                " for the same one"
            ) from None
        if error is None:
            self._take_in(coming.result(0))
            return
        self._coming = None
        self._ended = self._feed is None or isinstance(error, StopIteration)
        try:
            raise error
        finally:
            del error, coming  # the traceback holds this frame

    def _take_in(self, chunk: Any) -> None:
        items, ended, source, feed = self._check(chunk)
        count = len(items)
        # No call from here on: Ctrl-C finds the chunk taken in, or still to come.
        self._items, self._at, self._mark = items, 0, 0
        self._position += count
        self._coming, self._ended = None, ended
        self._feed, self.source = feed, source
        if self._on_start is not None:
            on_start, self._on_start = self._on_start, None
            instead = on_start(self)
            if instead is not self:
                self._instead = instead
                self._feed = None

    def _check(self, chunk: Any) -> tuple[list[Any], bool, str, ObjectProxy | None]:
        """Return what is in an answer, and what is known anyway."""
        source, feed = self.source, self._feed
        is_first = self._on_start is not None
        if is_first and type(chunk) is list and len(chunk) == 4:
            items, ended, source, feed = chunk
        elif not is_first and type(chunk) is list and len(chunk) == 2:
            items, ended = chunk
        else:
            items = ended = None
        knows_more = ended is True or (isinstance(feed, Forwarding) if is_first else bool(items))
        if not (type(items) is list and type(ended) is bool and knows_more):
            raise ProtocolError(f"{self._link.describe()} has sent no items, but something else")
        # Only as long as the server holds an iterator, no other one gets its name.
        return items, ended, str(source), feed if source or not ended else None

    # -- ending it -----------------------------------------------------------------

    def close(self) -> None:
        """End the iteration; what was prefetched is dropped.

        A generator over there is closed when this returns: its ``finally`` has run.

        Raises
        ------
        CallTimeout
            If the server is too busy for that; it will do it.
        """
        self.start()
        if self._instead is not None:
            self._instead.close()
        if self._feed is not None:
            with contextlib.suppress(ServerDisconnected):  # there is nothing to wait for
                self._check_may_wait("what goes on over there is still to be closed")
        feed = self._let_go()
        if feed is not None:
            with contextlib.suppress(ServerDisconnected):  # with which it has ended
                feed.close(_sync="sync", _timeout=self.patience())

    async def aclose(self) -> None:
        """Do the same in a coroutine."""
        while not self._is_begun():
            await self._request().settled()
            self._wait()
        if self._instead is not None:
            await self._instead.aclose()
        feed = self._let_go()
        if feed is not None:
            with contextlib.suppress(ServerDisconnected):  # with which it has ended
                closing: Answer = feed.close(_sync="async")
                await closing.settled()
                closing.result(0)

    def _check_may_wait(self, what: str) -> None:
        if not self._link.client().may_wait():
            raise RuntimeError(
                f"{what}, for which the event loop would have to wait; instead, async for item in"
                " iterator, and await iterator.aclose()"
            )

    def _is_begun(self) -> bool:
        """Whether there is something to be closed, or nothing any more."""
        return self._ended or not (self._feed is None and self._instead is None)

    def _let_go(self) -> ObjectProxy | None:
        feed, coming = self._feed, self._coming
        self._ended = True
        self._items, self._at, self._mark = [], 0, 0
        self._feed = self._coming = None
        if coming is not None:
            coming.cancel()
        return feed

    def __enter__(self) -> RemoteIterator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> RemoteIterator:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def check_prefetch(prefetch: int) -> None:
    """See to it that a number of items to prefetch is one.

    Raises
    ------
    TypeError
        If it is no integer.
    ValueError
        If it is out of range.
    """
    if type(prefetch) is not int:
        raise TypeError(f"prefetch is a number of items, not {prefetch!r}")
    if not 0 <= prefetch <= MOST_AHEAD:
        raise ValueError(f"prefetch is from 0 to {MOST_AHEAD} items, not {prefetch}")
