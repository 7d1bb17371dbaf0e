"""The how-to page about machines: its commands, on two of them, and its unit of systemd's."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import PATIENCE, Serving
from hosts import Host, Network, why_not
from howto_pages import PAGES, all_typed, modules, typed
from processes import ROOT

from pyacq_rpc import RPCClient
from pyacq_rpc.people.commands import make_parser

EXAMPLES = ROOT / "docs" / "examples"
CAMERAS = modules("machines")["cameras.py"]

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    network = Network("lab", "laptop")
    yield network
    network.close()


@pytest.fixture
def hosts(network: Network, tmp_path: Path) -> Iterator[dict[str, Host]]:
    network.begin(tmp_path)
    (network.hosts["lab"].files / "cameras.py").write_text(CAMERAS)
    yield network.hosts
    network.end()


class TestTwoMachines:
    def start(self, host: Host, line: str) -> subprocess.Popen[str]:
        """Run what the page has typed on a host, in its home."""
        command, env = host.command(sys.executable, "-m", "pyacq_rpc", *shlex.split(line)[1:])
        env["PYTHONPATH"] = str(ROOT)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=host.files, env=env, stdout=pipe, stderr=pipe, text=True
        )

    def run(self, host: Host, line: str) -> str:
        with self.start(host, line) as program:
            told, errors = program.communicate(timeout=PATIENCE)
        assert (program.returncode, errors) == (0, "")
        return told

    def test_the_commands_of_the_page(self, hosts: dict[str, Host]):
        lab, laptop = hosts["lab"], hosts["laptop"]

        def the(start: str) -> str:
            """The command of the page that begins so, with a number for the name of the host."""
            line = next(it for it in typed("machines") if it.startswith(f"pyacq-rpc {start}"))
            return re.sub(r"\blab(?=:|$)", lab.address, line)

        self.run(lab, the("key export"))
        shutil.move(lab.files / "laptop.key", laptop.files)  # as scp does
        with self.start(lab, the("serve")) as serving:
            assert serving.stdout is not None
            assert serving.stdout.readline() == "Serving camera at tcp://0.0.0.0:5000\n"
            kept = self.run(laptop, the("key import"))
            assert self.run(laptop, the("call")) == "'0.1 s at gain 2'\n"
            assert "camera (tcp://" in self.run(laptop, the("doctor"))
            serving.kill()
        (said,) = re.findall(r"^   (kept in .*)$", PAGES["machines"], re.MULTILINE)
        said = said.replace("lab", lab.address)
        assert kept.split("/.config/")[1] == said.split("/.config/")[1] + "\n"

    def test_the_tunnel(self, hosts: dict[str, Host]):
        """What passes bytes on plays ssh."""
        lab, laptop = hosts["lab"], hosts["laptop"]
        shutil.move(lab.export("laptop"), laptop.files)
        laptop.key("import", str(laptop._home / "a.key"), "lab")
        serve = [it for it in typed("machines") if "tcp://127.0.0.1:5000" in it and "serve" in it]
        (code,) = re.findall(r"code-block:: py\n\n   (client = .*)\n", PAGES["machines"])
        with self.start(lab, serve[0]) as serving:
            assert serving.stdout is not None
            assert serving.stdout.readline() == "Serving camera at tcp://127.0.0.1:5000\n"
            lab.start(FORWARD).do("forward(('0.0.0.0', 6000), ('127.0.0.1', 5000))")
            end = lab.address, 6000
            laptop.start(FORWARD).do(f"forward(('127.0.0.1', 5000), {end})")
            program = laptop.start(f"from pyacq_rpc import *\n{code}")
            assert program.get("client['camera'].expose(0.1)") == "0.1 s at gain 2"
            serving.kill()


FORWARD = """
import asyncio, threading
async def pass_on(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
def forward(here, there):
    async def connected(reader, writer):
        other_reader, other_writer = await asyncio.open_connection(*there)
        await asyncio.gather(pass_on(reader, other_writer), pass_on(other_reader, writer))
    async def serve():
        server = await asyncio.start_server(connected, *here)
        listening.set()
        await server.serve_forever()
    listening = threading.Event()
    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    listening.wait()
"""


@pytest.mark.skipif(not shutil.which("ssh"), reason="needs ssh")
@pytest.mark.parametrize("command", all_typed("ssh"))
def test_ssh_understands_it(command: str):
    told = subprocess.run(
        ["ssh", "-G", *shlex.split(command)], capture_output=True, text=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert "localforward 5000 [127.0.0.1]:5000" in told.stdout.splitlines()


class TestService:
    """The unit of systemd's."""

    @pytest.fixture
    def unit(self) -> configparser.ConfigParser:
        unit = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]
        unit.read(EXAMPLES / "camera.service")
        return unit

    def test_what_it_runs_is_a_command(self, unit: configparser.ConfigParser):
        program, *arguments = shlex.split(unit["Service"]["ExecStart"])
        assert program.endswith("/bin/pyacq-rpc")
        options = make_parser().parse_args(arguments)
        assert (options.what, options.name) == ("cameras:Camera()", "camera")

    def test_it_serves_and_ends_well_when_it_is_stopped(
        self, unit: configparser.ConfigParser, tmp_path: Path, runtime_directory: Path
    ):
        (tmp_path / "cameras.py").write_text(CAMERAS)
        arguments = shlex.split(unit["Service"]["ExecStart"].replace(":5000", ":*"))[2:]
        with Serving(arguments, tmp_path) as serving:
            assert RPCClient(serving.address)["camera"].expose(0.1) == "0.1 s at gain 2"
            assert serving.end(signal.SIGTERM) == (0, "")

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
    def test_systemd_finds_nothing_wrong(self, tmp_path: Path):
        text = (EXAMPLES / "camera.service").read_text()
        text = re.sub(r"ExecStart=\S+", f"ExecStart={sys.executable}", text)
        (tmp_path / "camera.service").write_text(text.replace("%h", str(tmp_path)))
        (tmp_path / "lab").mkdir()
        told = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(tmp_path / "camera.service")],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert "camera.service" not in told.stderr


def test_the_client_of_another_language(tmp_path: Path, runtime_directory: Path):
    block = re.search(r"\$ python json_client.py \S+ (.*)\n   (.*)\n", PAGES["machines"])
    assert block is not None
    (tmp_path / "cameras.py").write_text(CAMERAS)
    with Serving(["cameras:Camera()", "--name", "camera"], tmp_path) as serving:
        told = subprocess.run(
            [sys.executable, EXAMPLES / "json_client.py", serving.address, *shlex.split(block[1])],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    assert (told.stdout.strip(), told.stderr) == (block[2], "")
