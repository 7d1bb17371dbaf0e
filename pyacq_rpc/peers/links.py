"""The servers that this process knows: the way to each, its clients of them, and their end."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from ..errors import ServerDisconnected
from .peer_name import PeerName
from .runtime import current
from .scouting import Scout

if TYPE_CHECKING:
    from ..session.link import Client
    from ..wire.messages import Message
    from .channel import Channel
    from .client import RPCClient
    from .runtime import Runtime

__all__ = ["Links", "ServerLink"]


class ServerLink:
    """The way from this process to one incarnation of a server.

    Proxies hold on to it. When the incarnation is known to be gone, so is
    every proxy of it, even if another server listens at the address by then.
    """

    __slots__ = ("__weakref__", "_address", "gone", "name", "server_id")

    def __init__(self, address: str, server_id: str) -> None:
        self._address = address
        self.server_id = server_id
        self.gone = False
        self.name: str | None = None  # what the server calls itself, once it has told

    @property
    def address(self) -> str:
        """Where the server listens."""
        return self._address

    def describe(self) -> str:
        """Return what the server is called in messages."""
        return f"{self.name} ({self._address})" if self.name else f"the server at {self._address}"

    def client(self) -> Client:
        """Return the current thread's client of this server.

        Raises
        ------
        ServerDisconnected
            If this incarnation is known to be gone.
        """
        runtime = current()  # after a fork, the child's own
        thread = runtime.thread()
        server = thread.server
        if server is not None and server.server_id == self.server_id:
            return server.local()
        if self.gone:
            raise self._is_gone()
        client: RPCClient | None = thread.clients.get(self._address)
        if client is None or client.channel.closed:
            client = self.new_client(runtime)
            if self.gone:  # as a client does not hear that was made too late
                raise self._is_gone()
        return client

    def new_client(self, runtime: Runtime) -> RPCClient:
        """Make the current thread's client, and look after the server until that is greeted."""
        client = runtime.client_at(self._address)
        client.channel.link = self
        if client.server_id is not None:  # the I/O thread has read the welcome before that
            client.channel.met(client.server_id)
        Scout(runtime, client).begin()
        return client

    def _is_gone(self) -> ServerDisconnected:
        return ServerDisconnected(f"{self.describe()}, which owned this object, is gone")


class Links:
    """The ways from one process to servers.

    Parameters
    ----------
    runtime : Runtime
        Its lock is taken here, too, and not another one: whoever holds either may come to need
        the other at any time, by way of a collection.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._links: weakref.WeakValueDictionary[tuple[str, str], ServerLink] = (
            weakref.WeakValueDictionary()
        )
        self._peers: dict[str, PeerName] = {}
        self._open: weakref.WeakSet[RPCClient] = weakref.WeakSet()

    # -- what is known of a server ----------------------------------------------

    def link(self, address: str, server_id: str, greeted: bool = False) -> ServerLink:
        """Return the one link to this incarnation of a server.

        If it has just `greeted` this process it is alive, though it may have been taken for
        dead when the way to it was cut. Proxies from before have lost their leases then, and
        keep the link that says so.
        """
        key = (address, server_id)
        with self._runtime.lock:
            link = self._links.get(key)
            if link is None or (greeted and link.gone):
                link = self._links[key] = ServerLink(address, server_id)
            return link

    def peer_name(self, address: str) -> PeerName:
        """Return what this process calls itself towards the server there.

        All its threads do, since they share their leases. No two servers are
        told the same, so that none can pose as us to another.
        """
        with self._runtime.lock:
            name = self._peers.get(address)
            if name is None:
                name = self._peers[address] = PeerName()
            return name

    # -- clients -----------------------------------------------------------------

    def opened(self, client: RPCClient) -> None:
        """Remember a client, which has to be closed at exit."""
        with self._runtime.lock:
            self._open.add(client)

    def note(self, address: str, name: PeerName, message: Message) -> None:
        """Send a message over any channel by which that server knows us so.

        If there is none, the server has forgotten what it kept for that name, or soon will.
        """
        with self._runtime.lock:
            clients = list(self._open)
        for client in clients:
            channel = client.channel
            if client.address == address and channel.name is name and not channel.closed:
                channel.note(message)
                return

    def close_clients(self) -> None:
        """Close all clients."""
        with self._runtime.lock:
            clients = list(self._open)
        for client in clients:
            client.close()

    def abandon(self) -> None:
        """In the child of a fork: let go of what is the parent's."""
        for client in list(self._open):
            client.channel.roads.abandon()

    # -- the end of a server -------------------------------------------------------

    def server_gone(
        self, channel: Channel, server_id: str, dismissed: bool, along: list[Channel]
    ) -> None:
        """Note that an incarnation of a server is gone; once more, if that was interrupted.

        Parameters
        ----------
        channel : Channel
            What was the connection to it.
        server_id : str
        dismissed : bool
            Whether the server has ended that one itself. It tells all whose it ends.
        along : list of Channel
            Gets what has to be lost along with that one. Nobody is given those any more.
        """
        with self._runtime.lock:
            # A function of its own: from 3.12 on, Python forgets to leave a ``with`` when an
            # interrupt comes where a condition within it ends a turn of a loop.
            self._server_gone(channel, server_id, dismissed, along)

    def _server_gone(
        self, channel: Channel, server_id: str, dismissed: bool, along: list[Channel]
    ) -> None:
        address, name = channel.address, channel.name
        if server_id in name.lost:
            return  # and it may have greeted us again by now
        self.link(address, server_id).gone = True
        others = [
            client
            for client in self._open
            if client.channel.name is name and client.channel is not channel and not client.closed()
        ]
        if not (dismissed and others) and self._peers.get(address) is name:
            del self._peers[address]  # the next one there may know us by another name
        if dismissed:
            return
        others = [client for client in others if _is_for(client, server_id)]
        for client in others:
            client.leave_thread()
        lost = [client.channel for client in others]
        # No call between these: both happen, or neither.
        name.lost |= {server_id}
        along += lost

    def not_met(self, link: ServerLink) -> None:
        """Somebody has not found a server any more; so it is gone, if nobody else reaches it."""
        with self._runtime.lock:  # or it could greet somebody in between
            link.gone = link.gone or not self.is_connected(link)

    def is_connected(self, link: ServerLink) -> bool:
        """Whether a client is connected to this incarnation of a server."""
        with self._runtime.lock:
            clients = list(self._open)
        return any(client.server_id == link.server_id and not client.closed() for client in clients)

    def server_ended(self, link: ServerLink) -> None:
        """An incarnation of a server is known to have ended: tell its clients."""
        link.gone = True
        for client in self._clients_of(link):
            client.channel.lose("has ended")

    def server_closed(self, link: ServerLink) -> None:
        """A server of this process has closed; its clients are about to hear of it."""
        link.gone = True
        for client in self._clients_of(link):
            client.channel.server_closed()

    def _clients_of(self, link: ServerLink) -> list[RPCClient]:
        with self._runtime.lock:
            clients = list(self._open)
        return [client for client in clients if _is_for(client, link.server_id)]


def _is_for(client: RPCClient, server_id: str) -> bool:
    """Whether this is the server of a client, or the one that it was made for."""
    link = client.channel.link
    return server_id == (client.server_id if link is None else link.server_id)
