from __future__ import annotations

import subprocess
import sys

import pytest
from command_line import PATIENCE, PROGRAM
from terminal import Terminal

from pyacq_rpc.people.commands.shell import namespace_of
from pyacq_rpc.people.failing import CommandError

pytestmark = pytest.mark.timeout(180)


def test_what_is_published_are_variables(server, client):
    server["camera"], server["gain"] = object(), [1, 2]
    namespace, others = namespace_of(client)
    assert namespace["client"] is client
    assert namespace["gain"]._get_value() == [1, 2]
    assert "object" in repr(namespace["camera"])
    assert others == []


@pytest.mark.parametrize("name", ["filter wheel", "client", "print", "class", "_x", "1"])
def test_what_is_no_good_as_a_variable(server, client, name):
    server[name] = 1
    namespace, others = namespace_of(client)
    assert namespace == {"client": client}
    assert others == [name]


def test_a_server_that_is_busy(server, client):
    from things import Thing

    server["thing"] = thing = Thing()
    future = client["thing"].wait(_sync="async")
    client.timeout = 0.2
    with pytest.raises(CommandError, match=r"is busy with thing\.wait"):
        namespace_of(client)
    thing.gate.set()
    future.result(10)


@pytest.fixture
def environment(tmp_path):
    return {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHON_HISTORY": str(tmp_path / "history")}


def test_in_ipython(serve, environment):
    lab = serve("lab:camera")
    with Terminal([*PROGRAM, "shell", "camera"], environment) as terminal:
        terminal.wait_for(rf"camera \({lab.address}\): 'client' is its client\.", PATIENCE)
        terminal.wait_for(r"Published: camera \(lab\.Camera\)\.", PATIENCE)
        terminal.wait_for(r"In \[1\]: ", PATIENCE)
        terminal.type("camera.expose(0)")
        terminal.wait_for(r"Out\[1\]: \[0, 'red'\]", PATIENCE)
        terminal.type("exit")
        assert terminal.process.wait(PATIENCE) == 0


def test_in_the_plain_prompt(serve):
    serve("lab:camera")
    code = (
        "import sys; sys.modules['IPython'] = None\n"
        "from pyacq_rpc.__main__ import main; raise SystemExit(main(['shell', 'camera']))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        input="camera.gain + 1\nclient.ping()\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert run.returncode == 0
    assert "Published: camera (lab.Camera)." in run.stderr
    assert "3\n" in run.stdout
    assert "'pong'" in run.stdout


def test_nothing_is_published_yet(server, environment):
    with Terminal([*PROGRAM, "shell", server.address], environment) as terminal:
        terminal.wait_for("Nothing is published yet", PATIENCE)


def test_nobody_is_there(fails):
    assert fails("shell", "tcp://127.0.0.1:1").startswith("nobody listens at")
