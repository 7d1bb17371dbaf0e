"""How much one client may take of a server: the one place where that is set."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LEAST_MESSAGE", "Limits"]


LEAST_MESSAGE = 1 << 16
"""Bytes below which no message is measured: as many are read at once in any case."""

_LEAST = {"message": LEAST_MESSAGE, "requests": 16, "unsent": LEAST_MESSAGE}


# Not a dataclass: importing those takes longer than a node takes to listen.
class Limits(NamedTuple):
    """What a server takes from each of its clients, and keeps for each of them.

    A client that goes beyond one of these gets a `LimitExceeded`, or is cut
    off with a sentence that says why; the others do not notice. The defaults
    are far above what programs do on purpose. The least that can be worked with
    is 64 KiB for ``message`` and ``unsent``, and 16 ``requests``.

    Attributes
    ----------
    message : int
        Bytes that a message may have, in either direction; 4 GiB. A client
        knows this, and refuses to send more.
    frames : int
        Frames that a message may have: one, and one more for each buffer of
        more than 4096 bytes; 10,000.
    nesting : int
        Levels of containers within each other that a message may have; 100,
        which is also the most that is ever sent from here.
    requests : int
        Requests of one connection that may wait for their turn, along with its
        other messages, or run as tasks of an event loop; 100,000. What comes
        beyond that is refused, until there are none of them any more. A batch
        may have as many.
    unsent : int
        Bytes that may wait to be read by one connection; 1 GiB. If there is
        more to send while more than that waits, the client is cut off.
    leases : int
        References that one process may hold, or have granted; 1,000,000.

    Examples
    --------
    >>> server = RPCServer(limits=Limits(leases=2))
    >>> import threading
    >>> thread = threading.Thread(target=server.run_forever)
    >>> thread.start()
    >>> client = RPCClient(server.address)
    >>> held = [client._import("math"), client._import("cmath")]
    >>> client._import("random")
    Traceback (most recent call last):
        ...
    pyacq_rpc.errors.LimitExceeded: this process holds 2 references of the server already...
    >>> client.close_server()
    True
    >>> thread.join()
    """

    message: int = 1 << 32
    frames: int = 10_000
    nesting: int = 100
    requests: int = 100_000
    unsent: int = 1 << 30
    leases: int = 1_000_000

    def check(self) -> Limits:
        """Return these limits if a server can work with them.

        Raises
        ------
        ValueError
            If one of them is too small, or no integer.
        """
        for name, limit in self._asdict().items():
            least = _LEAST.get(name, 1)
            if type(limit) is not int or limit < least:
                raise ValueError(
                    f"the limit {name}={limit!r} is not an integer of {least} at least"
                )
        return self
