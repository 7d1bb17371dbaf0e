"""A server's objects seen from its own thread: the same calls, no messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..late_logging import getLogger
from ..session.holding import Lease
from ..session.leases import LOCAL, new_token
from ..session.options import NO_TIMEOUT_GIVEN, check_options
from ..session.proxy import ObjectProxy

if TYPE_CHECKING:
    from .exporter import Exporter
    from .future import Future
    from .server import ServerCore

__all__ = ["LocalClient", "LocalHome", "as_for_send"]

_log = getLogger(__name__)

_AS_IN_CALLS = {"_sync": "sync", "_return_type": "return_type", "_timeout": "timeout"}


def as_for_send(kwds: dict[str, Any]) -> dict[str, Any]:
    """Return options that were written as in calls as `RPCClient.send` takes them.

    Examples
    --------
    >>> from pyacq_rpc.peers.local import as_for_send
    >>> as_for_send({"_timeout": 60, "sync": "async"})
    {'timeout': 60, 'sync': 'async'}
    """
    return {_AS_IN_CALLS.get(name, name): value for name, value in kwds.items()}


class LocalHome:
    """Where the leases of proxies made by `RPCServer.get_proxy` are kept.

    Parameters
    ----------
    server : Exporter
        It stays as long as there is such a proxy.

    Attributes
    ----------
    peer : str
        The name under which they are: the process's own.
    heir : None
        See `session.holding.Grantor`: what it has granted ends with the server.
    """

    heir = None

    def __init__(self, server: Exporter) -> None:
        self.peer = LOCAL
        self._server = server

    def release(self, ref: str) -> None:
        """Note that one lease is over; never blocks."""
        self._server.table.release_later(LOCAL, ref)

    def grant(self, lease: Lease) -> str:
        """Grant one more lease; return the token that claims it."""
        token = new_token()
        self._server.table.grant(LOCAL, lease.ref, token)
        return token

    def withdraw(self, token: str) -> None:
        """Forget a grant that nobody will claim."""
        self._server.table.withdraw(LOCAL, token)


class LocalClient:
    """Runs requests of a server's own thread at once, on the objects themselves.

    Results are the objects themselves too, unless a proxy is asked for.

    Parameters
    ----------
    server : ServerCore
    """

    here = True
    timeout = None

    def __init__(self, server: ServerCore) -> None:
        self._server = server
        self.address = server.address

    def send(
        self,
        action: str,
        opts: dict[str, Any] | None = None,
        return_type: str | None = None,
        sync: str | None = None,
        timeout: float | None = NO_TIMEOUT_GIVEN,
        about: ObjectProxy | None = None,
    ) -> Any:
        """Carry out a request; see `RPCClient.send`."""
        check_options(sync, return_type, timeout)
        options = dict(opts or {})
        for name in ("args", "value", "obj"):
            if name in options:
                options[name] = self._at_home(options[name])
        if sync in (None, "sync", "now"):
            return self._run(action, options, return_type)
        from .future import Future  # here only: a node at rest has none

        future: Future[Any] = Future(self, 0)

        def done(result: object, error: BaseException | None) -> None:
            if sync == "off" and error is not None:
                _log.error("%r: a call that wanted no answer failed", self._server, exc_info=error)
            elif future.done():
                return  # cancelled
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)

        tasks = self._server.tasks
        try:
            result = self._run(action, options, return_type)
            cancel = None if tasks is None else tasks.run(result, done)
            if cancel is None:
                done(result, None)
            else:
                future.add_done_callback(lambda _: cancel())
        except Exception as error:  # noqa: BLE001  # it is the future's to raise
            done(None, error)
        return future if sync == "async" else None

    def request(
        self,
        action: str,
        opts: dict[str, Any],
        return_type: str | None,
        sync: str | None,
        timeout: float | None,
        about: ObjectProxy | None,
    ) -> Any:
        """Carry out a request of a proxy; see `session.link.Client`."""
        return self.send(action, opts, return_type, sync, timeout, about)

    def __getitem__(self, name: str) -> Any:
        return self.send("get_item", {"name": name})

    def __setitem__(self, name: str, value: Any) -> None:
        self.send("set_item", {"name": name, "value": value})

    def _import(self, module: str, **kwds: Any) -> Any:
        """Import a module."""
        return self.send("import", {"module": module}, **as_for_send(kwds))

    def ping(self, **kwds: Any) -> Any:
        """Return ``'pong'``."""
        return self.send("ping", **kwds)

    def keys(self) -> list[str]:
        """Return the names that are published."""
        return list(self.send("names"))

    def may_wait(self) -> bool:
        """Whether the thread may wait for an answer: there is nothing to wait for."""
        return True

    def wait_for(self, future: Future[Any], timeout: float | None) -> None:
        """Return: local futures are done when they are made, but for those of tasks.

        Raises
        ------
        RuntimeError
            For one of those, which cannot go on while this thread waits.
        """
        if not future.done():
            raise RuntimeError("this would wait for a task of this very thread: await the future")

    def hurry(self) -> None:
        """Return: nothing is sent."""

    def whom(self) -> str:
        """Return what the server is called in messages."""
        return self._server.link.describe()

    def cancel(self, request_id: int) -> None:
        """Return: there is nothing to withdraw."""

    def _run(self, action: str, options: dict[str, Any], return_type: str | None) -> Any:
        return self._server.process_action(action, options, return_type or "auto", self)

    def _at_home(self, value: Any) -> Any:
        if type(value) is list:
            return [self._at_home(item) for item in value]
        if isinstance(value, ObjectProxy) and value._link is self._server.link:
            return self._server.dispatcher.resolve(value._target, LOCAL)
        return value
