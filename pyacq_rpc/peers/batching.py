"""`RPCClient.batch`: what a client has to do with batches."""

from __future__ import annotations

import abc
import weakref
from typing import TYPE_CHECKING, Any

from ..session.options import NO_TIMEOUT_GIVEN, check_options
from .inquiries import Inquiries

if TYPE_CHECKING:
    from ..session.holding import Lease
    from .batch import Batch
    from .batch_block import BatchBlock
    from .conversation import Conversation
    from .future import Future
    from .runtime import Runtime
    from .thread_state import ThreadState

__all__ = ["Batching"]


class Batching(Inquiries):
    """Gathers what is asked of a client's server, while a batch is open."""

    address: str
    block: weakref.ref[BatchBlock] | None = None
    """Of the batch that is open."""

    _runtime: Runtime
    _thread: ThreadState
    _timeout: float | None

    @property
    @abc.abstractmethod
    def timeout(self) -> float | None:
        """Seconds that calls wait for their answers."""

    @property
    @abc.abstractmethod
    def server_name(self) -> str | None:
        """What the server calls itself, once it has answered."""

    @abc.abstractmethod
    def process_until_future(self, future: Future[Any], timeout: float | None = None) -> None:
        """Take in messages until a future is done."""

    @abc.abstractmethod
    def introduced(self, holding: Lease) -> Lease:
        """Return a lease that the server knows of, for what this one holds."""

    def batch(self, timeout: float | None = NO_TIMEOUT_GIVEN) -> BatchBlock:
        """Gather what is asked for in a block, and send it in one message.

        Within the block, what this thread asks of this server, through proxies or through
        this client, is not sent yet. Each call gives a `Promise`: a `Future` that can be used
        like a proxy at once, and as an argument, so that what one call returns is used by the
        next one without having travelled. At the end of the block all of it is sent, and the
        results come in one message, too.

        The end of the block does not wait for them, except for what nobody could learn the
        failure of otherwise: assignments and deletions, and calls whose promise nobody holds
        any more. The first error of these is raised there. What has to be answered at once
        (``_sync="sync"``, ``len``, ``bool``, iteration, ``hasattr``) sends what has been
        asked for so far, and waits. If the block raises, nothing else is sent, and the
        promises are cancelled.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait at the end of the block, if that waits; None waits for ever. By
            default the client's.

        Returns
        -------
        BatchBlock
            For ``with``.

        Raises
        ------
        RuntimeError
            By ``with``, if a batch of this client is open already.
        CallTimeout
            By the end of the block, if no answer comes in time.
        LimitExceeded
            By the end of the block, if the message is larger than the server takes.

        Examples
        --------
        >>> server = start_background("example")
        >>> client = RPCClient(server.address)
        >>> with client.batch():
        ...     counter = client._import("collections").Counter("abracadabra")
        ...     counter["z"] = 3
        ...     most = counter.most_common(2)
        ...     total = counter.total()
        >>> most.result(), total.result()
        ([('a', 5), ('z', 3)], 14)
        """
        check_options(None, None, timeout)
        self.check_usable()
        from .batch import Batch  # here: many programs never need these
        from .batch_block import BatchBlock

        wait = self._timeout if timeout is NO_TIMEOUT_GIVEN else timeout
        batch = Batch(self, self._conversation, self._thread, self._runtime, wait)
        return BatchBlock(self, batch, self._runtime)

    def open_batch(self) -> Batch | None:
        """Return the batch to which what is asked for just now belongs."""
        block = None if self.block is None else self.block()
        if block is None:
            self.block = None
            return None
        return block.batch if block.batch.is_here() else None

    def waits(self) -> int:
        """How many waits for this server are within each other just now."""
        return self._conversation.attention.waits()

    @property
    def conversation(self) -> Conversation:
        """What is said over the connection that this client has now."""
        return self._conversation
