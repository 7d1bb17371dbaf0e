"""Several hosts on one machine: network namespaces at a switch, each with its own home.

A program on a host sees that host's network and its home directory, and goes
on for as long as the test wants it to. What crosses the switch can be read.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]

PREFIX = "pyacq-rpc-test"
NETWORK = "192.0.2"
"""For documentation (RFC 5737): nobody has it."""

CLONE_NEWNET = 0x40000000
PACKET_STATISTICS = 6
SOL_PACKET = 263
PACKET_OUTGOING = 4
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33

AGENT = """
import json, sys, time, traceback
names = {"__name__": "__main__"}
for line in sys.stdin:
    kind, code = json.loads(line)
    begin = time.monotonic()
    try:
        value = (eval if kind == "get" else exec)(code, names)
        told = {"value": value}
    except Exception as error:
        told = {"error": f"{type(error).__name__}: {error}"}
    told["seconds"] = time.monotonic() - begin
    told["at"] = time.monotonic()
    print(json.dumps(told), flush=True)
"""
"""What a program does: what it is told to, line by line."""

ENTER = 'mount --bind "$0" "$1" && shift && exec "$@"'
"""Has the shell of a host see the host's home where all hosts have it."""


class Raised(Exception):
    """What the code on a host has raised, and after how many seconds."""

    def __init__(self, told):
        super().__init__(told["error"])
        self.seconds = told["seconds"]
        self.at = told["at"]


