"""What has to do with logs, and is closed when the process exits."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from pyacq_rpc.peers.runtime import Runtime

if TYPE_CHECKING:
    from .log_thread import LogThread
    from .logs import LogSender

__all__ = ["OpenLogs", "close_at_exit"]


class OpenLogs:
    """What of this process has to be closed at exit, unless it was collected before.

    Parameters
    ----------
    runtime : Runtime
        Which tells that it comes.

    Attributes
    ----------
    senders : WeakSet of LogSender
    receivers : WeakSet of LogThread
    """

    def __init__(self, runtime: Runtime) -> None:
        self.senders: weakref.WeakSet[LogSender] = weakref.WeakSet()
        self.receivers: weakref.WeakSet[LogThread] = weakref.WeakSet()
        runtime.at_exit(self.close)

    def close(self) -> None:
        """Close the senders first: they may send to the receivers."""
        for sender in list(self.senders):
            sender.close()
        for receiver in list(self.receivers):
            receiver.close()


def close_at_exit(runtime: Runtime) -> None:
    """Have them closed after whatever is told to end at exit from now on."""
    runtime.attachment(OpenLogs)
