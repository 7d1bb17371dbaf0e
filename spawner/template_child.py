"""A template process: imports what its nodes will need, and forks them.

It has one thread, no zmq context and no event loop, so that a fork of it is as
good as new. For each order it gets a byte and, with it, the descriptors of a
node: stdin, stdout, stderr, the pipe for its report, the file that says what it
is to be, and the channel on which the template tells its process id and its exit
code.

The template ends when it gets no more orders and the last of its nodes has
ended. When its parent has ended, as its stdin tells, it ends the nodes that do
not end by themselves.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import io
import json
import os
import random
import select
import signal
import socket
import sys
import threading
import time
import warnings
from types import FrameType
from typing import Any

import zmq

import pyacq_rpc
from pyacq_rpc.transport.waiting import wait_readable

from . import child, lifeline
from .forked import DESCRIPTORS, ORDER

__all__ = ["main"]

_PATIENCE = lifeline.GRACE + 0.5
"""Seconds that nodes have for ending by themselves when the parent has ended."""

_SIGNALS = (signal.SIGCHLD, signal.SIGHUP)
"""What wakes the template: a node or the parent has ended."""


def main(config: dict[str, Any]) -> None:
    """Be the template that `config` describes; returns in its nodes too, when they end."""
    lifeline.ask_kernel(config["parent_pid"])  # an import may take for ever
    try:
        _prepare(config["preload"])
        template = _Template(config["control_fd"], config["parent_pid"])
    except BaseException:  # noqa: BLE001  # whatever it is, the parent waits to hear of it
        child.report_error(config["report_fd"])
        raise SystemExit(1) from None
    child.report(config["report_fd"], {"ready": True})
    node = template.serve()
    if node is None:
        template.close()
    else:
        child.main(node)


def _prepare(preload: list[str]) -> None:
    # Whoever started us may have had its stdout closed. No descriptor of a node
    # may come to lie there.
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for name in preload:
        importlib.import_module(name)
    # What a node imports only when it is there, or when somebody uses it.
    for name in ("ctypes", "fcntl", "spawner.logs"):
        importlib.import_module(name)
    _ = pyacq_rpc.RPCClient
    others = [thread.name for thread in threading.enumerate()]
    others.remove(threading.main_thread().name)
    if others:
        raise RuntimeError(
            f"what was preloaded has started threads, which a fork would not have: {others};"
            " preload modules that start none when they are imported"
        )
    gc.collect()
    # By their types: to ask a stranger for its class may run code of its own.
    contexts = [thing for thing in gc.get_objects() if issubclass(type(thing), zmq.Context)]
    if not all(context.closed for context in contexts):
        raise RuntimeError(
            "what was preloaded has opened a zmq context, which a fork could not use;"
            " preload modules that open none when they are imported"
        )
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()  # or each node would write it once more
    del contexts
    # Nodes share the memory of what their collectors never look at.
    gc.freeze()


class _Template:
    """Takes orders, and reports the ends of the nodes."""

    def __init__(self, control_fd: int, parent_pid: int) -> None:
        self._parent_pid = parent_pid
        self._control = socket.socket(fileno=control_fd)
        self._control.set_inheritable(False)
        self._nodes: dict[int, socket.socket] = {}  # by process id; where to tell its end
        self._woken, self._waking = socket.socketpair()
        for end in (self._woken, self._waking):
            end.setblocking(False)

    def serve(self) -> dict[str, Any] | None:
        """Fork nodes until nobody needs that any more.

        Returns
        -------
        dict or None
            In a node what it is to be; None when the template has done its work.
        """
        signal.set_wakeup_fd(self._waking.fileno(), warn_on_full_buffer=False)
        for signum in _SIGNALS:
            signal.signal(signum, _ignore)
        poller = select.poll()
        for fd in (0, self._control.fileno(), self._woken.fileno()):
            poller.register(fd, select.POLLIN)
        ordering = True
        while ordering or self._nodes:
            ready = {fd for fd, _ in poller.poll()}
            # Nothing comes over stdin any more but its end.
            if 0 in ready or os.getppid() != self._parent_pid:
                self._end_nodes()
                return None
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
                self._reap()
            if self._control.fileno() in ready:
                fds = self._take_order()
                if fds is None:
                    poller.unregister(self._control.fileno())
                    ordering = False
                else:
                    node = self._fork(fds)
                    if node is not None:
                        return node
        return None

    def close(self) -> None:
        """Let go of all that is the template's."""
        for thing in (self._control, self._woken, self._waking, *self._nodes.values()):
            thing.close()

    def _take_order(self) -> list[int] | None:
        """Return the descriptors of the node that is ordered, or None at the end."""
        space = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, _, _ = self._control.recvmsg(1, space, flags)
        if data != ORDER:
            return None
        fds = array.array("i")
        for level, kind, content in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
        for fd in fds:
            os.set_inheritable(fd, False)
        return list(fds)

    def _fork(self, fds: list[int]) -> dict[str, Any] | None:
        if len(fds) != DESCRIPTORS:  # our table of descriptors is full
            for fd in fds:
                os.close(fd)
            return None
        *own, channel_fd = fds
        channel = socket.socket(fileno=channel_fd)
        try:
            with warnings.catch_warnings():
                # There is one thread of Python, as was seen to. A library may have
                # others, which it has to end before a fork, as that of numpy does.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            return self._become_node(own, channel)
        for fd in own:
            os.close(fd)
        _tell(channel, pid)
        if pid > 0:
            self._nodes[pid] = channel
        else:
            channel.close()
        return None

    def _reap(self) -> None:
        for pid, channel in list(self._nodes.items()):  # not a child of what was preloaded
            with contextlib.suppress(ChildProcessError):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    # At once: until then its id may go to another process unnoticed.
                    _tell(channel, os.waitstatus_to_exitcode(status))
                    channel.close()
                    del self._nodes[pid]

    def _end_nodes(self) -> None:
        """Wait for the nodes, which the end of their parent ends too, and end the rest."""
        deadline = time.monotonic() + _PATIENCE
        while self._nodes and (left := deadline - time.monotonic()) > 0:
            select.select([self._woken], [], [], left)
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            self._reap()
        for pid in self._nodes:
            for kill in (os.killpg, os.kill):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    kill(pid, signal.SIGKILL)

    def _become_node(self, fds: list[int], channel: socket.socket) -> dict[str, Any]:
        """In the fork: let go of what is the template's; return what to be."""
        *streams, report_fd, config_fd = fds
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            for signum in _SIGNALS:
                signal.signal(signum, signal.SIG_DFL)
            self.close()
            for number, fd in enumerate(streams):
                os.dup2(fd, number)
                os.close(fd)
            # Says that this process lives; its own forks do not say so.
            _hold(channel.detach())
            if wait_readable([0], 0):  # whoever ordered it has given up
                os._exit(1)
            with open(config_fd, "rb") as file:
                config: dict[str, Any] = json.load(file)
        except BaseException:  # noqa: BLE001  # it must never go on as a second template
            child.report_error(report_fd)
            os._exit(1)
        config["report_fd"] = report_fd
        try:
            _be_as_new(config)
        except BaseException:  # noqa: BLE001  # the parent waits to hear of it
            child.report_error(report_fd)
            raise SystemExit(1) from None
        return config


def _be_as_new(config: dict[str, Any]) -> None:
    """Change what the fork has from the template to what the node is to have."""
    for name in os.environ.keys() - config["env"].keys():
        del os.environ[name]
    for name, value in config["env"].items():
        if os.environ.get(name) != value:
            os.environ[name] = value
    time.tzset()
    if config["cwd"] is not None:
        os.chdir(config["cwd"])
    if config["same_python"]:
        sys.path[:] = config["path"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()


def _hold(fd: int) -> None:
    """Keep a descriptor as long as this process lives, but not in forks of it."""
    held = [fd]

    def let_go() -> None:
        while held:  # in forks of forks, not once more
            os.close(held.pop())

    os.register_at_fork(after_in_child=let_go)


def _tell(channel: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # nobody wants to know any more
        channel.sendall(b"%d\n" % number)


def _ignore(signum: int, frame: FrameType | None) -> None:
    pass  # that it came was written to the wakeup descriptor
