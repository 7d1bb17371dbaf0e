"""`ProcessSpawner`: one node in a process of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyacq_rpc import RPCClient, ServerDisconnected
from pyacq_rpc.peers.links import ServerLink
from pyacq_rpc.peers.runtime import current
from pyacq_rpc.transport import direct
from pyacq_rpc.transport.sockets import clean_address

from .family import Family
from .interpreter import Interpreter, Starter
from .logs import get_log_address
from .owner import ProcessOwner
from .start import START_TIMEOUT, NodeProcess

if TYPE_CHECKING:
    from .template import NodeTemplate

__all__ = ["ProcessSpawner"]

_log = logging.getLogger(__name__)

_TRY_THE_NAME = (
    "use node[name], and catch KeyError, whose message lists the names that are published"
)
_OUTPUTS = ("inherit", "capture", "log", "discard")


class ProcessSpawner(ProcessOwner):
    """Starts a process with an `RPCServer` in it, and ends it.

    The process ends with this one, however this one ends.

    Parameters
    ----------
    name : str, optional
        What the node is called in logs and error messages.
    address : str or bytes
        Where its server listens.
    log_addr : str, optional
        Address of a `LogServer` to which log records and output go; by default
        the one of `start_log_server`, if that was called.
    log_level : int or str, optional
        Level of the node's root logger; by default that of this process's.
    executable : str, optional
        The Python interpreter; by default the one that runs this process.
    qt : bool
        Whether it is a GUI: whether its main thread has a ``QApplication`` and
        a `QtRPCServer`. The node ends when that application is asked to quit.
    env : dict, optional
        Environment variables on top of this process's; None removes one.
    cwd : str or path, optional
        The node's working directory.
    output : {'inherit', 'capture', 'log', 'discard'}, optional
        Where its stdout and stderr go: where this process's go; to the
        attributes `stdout` and `stderr`; to the log server; or nowhere. By
        default to the log server if there is one, else inherited.
    start_timeout : float
        Seconds that it may take to start.
    template : NodeTemplate, optional
        What the node is forked from, instead of starting an interpreter. It
        decides about the `executable`, and about such variables in `env` as
        are read only when a process starts.
    asyncio : bool
        Whether its main thread has an event loop of asyncio's, in which the calls of
        ``async def`` functions go on beside each other.

    Attributes
    ----------
    name : str
    address : str
        Where the node's server listens.
    pid : int
    proc : subprocess.Popen
        Of a forked node, which is no child of this process, something with
        the same ``pid``, ``returncode``, ``args``, ``poll``, ``wait``,
        ``send_signal``, ``terminate`` and ``kill``.

    Raises
    ------
    SpawnError
        If the node does not start; says why.

    Examples
    --------
    >>> with ProcessSpawner(name="worker") as proc:
    ...     proc._import("operator").add(1, 2)
    3
    """

    def __init__(
        self,
        name: str | None = None,
        address: str | bytes = "tcp://127.0.0.1:*",
        log_addr: str | bytes | None = None,
        log_level: int | str | None = None,
        executable: str | None = None,
        qt: bool = False,
        env: dict[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        output: str | None = None,
        start_timeout: float = START_TIMEOUT,
        template: NodeTemplate | None = None,
        asyncio: bool = False,
    ) -> None:
        self._family = current().attachment(Family)
        self.name = name or self._family.new_name()
        self._log_addr = clean_address(log_addr) if log_addr else get_log_address()
        if output is None:
            output = "log" if self._log_addr else "inherit"
        if output not in _OUTPUTS:
            raise ValueError(f"output is one of {', '.join(_OUTPUTS)}; not {output!r}")
        if output == "log" and not self._log_addr:
            raise ValueError("output='log' needs a log server; call spawner.start_log_server()")
        if qt and asyncio:
            raise ValueError("a node has one event loop: that of Qt's, or one of asyncio's")
        if log_level is None and self._log_addr:
            log_level = logging.getLogger().getEffectiveLevel()
        self._link: ServerLink | None = None
        self._clean = False
        self._cleaning = threading.RLock()
        # Whatever needs a thread later has it from now on: a thread cannot be
        # started any more when the interpreter exits.
        _ = current().watcher
        key = current().keys.own()
        config = {
            "name": self.name,
            "address": clean_address(address),
            "log_addr": self._log_addr,
            "log_level": log_level,
            "key": [*map(bytes.decode, key[:3]), key.path],
            "qt": bool(qt),
            "asyncio": bool(asyncio),
        }
        starter: Starter
        if template is None:
            starter = Interpreter(executable, env, cwd)
        else:
            from .fork import Fork

            starter = Fork(template, self.name, executable, env, cwd)
        self._process = NodeProcess(self.name, output, self._log_addr)
        try:
            self.proc = self._process.start(self._family.launcher, starter, config, start_timeout)
            self.pid = self.proc.pid
            self._family.add(self)
            report = self._process.await_report(start_timeout)
            self.address: str = report["address"]
            self._link = current().links.link(self.address, report["server_id"])
            self._link.name = self.name
        except BaseException:
            self._process.cancel()
            self._give_back()
            raise

    # -- the node ----------------------------------------------------------------

    @property
    def client(self) -> RPCClient:
        """The current thread's client of the node.

        Raises
        ------
        ServerDisconnected
            If the node is known to be gone.
        """
        if self._link is None or self._link.gone:
            raise ServerDisconnected(f"{self.name} is gone")
        client = self._link.client()
        assert isinstance(client, RPCClient)
        return client

    def _import(self, module: str, **kwds: Any) -> Any:
        """Import a module in the node and return a proxy to it.

        Parameters
        ----------
        module : str
            Its full name. The node has the ``sys.path`` of this process.
        **kwds
            ``_sync``, ``_return_type`` and ``_timeout`` as in calls. An import
            that takes longer than 10 s needs a timeout.
        """
        return self.client._import(module, **kwds)

    def __getitem__(self, name: str) -> Any:
        return self.client[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.client[name] = value

    def __contains__(self, name: object) -> bool:
        raise TypeError(f"a node cannot be searched; {_TRY_THE_NAME}")

    def __iter__(self) -> Iterator[Any]:
        raise TypeError(f"a node cannot be iterated over; {_TRY_THE_NAME}")

    @property
    def stdout(self) -> str:
        """The end of what the node has written to its stdout, if captured."""
        return self._process.tail("stdout")

    @property
    def stderr(self) -> str:
        """The end of what the node has written to its stderr."""
        return self._process.tail("stderr")

    # -- ending --------------------------------------------------------------------

    def stop(self, timeout: float = 5.0) -> int:
        """End the process: ask it to close, then terminate it, then kill it.

        Parameters
        ----------
        timeout : float
            Seconds for all of that. Half of them are for closing.

        Returns
        -------
        int
            Its exit code; negative for the signal that ended it.
        """
        deadline = time.monotonic() + timeout
        if self.poll() is None:
            try:
                self.ask_to_close()
            except Exception:  # noqa: BLE001  # it has to end all the same
                _log.warning("could not ask %s to close", self.name, exc_info=True)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(timeout / 2)
        if self.proc.poll() is None:
            self.proc.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(max(0.0, (deadline - time.monotonic()) / 2))
        self.kill()
        code = self.proc.returncode
        assert code is not None
        return code

    def ask_to_close(self) -> None:
        """Ask the node to close once it has done what it is doing; do not wait."""
        self._check_that_it_is_ours()
        with contextlib.suppress(ServerDisconnected):
            self.client.close_server(sync="off")

    def kill(self) -> None:
        """End the process at once, and what it has started with it."""
        super().kill()

    def _give_back(self) -> None:
        """Give back what belonged to the process, which has ended."""
        with self._cleaning:  # whoever comes second waits until it is done
            if self._clean:
                return
            self._family.discard(self)
            if self._link is not None:
                current().links.server_ended(self._link)
            self._process.give_back()
            if self._link is not None and self.proc.returncode:
                _remove_sockets()  # it may not have had the time to
            self._clean = True


def _remove_sockets() -> None:
    if direct.is_available():
        try:
            direct.sweep(direct.private_directory())
        except OSError as error:
            _log.warning("the sockets of nodes that were killed are not removed: %s", error)
