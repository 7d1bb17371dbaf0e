"""The owner's side of an iteration from afar: gives items away, some at a time.

Whoever iterates asks for the next items, says how many there is room for, and how
many it has had. It is that count by which nothing is lost or comes twice: an answer
that an interrupt has kept from being taken in is given once more.
"""

from __future__ import annotations

import collections
from collections.abc import Generator, Iterator
from typing import Any, Protocol

from ..errors import ProtocolError
from ..wire.messages import Failure
from .exposing import expose
from .remote_errors import describe, rebuild
from .user_error import UserError

__all__ = ["AT_HAND", "Feed", "Full", "IsBusy", "Taker"]


class Full(Exception):
    """An item has to go with the next answer."""


class IsBusy(Exception):
    """Items were asked for while the iterator is about to give one.

    Attributes
    ----------
    feed : Feed
    """

    def __init__(self, feed: Feed) -> None:
        super().__init__(f"{feed!r} is being iterated over")
        self.feed = feed


class Taker(Protocol):
    """What takes the items for one answer."""

    def close(self) -> bool:
        """Take no more; return whether the answer has not gone early."""

    def add(self, item: object) -> bool:
        """Take an item; return whether there may be more.

        Raises
        ------
        Full
            If it has to go with the next answer, since this one is large or has gone.
        RPCError
            If it cannot be sent at all.
        """


_ORDERED: tuple[Any, ...] = ([], {}, {}.values(), {}.items())
_OTHERS: tuple[Any, ...] = (
    *((), set(), range(0), range(1 << 70)),
    *("", "\xe9", b"", bytearray(), memoryview(b"")),
)
AT_HAND: frozenset[type] = frozenset(
    {
        *(type(iter(things)) for things in (*_ORDERED, *_OTHERS)),
        *(type(reversed(things)) for things in _ORDERED),
    }
)
"""Iterators that run nobody's code, and never wait."""


class Feed:
    """An iterator, and how far somebody has got with it.

    Parameters
    ----------
    iterator : iterator
    may_close : bool
        Whether who iterates may close it, if it is a generator.

    Attributes
    ----------
    iterator : iterator
    is_busy : bool
        Whether an item is about to come.

    Examples
    --------
    >>> class All(list):
    ...     def add(self, item):
    ...         self.append(item)
    ...         return True
    >>> feed, answer = Feed(iter("abc")), All()
    >>> feed.take(at=0, room=2, taker=answer), answer
    (False, ['a', 'b'])
    >>> feed.take(at=2, room=2, taker=answer), answer
    (True, ['a', 'b', 'c'])
    """

    def __init__(self, iterator: Iterator[Any], may_close: bool = True) -> None:
        self.iterator = iterator
        self.is_busy = False
        self._may_close = may_close
        self._position = 0
        # What was given last, and what came when there was no room any more. The items
        # themselves: what they refer to is referred to anew in each answer.
        self._given: list[Any] = []
        self._ahead: collections.deque[Any] = collections.deque()
        self._failure: Failure | None = None
        self._ended = False
        self._closes = False

    def __repr__(self) -> str:
        return f"<items of {type(self.iterator).__name__}>"

    def is_at_hand(self) -> bool:
        """Whether the items can be had without running anybody's code."""
        return type(self.iterator) in AT_HAND

    def take(self, at: int, room: int, taker: Taker) -> bool:
        """Give the next items; return whether there are no more after them.

        What the iterator raises after some items is kept until more are asked for.

        Parameters
        ----------
        at : int
            How many the other side has had.
        room : int
            How many it takes.
        taker : Taker

        Raises
        ------
        IsBusy
            If an item is about to come for an earlier call.
        ProtocolError
            If the items from there on are not at hand any more.
        UserError
            If the iterator has raised; holds what it raised.
        Exception
            Whatever the taker raises about the first item.
        """
        if self.is_busy:
            raise IsBusy(self)
        self._go_to(at)
        self.is_busy = True
        try:
            self._take(taker, room)
        finally:
            self.is_busy = False
            if self._closes:
                self.close()
        return self._ended and not self._ahead and self._failure is None

    def _take(self, taker: Taker, room: int) -> None:
        for count in range(room):
            if not self._ahead and not self._look(taker, alone=not count):
                break
            if not self._give(taker, alone=not count):
                break

    def _go_to(self, at: int) -> None:
        if at == self._position - len(self._given):
            self._ahead.extendleft(reversed(self._given))
            self._position = at
        elif at != self._position:
            raise ProtocolError(
                f"item {at} is not at hand: {self._position} were given,"
                f" and the last {len(self._given)} could be given once more"
            )
        self._given = []

    def _look(self, taker: Taker, alone: bool) -> bool:
        """Have the iterator produce an item; whether there is one."""
        if self._failure is not None:
            if alone:
                failure, self._failure = self._failure, None
                raise UserError(rebuild(failure), failure)
            return False
        if self._ended:
            return False
        try:
            self._ahead.append(next(self.iterator))
        except StopIteration as end:
            self._ended = True
            if end.value is not None:  # for ``yield from``
                self._raise(end, alone)
            return False
        except Exception as error:  # noqa: BLE001  # user code may raise anything
            self._raise(error, alone)
            return False
        except BaseException as error:
            # An interrupt ends this request. What was given is asked for once more.
            self._raise(error, alone=taker.close())
            raise UserError(error) from error
        return True

    def _raise(self, error: BaseException, alone: bool) -> None:
        """Raise the iterator's error, or write it down for the next answer."""
        if alone:
            raise UserError(error) from error
        # Not the error itself: its traceback holds the frames that hold this feed.
        self._failure = describe(None, error)

    def _give(self, taker: Taker, alone: bool) -> bool:
        """Give the item that comes next; whether others may follow."""
        item = self._ahead[0]
        try:
            more = taker.add(item)
        except Full:
            return False
        except Exception:
            if alone:  # else it is tried once more, in its place
                self._ahead.popleft()
                raise
            return False
        # No call between these: an interrupt finds all of them done, or none.
        del self._ahead[0]
        self._given += [item]
        self._position += 1
        return more

    @expose
    def close(self) -> None:
        """Give no more items; a generator is closed, if whoever asks may do that."""
        if self.is_busy:
            self._closes = True
            return
        self._closes = False
        self._ended = True
        self._given, self._failure = [], None
        self._ahead.clear()
        iterator: Any = self.iterator
        if self._may_close and issubclass(type(iterator), Generator):
            iterator.close()
