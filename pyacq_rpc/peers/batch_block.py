"""`BatchBlock`: what ``with client.batch():`` holds while its block runs."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import TYPE_CHECKING

from .batch import Batch

if TYPE_CHECKING:
    from .batching import Batching
    from .runtime import Runtime

__all__ = ["BatchBlock"]


class BatchBlock:
    """Opens a batch of a client, and sends or drops it.

    An interrupt may come as the first thing in ``__exit__``, which then does nothing. So the
    client only knows this object weakly, and nothing but ``with`` holds it: promises hold the
    `Batch`. With this object the batch is over.

    Parameters
    ----------
    client : RPCClient
    batch : Batch
    runtime : Runtime
    """

    def __init__(self, client: Batching, batch: Batch, runtime: Runtime) -> None:
        self.batch = batch
        self._client = client
        self._runtime = runtime
        self._outer: weakref.ref[BatchBlock] | None = None

    def __enter__(self) -> Batch:
        client = self._client
        outer = client.open_batch()
        if outer is not None:
            raise RuntimeError(
                f"a batch of {client!r} is open already; what is asked for within it goes"
                " along with it, so leave the inner one out, or end the outer one before"
            )
        self.batch.begin()
        self._outer = client.block
        # The last thing: whoever is interrupted before has opened none.
        client.block = weakref.ref(self)
        return self.batch

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._client.block = self._outer
        if error is not None:
            self.batch.drop()
        else:
            self.batch.end()

    def __del__(self) -> None:
        batch = getattr(self, "batch", None)
        if batch is not None and batch.is_open():
            # Not here: that sends messages, and this may come in the middle of anything.
            self._runtime.watcher.do(batch.drop)
