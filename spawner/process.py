"""`ProcessSpawner`: one node in a process of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from pyacq_rpc import RPCClient, ServerDisconnected
from pyacq_rpc.errors import CallTimeout
from pyacq_rpc.peers.runtime import ServerLink, current
from pyacq_rpc.transport.sockets import clean_address
from pyacq_rpc.transport.waiting import wait_readable

from . import child
from .errors import SpawnError
from .family import Family
from .logs import LogSender, get_log_address
from .output import CAPTURE_SIZE, TAIL_SIZE, Drain

__all__ = ["ProcessSpawner"]

_log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds that a node may take to start."""

_OUTPUTS = ("inherit", "capture", "log", "discard")


class ProcessSpawner:
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
        Whether to serve in a Qt event loop.
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

    Attributes
    ----------
    name : str
    address : str
        Where the node's server listens.
    pid : int
    proc : subprocess.Popen

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
    ) -> None:
        if qt:
            raise NotImplementedError("qt=True needs QtRPCServer, which this version does not have")
        self._family = current().attachment(Family)
        self.name = name or self._family.new_name()
        self._log_addr = clean_address(log_addr) if log_addr else get_log_address()
        if output is None:
            output = "log" if self._log_addr else "inherit"
        if output not in _OUTPUTS:
            raise ValueError(f"output is one of {', '.join(_OUTPUTS)}; not {output!r}")
        if output == "log" and not self._log_addr:
            raise ValueError("output='log' needs a log server; call spawner.start_log_server()")
        if log_level is None and self._log_addr:
            log_level = logging.getLogger().getEffectiveLevel()
        self._output = output
        self._sender: LogSender | None = None
        self._link: ServerLink | None = None
        config = {
            "name": self.name,
            "address": clean_address(address),
            "log_addr": self._log_addr,
            "log_level": log_level,
            "same_python": executable is None,
            "path": _search_path(executable is None),
        }
        self._start(executable or sys.executable, config, env, cwd)
        self._family.add(self)
        try:
            report = self._await_report(time.monotonic() + start_timeout, start_timeout)
            self.address: str = report["address"]
            self._link = current().link(self.address, report["server_id"])
        except BaseException:
            self._end_process()
            self._clean_up()
            raise

    def __repr__(self) -> str:
        code = self.proc.poll()
        state = "running" if code is None else f"ended with exit code {code}"
        return f"<ProcessSpawner {self.name}, process {self.pid}, {state}>"

    # -- starting --------------------------------------------------------------

    def _start(
        self,
        executable: str,
        config: dict[str, Any],
        env: dict[str, str | None] | None,
        cwd: str | os.PathLike[str] | None,
    ) -> None:
        self._report_fd, report_fd = os.pipe()
        config.update(report_fd=report_fd, parent_pid=os.getpid())
        pipe = self._output in ("capture", "log")
        discard = subprocess.DEVNULL if self._output == "discard" else None
        try:
            self.proc: subprocess.Popen[bytes] = self._family.launcher.run(
                lambda: subprocess.Popen(  # noqa: S603  # the interpreter is the caller's choice
                    [executable, "-c", child.BOOT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE if pipe else discard,
                    stderr=subprocess.PIPE,
                    env=_environment(env),
                    cwd=cwd,
                    pass_fds=(report_fd,),
                    start_new_session=True,
                )
            )
        except OSError as error:
            os.close(self._report_fd)
            raise SpawnError(f"cannot start {self.name} with {executable}: {error}") from error
        finally:
            os.close(report_fd)
        self.pid = self.proc.pid
        self._drain_output()
        assert self.proc.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died at once; its report will say so
            self.proc.stdin.write(json.dumps(config).encode() + b"\n")
            self.proc.stdin.flush()

    def _drain_output(self) -> None:
        keep = CAPTURE_SIZE if self._output == "capture" else TAIL_SIZE
        self._drains: dict[str, Drain] = {}
        for stream, pipe in (("stdout", self.proc.stdout), ("stderr", self.proc.stderr)):
            if pipe is None:
                continue
            on_line = self._logger_of(stream) if self._output == "log" else None
            forward = 2 if self._output == "inherit" else None
            thread_name = f"spawner {stream} of {self.name}"
            self._drains[stream] = Drain(os.dup(pipe.fileno()), thread_name, on_line, forward, keep)
            pipe.close()

    def _logger_of(self, stream: str) -> Callable[[str], None]:
        if self._sender is None:
            assert self._log_addr is not None
            self._sender = LogSender(self._log_addr, self.name)
        sender = self._sender
        level = logging.INFO if stream == "stdout" else logging.WARNING

        def log_line(line: str) -> None:
            record = logging.LogRecord(
                f"{self.name}.{stream}", level, "", 0, line.replace("%", "%%"), (), None
            )
            record.msg, record.process, record.threadName = line, self.pid, stream
            sender.handle(record)

        return log_line

    def _await_report(self, deadline: float, timeout: float) -> dict[str, str]:
        """Return what the node says of itself, as soon as it does or has failed."""
        data = b""
        try:
            while not data.endswith(b"}"):
                left = deadline - time.monotonic()
                if left <= 0 or not wait_readable([self._report_fd], left):
                    raise SpawnError(
                        f"{self.name} did not start within {timeout} s", None, self.stderr
                    )
                part = os.read(self._report_fd, 65536)
                if not part:
                    raise self._failure(None)
                data += part
        finally:
            os.close(self._report_fd)
        report: dict[str, str] = json.loads(data)
        if "error" in report:
            raise self._failure(report["error"])
        return report

    def _failure(self, error: str | None) -> SpawnError:
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.proc.wait(2.0)
        self._drains["stderr"].join(1.0)
        how = "could not start" if code is None else f"ended with exit code {code} while it started"
        text = f"{self.name} {how}"
        if error is not None:
            text += f":\n{error.rstrip()}"
        return SpawnError(text, code, self.stderr)

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
        client = RPCClient.get_client(self.address)
        assert client is not None
        return client

    def _import(self, module: str, **kwds: Any) -> Any:
        """Import a module in the node and return a proxy to it."""
        return self.client._import(module, **kwds)

    def __getitem__(self, name: str) -> Any:
        return self.client[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.client[name] = value

    @property
    def stdout(self) -> str:
        """The end of what the node has written to its stdout, if captured."""
        return self._tail("stdout")

    @property
    def stderr(self) -> str:
        """The end of what the node has written to its stderr."""
        return self._tail("stderr")

    def _tail(self, stream: str) -> str:
        drain = self._drains.get(stream)
        return "" if drain is None else drain.tail()

    # -- ending --------------------------------------------------------------------

    def poll(self) -> int | None:
        """Return the exit code of the process, or None while it runs."""
        return self.proc.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process to end.

        Parameters
        ----------
        timeout : float or None
            In seconds; None waits for ever.

        Returns
        -------
        int
            The exit code; negative for the signal that ended it.

        Raises
        ------
        CallTimeout
            If it still runs then.
        """
        try:
            code = self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise CallTimeout(f"{self!r} did not end within {timeout} s") from None
        self._clean_up()
        return code

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
        if self.proc.poll() is None:
            self.ask_to_close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(timeout / 2)
        if self.proc.poll() is None:
            self.proc.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(max(0.0, (deadline - time.monotonic()) / 2))
        self._end_process()
        self._clean_up()
        code: int = self.proc.returncode
        return code

    def ask_to_close(self) -> None:
        """Ask the node to close once it has done what it is doing; do not wait."""
        with contextlib.suppress(ServerDisconnected):
            self.client.close_server(sync="off")

    def abandon(self) -> None:
        """Let go of the lifeline in the child of a fork: the node is not ours."""
        assert self.proc.stdin is not None
        os.close(self.proc.stdin.fileno())

    def kill(self) -> None:
        """End the process at once, and what it has started with it."""
        self._end_process()
        self._clean_up()

    def _end_process(self) -> None:
        if self.proc.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except (AttributeError, ProcessLookupError, PermissionError):
                self.proc.kill()
        self.proc.wait()

    def _clean_up(self) -> None:
        """Give back what belonged to the process, which has ended."""
        self._family.discard(self)
        if self.proc.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.proc.stdin.close()
        if self._link is not None:
            current().server_ended(self._link)
        for drain in self._drains.values():
            drain.join(1.0)
        if self._sender is not None:
            self._sender.close()

    def __enter__(self) -> ProcessSpawner:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.stop()


def _search_path(same_python: bool) -> list[str]:
    """Where the child looks for modules.

    The same Python gets the very path of this process. Another one has its
    own, and is only told where these two packages are.
    """
    if same_python:
        return [os.path.abspath(entry) for entry in sys.path]
    return [str(Path(__file__).resolve().parents[1])]


def _environment(changes: dict[str, str | None] | None) -> dict[str, str] | None:
    if changes is None:
        return None
    merged = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}
