from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pyacq_rpc import RPCServer
from pyacq_rpc.__main__ import main
from pyacq_rpc.transport.keys import KEY_VARIABLE, admitted, load_key, user_key

ROOT = Path(__file__).parents[4]


@pytest.fixture
def path(tmp_path, monkeypatch):
    path = str(tmp_path / "key")
    monkeypatch.setenv(KEY_VARIABLE, path)
    return path


def test_show_makes_one_on_first_use(path, capsys):
    assert main(["key", "show"]) == 0
    told = capsys.readouterr().out
    assert path in told
    assert user_key(path).public.decode() in told
    assert user_key(path).secret.decode() not in told


def test_export_and_revoke(path, tmp_path, capsys):
    exported = str(tmp_path / "laptop.key")
    assert main(["key", "export", "laptop", exported]) == 0
    assert "pyacq-rpc key import" in capsys.readouterr().out
    key = load_key(exported)
    assert key.server == user_key(path).public != key.public
    assert stat.S_IMODE(os.stat(exported).st_mode) == 0o600
    assert user_key(path).admits(key.public)
    main(["key", "show"])
    assert "laptop" in capsys.readouterr().out
    assert main(["key", "revoke", "laptop"]) == 0
    assert not user_key(path).admits(key.public)


def test_the_guide_shows_what_export_prints(path, tmp_path, capsys, monkeypatch):
    guide = (ROOT / "docs" / "guide" / "trust.rst").read_text()
    block = guide.split(".. code-block:: console\n\n")[1].split("\n\n")[0]
    command, *told = (line[3:] for line in block.splitlines())
    monkeypatch.setattr(socket, "gethostname", lambda: "lab")
    monkeypatch.chdir(tmp_path)
    assert main(command.removeprefix("$ pyacq-rpc ").split()) == 0
    assert capsys.readouterr().out.splitlines() == told


def test_export_to_the_standard_output(path, tmp_path, capsys):
    assert main(["key", "export", "laptop", "-"]) == 0
    (tmp_path / "copy").write_text(capsys.readouterr().out)
    os.chmod(tmp_path / "copy", 0o600)
    assert load_key(str(tmp_path / "copy")).public in admitted(path).values()


def test_import(path, tmp_path, capsys, monkeypatch):
    exported = str(tmp_path / "laptop.key")
    main(["key", "export", "laptop", exported])
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "there" / "key"))
    assert main(["key", "import", exported, "lab.example.org"]) == 0
    kept = tmp_path / "there" / "hosts" / "lab.example.org"
    assert load_key(str(kept)) == load_key(exported)._replace(path=str(kept))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["revoke", "laptop"], "there is no key called laptop; known: none"),
        (["export", "../x", "-"], "'../x' is no name"),
        (["import", "{}/no", "lab"], "No such file"),
        (["import", "{}/text", "lab"], "this is no key that pyacq-rpc has exported"),
        (["export", "laptop", "{}/text"], "File exists"),
    ],
)
def test_what_cannot_be_done(path, tmp_path, capsys, arguments, told):
    (tmp_path / "text").write_text("curve")
    assert main(["key", *(argument.format(tmp_path) for argument in arguments)]) == 1
    ended = capsys.readouterr()
    assert told in ended.err
    assert not ended.out
    assert (tmp_path / "text").read_text() == "curve"
    assert admitted(path) == {}


def test_a_name_that_is_taken(path, capsys, tmp_path):
    assert main(["key", "export", "laptop", "-"]) == 0
    assert main(["key", "export", "laptop", str(tmp_path / "file")]) == 1
    assert "there is a key called laptop already" in capsys.readouterr().err
    assert not (tmp_path / "file").exists()


def test_another_machine_connects_with_what_was_exported(path, tmp_path):
    """By the host in the address; until it is revoked."""
    server = RPCServer()
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    there = {**os.environ, KEY_VARIABLE: str(tmp_path / "there" / "key")}

    def call():
        code = "import sys; from pyacq_rpc import RPCClient; print(RPCClient(sys.argv[1]).ping())"
        run = subprocess.run(
            [sys.executable, "-c", code, server.address],
            env=there,
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        return run.stdout.strip() or run.stderr.splitlines()[-1]

    try:
        assert "AuthenticationError" in call()
        exported = str(tmp_path / "laptop.key")
        main(["key", "export", "laptop", exported])
        command = [sys.executable, "-m", "pyacq_rpc", "key", "import", exported, "127.0.0.1"]
        subprocess.run(command, env=there, check=True, cwd=ROOT, capture_output=True)
        assert call() == "pong"
        main(["key", "revoke", "laptop"])
        assert "does not admit your key" in call()
    finally:
        server.close()
        thread.join(10)
