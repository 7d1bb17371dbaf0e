"""What a process calls itself towards a server."""

from __future__ import annotations

from ..session.leases import new_token

__all__ = ["PeerName"]


class PeerName:
    """The name that the connections of this process to one server share, and with it their leases.

    The owner gives leases back when the last connection of a name has gone. So once the process
    has lost a server, it calls itself something else there, and ends what it still has under the
    old name: else the owner would keep for it what it knows nothing of any more.

    Attributes
    ----------
    text : str
        What it is; random.
    lost : set of str
        The incarnations that were lost under this name.
    """

    __slots__ = ("lost", "text")

    def __init__(self) -> None:
        self.text = new_token()
        self.lost: set[str] = set()
