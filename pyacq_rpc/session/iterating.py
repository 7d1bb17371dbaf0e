"""What a proxy does when it is iterated over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from .forwarding import SpecialMethods
from .options import NO_TIMEOUT_GIVEN, RETURN_TYPES, CallOptions, check_choice, check_timeout
from .remote_iterator import PREFETCH, RemoteIterator, check_prefetch

if TYPE_CHECKING:
    from ..wire.messages import Target
    from .link import Link

__all__ = ["Iterating"]


class Iterating(SpecialMethods):
    """The part of `ObjectProxy` that is about iteration."""

    __slots__ = ()

    if TYPE_CHECKING:
        _attributes: tuple[str, ...]
        _iterator: RemoteIterator | None
        _link: Link
        _options: CallOptions

        @property
        def _target(self) -> Target: ...

        def _send(
            self,
            action: str,
            opts: dict[str, Any],
            sync: str | None = None,
            return_type: str | None = None,
            timeout: float | None = NO_TIMEOUT_GIVEN,
        ) -> Any: ...

    def _iterate(
        self,
        prefetch: int | None = None,
        *,
        backwards: bool = False,
        return_type: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
    ) -> RemoteIterator:
        """Iterate over the object; ``iter(proxy)`` with options.

        Parameters
        ----------
        prefetch : int, optional
            How many items may be produced over there ahead of need; 100 unless told
            otherwise. With 0 each is produced when it is asked for.
        backwards : bool, optional
            Whether to iterate as ``reversed`` does.
        return_type : {'auto', 'proxy', 'value'}, optional
            How the items come, as ``_return_type`` of a call.
        timeout : float or None, optional
            How long to wait for an item, in seconds; None waits for ever.

        Returns
        -------
        RemoteIterator

        Raises
        ------
        TypeError
            If it cannot be iterated over. In the thread of an event loop, `async for`
            raises it.

        See Also
        --------
        RemoteIterator : What it returns; close it to end a generator.
        """
        if prefetch is not None:
            check_prefetch(prefetch)
        check_choice("return_type", return_type, RETURN_TYPES)
        if timeout is not NO_TIMEOUT_GIVEN:
            check_timeout(timeout)
        patience = None if timeout is NO_TIMEOUT_GIVEN else partial(_patience, self._link, timeout)
        iterator = None if backwards else self._last_iterator()
        if iterator is None:
            iterator = self._begin_iterating(prefetch, backwards, return_type)
            iterator.patience = patience or iterator.patience
            if self._link.client().may_wait():
                iterator.start()
                iterator = iterator.instead()
        iterator.patience = patience or iterator.patience
        if prefetch is not None:
            iterator.prefetch = prefetch
        if return_type is not None:
            iterator.return_type = return_type
        return iterator

    def _begin_iterating(
        self, prefetch: int | None = None, backwards: bool = False, return_type: str | None = None
    ) -> RemoteIterator:
        prefetch = PREFETCH if prefetch is None else prefetch
        return_type = return_type or "auto"
        opts = {"obj": self._target, "backwards": backwards, "room": prefetch}
        # However long it takes: who waits for it has its own patience.
        start = self._send("iterate", opts, "async", return_type, None)
        patience = partial(_patience, self._link, self._options.timeout)
        on_start = partial(_remember_iterator, self)
        return RemoteIterator(start, self._link, prefetch, return_type, patience, on_start)

    def _last_iterator(self) -> RemoteIterator | None:
        """Return what holds items of this very object, an iterator, that were prefetched."""
        iterator = self._iterator
        # An attribute may be another object by now; then it has to be asked.
        if iterator is not None and not self._attributes and iterator.goes_on():
            return iterator
        return None

    def __iter__(self) -> RemoteIterator:
        self._check_waiting("for item in proxy")
        return self._iterate()

    def __reversed__(self) -> RemoteIterator:
        self._check_waiting("for item in proxy._iterate(backwards=True)")
        return self._iterate(backwards=True)

    def _check_waiting(self, instead: str) -> None:
        if not self._link.client().may_wait():
            raise RuntimeError(
                "iterating waits for items, for which the event loop would have to wait;"
                f" instead, async {instead}"
            )

    def __aiter__(self) -> RemoteIterator:
        return self._last_iterator() or self._begin_iterating()

    def _is_ahead(self) -> bool:
        """Whether the last iterator has items of this object, an iterator itself, ahead of it."""
        iterator = self._iterator
        if iterator is None or not iterator.goes_on():
            return False
        # To ask what an attribute is by now takes a wait.
        asks = bool(self._attributes) and self._link.client().may_wait()
        return (self._iterate() if asks else self._last_iterator()) is iterator

    def __next__(self, _sync: str | None = None) -> Any:
        if self._iterator is not None and _sync is None and self._is_ahead():
            return next(self._iterator)
        return super().__next__(_sync)

    def __contains__(self, item: Any, _sync: str | None = None) -> Any:
        if self._iterator is not None and _sync is None and self._is_ahead():
            return item in self._iterator
        return super().__contains__(item, _sync)


def _patience(link: Link, timeout: float | None) -> float | None:
    """Return how long an iterator waits for an item."""
    return link.client().timeout if timeout is NO_TIMEOUT_GIVEN else timeout


def _remember_iterator(proxy: Iterating, iterator: RemoteIterator) -> RemoteIterator:
    """Return what to go on with: of an iterator that was iterated over before, the same.

    What that one has prefetched would be lost otherwise.
    """
    if not iterator.source:
        return iterator
    last = proxy._iterator
    if last is not None and last.goes_on() and last.source == iterator.source:
        return last
    object.__setattr__(proxy, "_iterator", iterator)
    return iterator
