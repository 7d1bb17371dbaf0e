from __future__ import annotations

import types

import pytest
from conftest import eventually
from IPython.core.completer import provisionalcompleter

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture(params=[True, False], ids=["jedi", "without jedi"])
def complete(request, shell, capsys):
    """Press Tab after a text; nothing is printed by that."""
    shell.Completer.use_jedi = request.param

    def complete(text):
        with provisionalcompleter():
            found = list(shell.Completer.completions(text, len(text)))
        printed = capsys.readouterr()
        assert printed.out == printed.err == ""
        return [text[: each.start] + each.text for each in found if each.text]

    return complete


def test_attributes(camera, complete):
    assert complete("camera.") == ["camera.fail", "camera.settings", "camera.shoot"]
    assert complete("camera.sh") == ["camera.shoot"]
    assert "camera.__init__" in complete("camera.__")
    assert complete("print(1 + camera.sh") == ["print(1 + camera.shoot"]


def test_attributes_of_attributes(camera, complete):
    assert "camera.settings.keys" in complete("camera.settings.")
    assert complete("camera.settings.key") == ["camera.settings.keys"]


def test_keys(camera, complete):
    assert complete("camera.settings['") == ["camera.settings['gain'", "camera.settings['mode'"]
    assert complete('camera.settings["g') == ['camera.settings["gain"']
    assert complete("camera.settings[") == ["camera.settings['gain'", "camera.settings['mode'"]


def test_a_proxy_that_something_else_holds(camera, complete, shell):
    shell.user_ns["lab"] = types.SimpleNamespace(camera=camera)
    assert complete("lab.camera.sh") == ["lab.camera.shoot"]


def test_what_a_node_publishes(complete, shell, client, server):
    server["stage"] = 1
    shell.user_ns["client"] = client
    assert complete("client['st") == ["client['stage'"]


def test_other_things_are_left_to_ipython(complete, shell):
    shell.user_ns["text"] = "abc"
    assert complete("text.isalp")[0] == "text.isalpha"
    assert complete("notthere.") == []


def test_no_attribute_is_got_on_the_way(complete, shell, camera):
    class Lab:
        @property
        def camera(self):
            raise AssertionError("was run")

    shell.user_ns["lab"] = Lab()
    complete("lab.camera.sh")


@pytest.mark.parametrize("text", ["camera.", "camera.s", "camera.settings.", "camera['"])
def test_a_busy_server_is_asked_once(camera, complete, server, client, text, monkeypatch):
    monkeypatch.setattr("pyacq_rpc.session.questions.PATIENCE", 0.45)
    server["gate"] = gate = __import__("threading").Event()
    future = client["gate"].wait(30, _sync="async", _timeout=40)
    asked = []
    request = type(client).request
    monkeypatch.setattr(
        type(client), "request", lambda *args: asked.append(args[1]) or request(*args)
    )
    try:
        assert eventually(lambda: client.status().state == "busy")
        assert complete(text) == ([] if text.endswith(".") else [text])  # nothing to add
        assert asked == ["call_obj"]
    finally:
        gate.set()
    assert future.result(10)


def test_a_dead_server_has_nothing_to_show(camera, complete, server):
    server.close()
    assert server.wait_closed(10)
    assert complete("camera.") == []
    assert complete("camera['") in ([], ["camera['"])