def ip(*arguments):
    run = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if run.returncode:
        raise OSError(f"ip {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout


def why_not():
    """Why there can be no such hosts here, or None."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are of Linux"
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    if not (shutil.which("ip") and shutil.which("mount")):
        return "needs the commands ip and mount: apt-get install iproute2 mount"
    probe = f"{PREFIX}-{os.getpid()}-probe"
    try:
        ip("netns", "add", probe)
    except OSError as error:
        return f"network namespaces cannot be made: {error}"
    try:
        ip("-n", probe, "link", "add", "switch", "type", "bridge")
        ip("-n", probe, "link", "add", "near", "type", "veth", "peer", "name", "far")
        ip("netns", "exec", probe, "mount", "--bind", "/run", "/run")
    except OSError as error:
        return f"network namespaces cannot be connected, or have no mounts of their own: {error}"
    finally:
        ip("netns", "del", probe)
    return None


class Network:
    """Hosts at a switch; `close` leaves nothing of them."""

    def __init__(self, *names):
        sweep()
        self._prefix = f"{PREFIX}-{os.getpid()}"
        self.switch = f"{self._prefix}-switch"
        self.hosts = {}
        try:
            ip("netns", "add", self.switch)
            ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
            ip("-n", self.switch, "link", "set", "bridge", "up")
            for number, name in enumerate(names, 1):
                self._add(name, f"{NETWORK}.{number}")
        except BaseException:
            self.close()
            raise

    def _add(self, name, address):
        namespace, port = f"{self._prefix}-{name}", f"to-{name}"
        self.hosts[name] = Host(self, name, namespace, address, port)
        ip("netns", "add", namespace)
        end = ("peer", "name", port, "netns", self.switch)
        ip("link", "add", "eth0", "netns", namespace, "type", "veth", *end)
        ip("-n", self.switch, "link", "set", port, "master", "bridge", "up")
        ip("-n", namespace, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", namespace, "link", "set", "lo", "up")
        ip("-n", namespace, "link", "set", "eth0", "up")

    def begin(self, folder):
        """Give all hosts an empty home, below this folder."""
        home = folder / "home"
        home.mkdir()
        for host in self.hosts.values():
            host.begin(home, folder / host.name)

    def end(self):
        """End all programs, and mend all cables."""
        for host in self.hosts.values():
            host.end()

    def close(self):
        for namespace in [*(host.namespace for host in self.hosts.values()), self.switch]:
            with contextlib.suppress(OSError):  # it was not made
                ip("netns", "del", namespace)


def sweep():
    """Remove what a test that was killed has left."""
    for line in ip("netns", "list").splitlines():
        name = line.split()[0]
        if name.startswith(f"{PREFIX}-"):
            pid = int(name.removeprefix(f"{PREFIX}-").partition("-")[0])
            if not psutil.pid_exists(pid):
                ip("netns", "del", name)


class Host:
    """One machine, as far as the programs on it can see."""

    def __init__(self, network, name, namespace, address, port):
        self.name = name
        self.namespace = namespace
        self.address = address
        self._network = network
        self._port = port
        self._programs = []
        self._numbers = itertools.count(1)

    def begin(self, home, own):
        """Give it an empty home: `own` here, `home` to the programs on it."""
        (own / "tmp").mkdir(parents=True)
        self.files = own
        self._home = home

    def command(self, *arguments):
        """What runs a command there, and in what environment."""
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYACQ_RPC_KEY", "XDG_"))
        }
        env |= {"HOME": str(self._home), "TMPDIR": str(self._home / "tmp")}
        enter = ["ip", "netns", "exec", self.namespace, "sh", "-c", ENTER]
        return [*enter, str(self.files), str(self._home), *arguments], env

    def key(self, *arguments):
        """Run ``pyacq-rpc key`` there; return what it prints."""
        command, env = self.command(sys.executable, "-m", "pyacq_rpc", "key", *arguments)
        run = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def export(self, name):
        """Export a key of that name; return the file that it is in."""
        self.key("export", name, str(self._home / "a.key"))
        return self.files / "a.key"

    def trust(self, other, at=None):
        """Let the user of another host in, by the way that the guide tells."""
        name = f"{other.name}-{next(self._numbers)}"
        shutil.move(self.export(name), other.files / "a.key")
        other.key("import", str(self._home / "a.key"), at or self.address)
        (other.files / "a.key").unlink()
        return name

    def start(self, code=""):
        """Start a program there, with that done already."""
        program = Program(*self.command(sys.executable, "-c", AGENT))
        self._programs.append(program)
        if code:
            program.do(code)
        return program

    def cut(self):
        """Pull its network cable."""
        ip("-n", self._network.switch, "link", "set", self._port, "down")

    def mend(self):
        """Put its network cable back."""
        ip("-n", self._network.switch, "link", "set", self._port, "up")

    def end(self):
        self.mend()
        for program in self._programs:
            program.kill()
        self._programs.clear()

    @contextlib.contextmanager
    def capture(self):
        """Read what passes through its cable meanwhile."""
        capture = Capture(self._network.switch, self._port)
        try:
            yield capture
        finally:
            capture.close()


class Program:
    """A process on a host, that does what it is told."""

    def __init__(self, command, env):
        self._process = subprocess.Popen(
            command, env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def begin(self, kind, code):
        """Tell it to; `answer` waits for that."""
        self._process.stdin.write(json.dumps([kind, code]) + "\n")
        self._process.stdin.flush()

    def answer(self):
        told = self.answer_whole()
        return told["value"]

    def answer_whole(self):
        line = self._process.stdout.readline()
        assert line, "the program has ended"
        told = json.loads(line)
        if "error" in told:
            raise Raised(told)
        return told

    def do(self, code):
        """Have it carry out statements."""
        self.begin("do", code)
        self.answer()

    def get(self, expression):
        """Return what an expression is worth there."""
        self.begin("get", expression)
        return self.answer()

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class Capture:
    """The bytes of all TCP connections through a port of a switch.

    Attributes
    ----------
    sent, received : bytes
        By the host at that port, once this is closed.
    """

    def __init__(self, namespace, port):
        self._socket = in_namespace(
            namespace, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        )
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((port, ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._closing = False
        self._parts = {True: [], False: []}
        self._thread = threading.Thread(target=self._run, name="capture")
        self._thread.start()

    def _run(self):
        while True:
            try:
                packet, where = self._socket.recvfrom(1 << 17)
            except TimeoutError:
                if self._closing:
                    return
                continue
            self._parts[where[2] == PACKET_OUTGOING].append(payload(packet))

    def close(self):
        self._closing = True
        self._thread.join()
        statistics = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        self._socket.close()
        self.sent, self.received = b"".join(self._parts[False]), b"".join(self._parts[True])
        assert int.from_bytes(statistics[4:], sys.byteorder) == 0, "packets were missed"


def payload(packet):
    """What a packet of TCP over IPv4 carries; of any other, nothing."""
    ip_packet = packet[14:]
    if packet[12:14] != b"\x08\x00" or ip_packet[9] != socket.IPPROTO_TCP:
        return b""
    segment = ip_packet[(ip_packet[0] & 15) * 4 : int.from_bytes(ip_packet[2:4], "big") or None]
    return segment[(segment[12] >> 4) * 4 :]


def in_namespace(namespace, make):
    """Return what is made by a thread that is in that network."""
    made = []

    def run():
        with open(f"/run/netns/{namespace}") as entry:
            if ctypes.CDLL(None, use_errno=True).setns(entry.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        made.append(make())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return made[0]
