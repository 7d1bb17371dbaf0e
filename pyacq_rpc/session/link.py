"""The way from a proxy to the server of its object, as a proxy sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from .proxy import ObjectProxy

__all__ = ["Client", "Link"]


class Client(Protocol):
    """What a proxy needs of the client that carries its requests.

    Attributes
    ----------
    here : bool
        Whether the server is the current thread's own.
    timeout : float or None
        Seconds to wait for an answer, unless told otherwise.
    """

    here: bool

    def may_wait(self) -> bool:
        """Whether the thread may wait for an answer: not while it runs an event loop."""

    @property
    def timeout(self) -> float | None:
        """Seconds to wait for an answer, unless told otherwise."""

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        about: ObjectProxy | None,
    ) -> Any:
        """Send a request; from the thread that has just got this client of a `Link`.

        The parameters are those of `RPCClient.send`. For `sync` there is also ``'now'``:
        as ``'sync'``, where Python itself wants the result at once.
        """


class Link(Protocol):
    """The way from here to one server, the same object for all its proxies."""

    @property
    def address(self) -> str:
        """The server's address."""

    def client(self) -> Client:
        """Return the current thread's client of that server."""

    def describe(self) -> str:
        """Return what the server is called in messages."""
