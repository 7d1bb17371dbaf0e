"""The actions of the protocol as methods, for whoever can send requests."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..errors import ServerDisconnected
from ..session.proxy import ObjectProxy
from .local import as_for_send

__all__ = ["Actions", "BlockingActions"]

T = TypeVar("T")

_TRY_THE_NAME = (
    "client.keys() lists the names that are published, and client[name] raises KeyError for others"
)


class Actions(abc.ABC):
    """What a server can be asked for, in terms of `send`."""

    @abc.abstractmethod
    def send(self, action: str, opts: dict[str, Any] | None = None, *args: Any, **kwds: Any) -> Any:
        """Send a request; see `RPCClient.send`."""

    def __getitem__(self, name: str) -> Any:
        return self.send("get_item", {"name": name})

    def __setitem__(self, name: str, value: Any) -> None:
        self.send("set_item", {"name": name, "value": value}, sync="now")

    def set_item(self, name: str, value: Any, **kwds: Any) -> Any:
        """Publish an object under a name, as ``client[name] = value`` does.

        Parameters
        ----------
        name : str
        value : object
        **kwds
            Passed to `send`.
        """
        return self.send("set_item", {"name": name, "value": value}, **kwds)

    def __contains__(self, name: object) -> bool:
        raise TypeError(f"a client cannot be searched; {_TRY_THE_NAME}")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"a client cannot be iterated over; {_TRY_THE_NAME}")

    def call_obj(
        self,
        obj: ObjectProxy,
        args: tuple[Any, ...] | None = None,
        kwargs: dict[str, Any] | None = None,
        **kwds: Any,
    ) -> Any:
        """Call a remote object.

        Parameters
        ----------
        obj : ObjectProxy
            What to call.
        args : tuple, optional
        kwargs : dict, optional
        **kwds
            Passed to `send`.
        """
        opts = {"obj": obj._target, "args": list(args or ()), "kwargs": dict(kwargs or {})}
        return self.send("call_obj", opts, about=obj, **kwds)

    def get_obj(self, obj: ObjectProxy, **kwds: Any) -> Any:
        """Return a copy of a remote object, or a proxy if it has no value form.

        Parameters
        ----------
        obj : ObjectProxy
        **kwds
            Passed to `send`.
        """
        return self.send("get_obj", {"obj": obj._target}, about=obj, **kwds)

    def transfer(self, obj: Any, **kwds: Any) -> Any:
        """Send an object to the server and return a proxy to it there.

        Parameters
        ----------
        obj : object
            Travels by value if it has a value form.
        **kwds
            Passed to `send`.
        """
        return self.send("transfer", {"obj": obj}, **{"return_type": "proxy", **kwds})

    def delete(self, obj: ObjectProxy, **kwds: Any) -> Any:
        """Revoke the reference of a proxy.

        The proxy and every copy of it, in other processes too, can no longer
        be used. A reference to the same object that was acquired independently
        remains good. Proxies that are merely dropped need no `delete`.

        Parameters
        ----------
        obj : ObjectProxy
        **kwds
            Passed to `send`.
        """
        opts = {"obj_id": obj._obj_id, "ref_id": obj._ref_id}
        return self.send("delete", opts, about=obj, **kwds)

    def _import(self, module: str, **kwds: Any) -> Any:
        """Import a module over there and return a proxy to it.

        Parameters
        ----------
        module : str
            Its full name.
        **kwds
            ``_sync``, ``_return_type`` and ``_timeout`` as in calls, or the
            same without the underscore, as for `send`. An import that takes
            longer than `timeout`, 10 s unless told otherwise, needs one.

        Examples
        --------
        >>> server = start_background("example")
        >>> RPCClient(server.address)._import("math", _timeout=60).sqrt(4)
        2.0
        """
        return self.send("import", {"module": module}, **as_for_send(kwds))

    def ping(self, sync: str | None = None, **kwds: Any) -> Any:
        """Return ``'pong'`` from the server."""
        return self.send("ping", sync=sync, **kwds)


class BlockingActions(Actions):
    """What takes more than a request, for whoever waits for the answer to each."""

    @abc.abstractmethod
    def disconnected(self) -> bool:
        """Whether the server is gone, or this client closed."""

    # Not ``type[T]``: mypy takes no Protocols and abstract classes for that.
    def get(self, name: str, cls: Callable[..., T], *, check: bool = False) -> T:
        """Return what is published under a name, for type checkers as an object of a class.

        Parameters
        ----------
        name : str
        cls, check
            As of `ObjectProxy.as_type`. What has a value form arrives as such, and is returned
            as it is.

        Returns
        -------
        cls
            For checkers.

        Raises
        ------
        KeyError
            If nothing is published under the name.
        TypeError
            If `cls` is no class.

        Examples
        --------
        >>> import queue
        >>> server = start_background("example")
        >>> server["jobs"] = queue.Queue()
        >>> jobs = RPCClient(server.address).get("jobs", queue.Queue, check=True)
        >>> jobs.put("first")
        >>> jobs.put("second", blok=False)
        Traceback (most recent call last):
            ...
        TypeError: Queue.put(item, block=True, timeout=None): got an unexpected keyword argument...
        """
        found = self[name]
        if isinstance(found, ObjectProxy):
            return found.as_type(cls, check=check)
        value: T = found
        return value

    def measure_clock_diff(self, rounds: int = 10) -> float:
        """Measure how far the server's clock is ahead of this one.

        Parameters
        ----------
        rounds : int
            Number of requests; the one that was answered soonest counts.

        Returns
        -------
        float
            In seconds, right within half of that round trip (Cristian 1989).
        """
        best = (float("inf"), 0.0)
        for _ in range(rounds):
            before = time.time()
            start = time.perf_counter()
            theirs = self.send("time", sync="sync")
            took = time.perf_counter() - start
            best = min(best, (took, theirs - (before + took / 2)))
        return best[1]

    def close_server(self, sync: str = "sync", timeout: float | None = 1.0, **kwds: Any) -> Any:
        """Ask the server to close.

        All of its clients are told that it has.

        Returns
        -------
        bool
            True if it has closed, or had before.
        """
        if self.disconnected():
            return True
        try:
            return self.send("close", sync=sync, timeout=timeout, **kwds)
        except ServerDisconnected:
            return True
