"""Functions that are called around each call: for tracing and metrics.

A hook is a function that is called when a call begins, and returns what is to be called
when it has ended, or None. It is the same for calls that go out, which may end in another
thread, and for those that come in.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Union

from ..late_logging import getLogger
from ..session.about import describe_action, short_name
from ..wire.context import check_context
from .runtime import current

if TYPE_CHECKING:
    from ..session.dispatch import Dispatcher
    from ..session.proxy import ObjectProxy
    from ..wire.messages import Request
    from .batching import Batching
    from .client import RPCClient
    from .connection import Connection
    from .server import ServerCore

__all__ = [
    "CallInfo",
    "Ended",
    "Hook",
    "HookedCall",
    "add_hook",
    "incoming",
    "outgoing",
    "outgoing_call",
]

_log = getLogger(__name__)

LONGEST_ABOUT = 200
"""Characters of what a call is about: its sender may have written anything there."""


class CallInfo(NamedTuple):
    """A call, as hooks get to see it.

    Attributes
    ----------
    action : str
        What kind of request it is: ``'call_obj'``, ``'get_item'``, ``'import'`` and so on.
    about : str
        What it is about, in at most 200 characters: ``'camera.expose'``, ``'import numpy'``.
        Where it goes out, an object is called by its class, ``'Camera.expose'``; where it comes
        in, by the name under which it is published, if it is.
    peer : str
        Who is on the other side. Of an outgoing call, the server's name, or its address as long
        as it has not told its name. Of an incoming one, something that is the same for all
        calls of one process to this server, and says nothing else.
    address : str
        The server's address.
    sync : str or None
        ``'sync'``, ``'async'`` or ``'off'``. Of an incoming call, ``'off'`` if no answer is
        wanted, and otherwise None: how its sender waits is not known.
    is_incoming : bool
        Whether it comes in.
    context : dict of str to str
        Travels with the request. An outgoing hook may add to it: 16 entries and 4096 characters
        at most, whichever hook they are of. An incoming hook finds there what the client says;
        it may be anything.
    """

    action: str
    about: str
    peer: str
    address: str
    sync: str | None
    is_incoming: bool
    context: dict[str, str]


Ended = Callable[[Union[BaseException, None]], object]
"""Called when a call has ended: with what it has raised, or None."""

HookFunction = Callable[[CallInfo], Union[Ended, None]]


class Hook:
    """What `add_hook` has added; used with ``with``, it is removed at the end.

    Parameters
    ----------
    outgoing, incoming : callable or None
        As for `add_hook`.
    """

    def __init__(self, outgoing: HookFunction | None, incoming: HookFunction | None) -> None:
        self.outgoing = outgoing
        self.incoming = incoming
        self._told: set[bool] = set()

    def __repr__(self) -> str:
        given = {"outgoing": self.outgoing, "incoming": self.incoming}
        return f"<Hook {', '.join(f'{k}={v!r}' for k, v in given.items() if v is not None)}>"

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Call these functions no more; what they have returned is still called once."""
        runtime = current()
        with runtime.lock:
            outgoing, incoming = runtime.outgoing_hooks, runtime.incoming_hooks
            runtime.outgoing_hooks = tuple(hook for hook in outgoing if hook is not self)
            runtime.incoming_hooks = tuple(hook for hook in incoming if hook is not self)

    def failed(self, info: CallInfo, what: str) -> None:
        """Log what a function has raised just now, the first time."""
        if info.is_incoming not in self._told:
            self._told.add(info.is_incoming)
            _log.exception("%r failed at %s of %s; this is said once", self, what, info.about)


def add_hook(*, outgoing: HookFunction | None = None, incoming: HookFunction | None = None) -> Hook:
    """Have functions called around each call that this process makes, or carries out.

    Each is called with a `CallInfo` when a call begins, and returns a function that is to be
    called when that has ended, or None. That one is called once, with the exception or None.

    What a hook raises is logged, the first time, and the call goes on. A hook is part of each
    call: what it takes, they take. Calls that a hook makes pass no outgoing hooks. Ctrl-C in the
    middle of a hook may keep that from being told the end of the call.

    Parameters
    ----------
    outgoing : callable, optional
        Called in the thread that makes the call, before the request is written. The call has
        ended when its answer is there, or is given up. The function is called then in
        whichever thread takes the answer in: of an asynchronous call, it may be
        the I/O thread. A call with ``_sync='off'`` ends when it has been sent.
    incoming : callable, optional
        Called in the server's thread, before the request is carried out. The call has ended
        when it has been carried out and its result is written, before that is sent. The
        function is called then, in the same thread.

    Returns
    -------
    Hook
        Its ``remove()`` ends this; so does the end of a ``with`` block.

    Raises
    ------
    TypeError
        If none was given, or one cannot be called.

    Notes
    -----
    All requests of clients and proxies pass the hooks: calls, attributes, operators, imports;
    callbacks, slots of remote signals and timers that call a proxy, as calls of the process
    that makes them. These do not: `RPCClient.status`, `RPCClient.server_stats` and
    `RPCClient.interrupt`, which are answered whatever happens; calls of a server's own
    objects in its own thread, which are no messages; and requests that are refused or
    withdrawn before they have begun.

    The child of a fork has the hooks of its parent; `reset` removes all.

    Examples
    --------
    >>> def told(call):
    ...     return lambda error: print(call.about, "failed" if error else "done")
    >>> server = start_background("example")
    >>> client = RPCClient(server.address)
    >>> with add_hook(outgoing=told):
    ...     math = client._import("math")
    ...     math.sqrt(4)
    import math done
    math.sqrt done
    2.0
    """
    if outgoing is None and incoming is None:
        raise TypeError("give a function to be called: outgoing=..., incoming=... or both")
    for name, function in (("outgoing", outgoing), ("incoming", incoming)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} is a function that takes a CallInfo, not {function!r}")
    hook = Hook(outgoing, incoming)
    runtime = current()
    with runtime.lock:
        if outgoing is not None:
            runtime.outgoing_hooks = (*runtime.outgoing_hooks, hook)
        if incoming is not None:
            runtime.incoming_hooks = (*runtime.incoming_hooks, hook)
    return hook


