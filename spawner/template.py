"""`NodeTemplate`: a process that is prepared, of which nodes are forks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Sequence

from pyacq_rpc.peers.runtime import current

from .errors import SpawnError
from .family import Family
from .forked import ORDER, ForkedProcess
from .interpreter import Interpreter
from .owner import ProcessOwner
from .start import START_TIMEOUT, NodeProcess

__all__ = ["NodeTemplate"]


class NodeTemplate(ProcessOwner):
    """A process that has imported what nodes need, and of which they are forks.

    A node of a template has nothing left to import: it is ready several times
    sooner, and shares the memory of what was imported with the template and
    its other nodes. In everything else it is a node like others. Only where
    there is ``fork``: not on Windows.

    The process of the template ends when it is stopped and the last of its
    nodes has ended, and with this process, however that one ends.

    Parameters
    ----------
    preload : sequence of str
        The modules to import. They must not start threads when they are
        imported, nor open anything that the nodes cannot share.
    name : str, optional
        What the template is called in error messages.
    executable : str, optional
        The Python interpreter; by default the one that runs this process.
    env : dict, optional
        Environment variables on top of this process's; None removes one. The
        nodes have this process's, except for what is read only when a process
        or a module starts.
    start_timeout : float
        Seconds that the imports may take.

    Attributes
    ----------
    name : str
    pid : int
    proc : subprocess.Popen

    Raises
    ------
    SpawnError
        If the process does not start, or a module cannot be preloaded.
    NotImplementedError
        Where there is no ``fork``.

    Examples
    --------
    >>> from spawner import ProcessSpawner
    >>> with NodeTemplate(preload=["json", "decimal"]) as template:
    ...     with ProcessSpawner(template=template) as proc:
    ...         proc._import("operator").add(1, 2)
    3
    """

    def __init__(
        self,
        preload: Sequence[str] = (),
        name: str | None = None,
        executable: str | None = None,
        env: dict[str, str | None] | None = None,
        start_timeout: float = START_TIMEOUT,
    ) -> None:
        if not hasattr(os, "fork"):
            raise NotImplementedError(
                "a NodeTemplate forks its nodes, and this system has no fork;"
                " start them without a template"
            )
        if isinstance(preload, str):
            raise TypeError(f"preload is a sequence of module names; did you mean [{preload!r}]?")
        self._family = current().attachment(Family)
        self.name = name or self._family.new_name("template")
        self._lock = threading.RLock()
        self.same_python = executable is None
        self._nodes: set[ForkedProcess] = set()
        self._stopping = self._ended = False
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)  # a template that does not answer has many orders
        self._process = NodeProcess(self.name, "inherit", None)
        try:
            with theirs:
                starter = Interpreter(
                    executable, env, None, "spawner.template_child", [theirs.fileno()]
                )
                config = {"preload": list(preload), "control_fd": theirs.fileno()}
                self.proc = self._process.start(
                    self._family.launcher, starter, config, start_timeout
                )
            self.pid = self.proc.pid
            self._family.add_template(self)
            self._process.await_report(start_timeout)
        except BaseException:
            self._process.cancel()
            self._give_back()
            raise

    def stop(self, timeout: float = 5.0) -> None:
        """Start no more nodes from it, and end its process as soon as it has none.

        Nodes that run live on. The template's process waits for them, since
        nobody else could tell their exit codes.

        Parameters
        ----------
        timeout : float
            Seconds that the process has for ending when it has no nodes.
        """
        self._check_that_it_is_ours()
        with self._lock:
            if not self._stopping:
                self._stopping = True
                self._hang_up()
            if self._nodes and self.proc.poll() is None:
                return
        try:
            self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._give_back()

    def kill(self) -> None:
        """End the template's process at once; its nodes live on.

        Their exit codes are not known any more: `poll` and `wait` say 255.
        """
        super().kill()

    def abandon(self) -> None:
        """Let go of it in the child of a fork: the template is not ours."""
        self._control.close()
        super().abandon()

    def fork(self, proc: ForkedProcess, descriptors: Sequence[int]) -> None:
        """Order a node, without waiting for it; for `Fork`.

        Raises
        ------
        OSError
            If the template has ended, or does not answer.
        """
        with self._lock:
            self._nodes.add(proc)
            socket.send_fds(self._control, [ORDER], list(descriptors))

    def await_fork(self, proc: ForkedProcess, name: str, timeout: float) -> None:
        """Return when the node that was ordered is there; for `Fork`.

        Raises
        ------
        SpawnError
            If it will not be, or is not in time.
        """
        try:
            there = proc.await_pid(self._control.fileno(), timeout)
        except ConnectionError:
            raise self.failure(name) from None
        except OSError as error:
            raise SpawnError(f"{self.name} cannot fork {name}: {error}") from error
        if not there:
            raise SpawnError(
                f"{name} did not start within {timeout} s: {self.name} does not answer"
            )

    def failure(self, name: str) -> SpawnError:
        """Return why a node was not forked."""
        how = "was stopped; make another template" if self._stopping else "does not answer"
        with contextlib.suppress(subprocess.TimeoutExpired):
            how = f"has ended with exit code {self.proc.wait(1.0)}; make another template"
        return SpawnError(f"cannot start {name}: its template {self.name} {how}")

    def check(self) -> None:
        """See to it that nodes may be started from it.

        Raises
        ------
        RuntimeError
            If it is somebody else's, or was stopped.
        """
        self._check_that_it_is_ours()
        if self._stopping and self.proc.returncode is None:
            raise RuntimeError(f"{self.name} was stopped; make another template")

    def node_ended(self, proc: ForkedProcess) -> None:
        """Note that a node has ended; it may have been the last."""
        with self._lock:
            self._nodes.discard(proc)
            last = self._stopping and not self._nodes
            if last and self._ended:
                self._control.close()
        if last and self._process.is_ours():
            self.stop()

    def _hang_up(self) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._control.shutdown(socket.SHUT_WR)

    def _give_back(self) -> None:
        """Give back what belonged to the process, which has ended."""
        with self._lock:
            self._stopping = self._ended = True
            self._family.discard_template(self)
            self._process.give_back()
            if not self._nodes:  # one that is being forked looks at it
                self._control.close()
