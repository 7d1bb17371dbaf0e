"""What a server gives out: objects by their names, and proxies of any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..session.dispatch import GIVES_ITEMS, Dispatcher, UserError
from ..session.feed import Feed, IsBusy
from ..session.holding import Lease
from ..session.leases import LOCAL, ObjectTable, new_token
from ..session.proxy import ObjectProxy
from ..wire.messages import Reference, Target
from .affinity import check_thread
from .exchange import reference_to
from .local import LocalHome

if TYPE_CHECKING:
    from .runtime import Runtime
    from .thread_state import ThreadState

__all__ = ["Exporter"]


class Exporter:
    """Publishes objects of one thread, and knows those that are given out by proxy.

    Parameters
    ----------
    runtime : Runtime
    address : str
        Where clients reach it.

    Attributes
    ----------
    runtime : Runtime
    address : str
    server_id : str
        Names this incarnation; no other one will ever have it.
    table : ObjectTable
        The objects that there are references to, and who holds these.
    link : ServerLink
        The way here of proxies in this process.
    dispatcher : Dispatcher
        Carries out what is asked of the objects, and has the names; the subclass makes it.
    """

    heir = None
    """See `session.holding.Grantor`: what it has offered ends with it."""

    dispatcher: Dispatcher

    def __init__(self, runtime: Runtime, address: str) -> None:
        self.runtime = runtime
        self.address = address
        self.server_id = new_token()
        self.table = ObjectTable()
        self.link = runtime.links.link(address, self.server_id)
        self._home = LocalHome(self)
        self._thread: ThreadState | None = None

    def state(self) -> ThreadState:
        """Return the state of the thread that it belongs to, or runs in."""
        return self._thread if self._thread is not None else self.runtime.thread()

    # -- published names -------------------------------------------------------

    def __getitem__(self, name: str) -> Any:
        return self.dispatcher.names[name]

    def __setitem__(self, name: str, obj: Any) -> None:
        self.dispatcher.names[name] = obj

    def __delitem__(self, name: str) -> None:
        del self.dispatcher.names[name]

    def __contains__(self, name: object) -> bool:
        return name in self.dispatcher.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.dispatcher.names)

    def __bool__(self) -> bool:
        return True  # a server is something, even if nothing is published

    def keys(self) -> list[str]:
        """Return the names that are published."""
        return list(self.dispatcher.names)

    # -- proxies ---------------------------------------------------------------

    def get_proxy(self, obj: Any, **kwds: Any) -> ObjectProxy:
        """Return a proxy of a local object, to be sent to any other node.

        Parameters
        ----------
        obj : object
        **kwds
            Options of the proxy, as for ``ObjectProxy._set_proxy_options``.
        """
        check_thread(self, obj)
        ref = self.table.open(obj, LOCAL)
        reference = reference_to(self, obj, ref, "")
        proxy = ObjectProxy(reference, self.link, Lease(ref, self._home))
        if kwds:
            proxy._set_proxy_options(**kwds)
        return proxy

    def unwrap_proxy(self, proxy: ObjectProxy) -> Any:
        """Return the local object that a proxy of this server stands for.

        Raises
        ------
        ValueError
            If the proxy is another server's.
        ReferenceReleased
            If its reference was deleted.
        """
        if proxy._link is not self.link:
            raise ValueError(f"{proxy!r} belongs to another server than {self!r}")
        try:
            return self.dispatcher.resolve(proxy._target, LOCAL)
        except UserError as wrapped:
            raise wrapped.error from None

    def process_action(
        self, action: str, opts: dict[str, Any], return_type: str, caller: object
    ) -> Any:
        """Carry out a single action, as for a request, and return the result.

        Parameters
        ----------
        action : str
            One of the keys of `pyacq_rpc.wire.messages.ACTIONS`.
        opts : dict
            Its options.
        return_type : {'auto', 'proxy'}
            With ``'proxy'`` the result is a proxy of it.
        caller : object
            Who asks; for subclasses that want to know.
        """
        try:
            result = self.dispatcher.run(action, opts, LOCAL)
        except UserError as wrapped:
            raise wrapped.error from None
        except IsBusy as busy:
            raise ValueError(str(busy)) from None
        if action in GIVES_ITEMS:
            assert isinstance(result, list)
            items, *rest = result
            if return_type == "proxy":
                items = [self.get_proxy(item) for item in items]
            return [items, *(self.get_proxy(part) if type(part) is Feed else part for part in rest)]
        return self.get_proxy(result) if return_type == "proxy" else result

    # -- what crosses in messages: see `exchange` -------------------------------

    def offer(self, obj: object, token: str) -> str:
        """Make a reference to `obj` for whoever claims `token`."""
        return self.table.offer(obj, LOCAL, token)

    def withdraw(self, token: str) -> None:
        """Forget an offer that nobody will claim."""
        self.table.withdraw(LOCAL, token)

    def take_back(self, reference: Reference, peer: str) -> object:
        """Return the object of a reference that has come home, sent by `peer`.

        Raises
        ------
        ReferenceReleased
            If it was not given to `peer`, or is not held any more.
        """
        token = reference.token
        self.table.check(peer, reference.ref, token)
        try:
            return self.dispatcher.take_back(Target(reference.ref, reference.attributes))
        except UserError as wrapped:
            if not isinstance(wrapped.error, (Exception, KeyboardInterrupt)):
                raise  # a SystemExit, of which the peer is told, but which ends nothing here
            raise wrapped.error from None
        finally:
            if token:
                self.table.consume(peer, token)  # not before: it may be the last to hold the object
