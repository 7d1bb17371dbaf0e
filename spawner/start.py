"""One process, from before it is started until everything of it is given back.

Starting is done in the launcher's thread, where no signal handler can
interrupt it halfway. Whoever ordered it may give up at any moment.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from pyacq_rpc.transport.waiting import wait_readable

from .errors import SpawnError
from .family import Launcher
from .forked import ForkedProcess
from .interpreter import Starter
from .logs import LogSender
from .output import CAPTURE_SIZE, TAIL_SIZE, Drain

__all__ = ["START_TIMEOUT", "NodeProcess"]

START_TIMEOUT = 30.0
"""Seconds that a node may take to start."""

KILL_TIMEOUT = 3.0
"""Seconds after which a process that was sent SIGKILL counts as ended by that."""

_STDOUT = {
    "capture": subprocess.PIPE,
    "log": subprocess.PIPE,
    "discard": subprocess.DEVNULL,
}
"""What each output makes of stdout; 'inherit' leaves it as it is."""


class NodeProcess:
    """The process of a node, with its pipes and the threads that read them.

    Parameters
    ----------
    name : str
        Of the node.
    output : {'inherit', 'capture', 'log', 'discard'}
        Where its stdout and stderr go.
    log_addr : str or None
        Of the log server that gets them.

    Attributes
    ----------
    proc : subprocess.Popen or ForkedProcess or None
        None until it is started.
    """

    def __init__(self, name: str, output: str, log_addr: str | None) -> None:
        self.name = name
        self.proc: subprocess.Popen[bytes] | ForkedProcess | None = None
        self._output = output
        self._log_addr = log_addr
        self._parent_pid = os.getpid()
        self._lock = threading.RLock()
        self._unwanted = threading.Event()
        self._report_fd = -1
        self._drains: dict[str, Drain] = {}
        self._sender: LogSender | None = None

    def start(
        self,
        launcher: Launcher,
        starter: Starter,
        config: dict[str, Any],
        timeout: float = START_TIMEOUT,
    ) -> subprocess.Popen[bytes] | ForkedProcess:
        """Start the process, and tell it what to be.

        Whatever this raises, `cancel` has to be called then.
        """
        try:
            launcher.run(lambda: self._launch(starter, config))
        except OSError as error:
            raise SpawnError(f"cannot start {self.name} {starter.how}: {error}") from error
        assert self.proc is not None
        # Not in the launcher's thread, which others may need: neither a template
        # that does not answer nor a child that reads nothing.
        starter.settle(self.proc, timeout)
        return self.proc

    def _launch(self, starter: Starter, config: dict[str, Any]) -> None:
        with self._lock:
            if self._unwanted.is_set():
                return
            self._report_fd, report_fd = os.pipe()
            try:
                self.proc = starter.launch(config, _STDOUT.get(self._output), report_fd)
            finally:
                os.close(report_fd)
            self._drain_output(self.proc)
        if self._unwanted.is_set():  # since then, by somebody who could not wait for the lock
            self.cancel()

    def _drain_output(self, proc: subprocess.Popen[bytes] | ForkedProcess) -> None:
        keep = CAPTURE_SIZE if self._output == "capture" else TAIL_SIZE
        for stream, pipe in (("stdout", proc.stdout), ("stderr", proc.stderr)):
            if pipe is None:
                continue
            on_line = self._logger_of(stream, proc) if self._output == "log" else None
            forward = 2 if self._output == "inherit" else None
            thread_name = f"spawner {stream} of {self.name}"
            self._drains[stream] = Drain(os.dup(pipe.fileno()), thread_name, on_line, forward, keep)
            pipe.close()

    def _logger_of(
        self, stream: str, proc: subprocess.Popen[bytes] | ForkedProcess
    ) -> Callable[[str], None]:
        if self._sender is None:
            assert self._log_addr is not None
            self._sender = LogSender(self._log_addr, self.name)
        sender = self._sender
        level = logging.INFO if stream == "stdout" else logging.WARNING

        def log_line(line: str) -> None:
            record = logging.LogRecord(
                f"{self.name}.{stream}", level, "", 0, line.replace("%", "%%"), (), None
            )
            record.msg, record.process, record.threadName = line, proc.pid, stream
            sender.handle(record)

        return log_line

    def await_report(self, timeout: float) -> dict[str, str]:
        """Return what the node says of itself, as soon as it does or has failed.

        Raises
        ------
        SpawnError
            If it says that it could not start, or ends, or takes too long.
        """
        deadline = time.monotonic() + timeout
        data = b""
        # A line: something that it has started may keep the pipe open.
        while not data.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not wait_readable([self._report_fd], left):
                text = f"{self.name} did not start within {timeout} s"
                raise SpawnError(text, None, self.tail("stderr"))
            part = os.read(self._report_fd, 65536)
            if not part:
                raise self._failure(None)
            data += part
        with self._lock:
            self._close_report()
        report: dict[str, str] = json.loads(data)
        if "error" in report:
            raise self._failure(report["error"])
        return report

    def _failure(self, error: str | None) -> SpawnError:
        assert self.proc is not None
        code: int | None = None
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self.proc.wait(2.0)
            self._drains["stderr"].finish()
            self._drains["stderr"].join(1.0)
        how = "could not start" if code is None else f"ended with exit code {code} while it started"
        text = f"{self.name} {how}"
        if error is not None:
            text += f":\n{error.rstrip()}"
        return SpawnError(text, code, self.tail("stderr"))

    def tail(self, stream: str) -> str:
        """Return the end of what it has written, as far as that is kept."""
        drain = self._drains.get(stream)
        return "" if drain is None else drain.tail()

    def is_ours(self) -> bool:
        """Whether it is a child of this process, which may be a fork of its parent."""
        return self._parent_pid == os.getpid()

    def abandon(self) -> None:
        """Let go of the lifeline in the child of a fork: the node is not ours."""
        if self.proc is not None and self.proc.stdin is not None:
            self.proc.stdin.close()
        if isinstance(self.proc, ForkedProcess):
            self.proc.abandon()

    def cancel(self) -> None:
        """End the process at once, or see to it that it is never started."""
        self._unwanted.set()  # before anything that can be interrupted
        with self._lock:
            if self.proc is not None:
                self.kill()
            self.give_back()

    def kill(self) -> None:
        """End the process at once, and what it has started with it."""
        assert self.proc is not None
        if self.proc.poll() is None:
            try:
                if self.proc.pid == 0:  # ordered, and not there yet
                    raise ProcessLookupError
                os.killpg(self.proc.pid, signal.SIGKILL)
            except (AttributeError, ProcessLookupError, PermissionError):
                self.proc.kill()
        if isinstance(self.proc, ForkedProcess):
            # Nobody but its template can tell, which may have been stopped by a debugger.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.proc.wait(KILL_TIMEOUT)
            self.proc.give_up()
        self.proc.wait()

    def give_back(self) -> None:
        """Give back what belonged to the process, which has ended."""
        with self._lock:
            self._close_report()
            if self.proc is not None:
                for pipe in filter(None, (self.proc.stdin, self.proc.stdout, self.proc.stderr)):
                    pipe.close()
            if isinstance(self.proc, ForkedProcess):
                self.proc.close()
            for drain in self._drains.values():
                drain.finish()
            for drain in self._drains.values():
                drain.join(1.0)
            if self._sender is not None:
                self._sender.close()

    def _close_report(self) -> None:
        fd, self._report_fd = self._report_fd, -1
        if fd >= 0:
            os.close(fd)