_within = threading.local()
"""Whether a thread is in a hook, so that what that sends begins no hook."""


class HookedCall:
    """One call that hooks know of.

    Whoever calls `begin` has to see to it that `end` is called, also after an interrupt.

    Parameters
    ----------
    info : CallInfo
    """

    __slots__ = ("_ends", "info")

    def __init__(self, info: CallInfo) -> None:
        self.info = info
        self._ends: list[tuple[Hook, Ended]] = []

    def begin(self, hooks: tuple[Hook, ...]) -> None:
        """Call the hooks, in this order; at the end they are told in the opposite one."""
        for hook in hooks:
            self._begin(hook)

    @property
    def context(self) -> dict[str, str] | None:
        """What is to travel with the request; None if that is nothing."""
        return self.info.context or None

    def _begin(self, hook: Hook) -> None:
        info = self.info
        function = hook.incoming if info.is_incoming else hook.outgoing
        assert function is not None
        before = dict(info.context)
        outer = is_within_hook()
        _within.hook = True
        try:
            ended = function(info)
            if info.context != before:
                check_context(info.context)
            if ended is not None:
                if not callable(ended):
                    raise TypeError(
                        "a hook returns a function to be called when the call has ended, or None;"
                        f" not {ended!r}"
                    )
                self._ends.append((hook, ended))
        except Exception:  # noqa: BLE001  # whatever it does, the call goes on
            info.context.clear()
            info.context.update(before)
            hook.failed(info, "the beginning")
        finally:
            _within.hook = outer

    def end(self, error: BaseException | None) -> None:
        """Tell the hooks that the call has ended; from any thread, and once."""
        ends = self._ends
        while ends:
            try:
                hook, ended = ends.pop()
            except IndexError:  # another thread has told the last one
                return
            outer = is_within_hook()
            _within.hook = True
            try:
                ended(error)
            except Exception:  # noqa: BLE001  # whatever it does, the others are told
                hook.failed(self.info, "the end")
            finally:
                _within.hook = outer


def is_within_hook() -> bool:
    """Whether the current thread is in a hook."""
    return getattr(_within, "hook", False)


def outgoing_call(
    client: Batching, action: str, opts: dict[str, Any], sync: str, type_name: str
) -> HookedCall:
    """Return what hooks are told of a request that is about to be sent.

    Parameters
    ----------
    client : RPCClient
    action : str
    opts : dict
    sync : {'sync', 'now', 'async', 'off'}
    type_name : str
        Of the reference that it is about; empty if there is none.
    """

    def name_of(ref: str) -> str | None:
        return short_name(type_name) if type_name else None

    info = CallInfo(
        action,
        describe_action(action, opts, name_of)[:LONGEST_ABOUT],
        client.server_name or client.address,
        client.address,
        "sync" if sync == "now" else sync,
        False,
        {},
    )
    return HookedCall(info)


def outgoing(
    client: RPCClient,
    action: str,
    opts: dict[str, Any],
    return_type: str | None,
    sync: str | None,
    timeout: float | None,
    about: ObjectProxy | None,
) -> Any:
    """Send a request, with the hooks around it; the parameters are those of `RPCClient.request`."""
    type_name = "" if about is None else about._type_str
    hooked = outgoing_call(client, action, opts, sync or "sync", type_name)
    try:
        hooked.begin(current().outgoing_hooks)
        result = client.request(action, opts, return_type, sync, timeout, about, hooked)
        if sync != "async":
            hooked.end(None)
    except BaseException as error:
        hooked.end(error)
        raise
    return result


def incoming(
    server: ServerCore, dispatcher: Dispatcher, connection: Connection, request: Request
) -> HookedCall:
    """Return what hooks are told of a request that is about to be carried out."""
    info = CallInfo(
        request.action,
        dispatcher.describe(request.action, request.options)[:LONGEST_ABOUT],
        _label(connection.peer),
        server.address,
        "off" if request.reply == "off" else None,
        True,
        dict(request.context or {}),
    )
    return HookedCall(info)


@functools.lru_cache(maxsize=1000)
def _label(peer: str) -> str:
    """Return what to call a process whose own name is a secret: who knows it can pose as it."""
    import hashlib  # here: not needed without hooks

    return hashlib.sha256(peer.encode("utf-8", "surrogatepass")).hexdigest()[:12]
