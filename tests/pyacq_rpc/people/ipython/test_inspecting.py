from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("patient")


@pytest.fixture
def inspect(shell, camera):
    """What ``name?`` shows, as a dict."""

    def inspect(name, detail_level=0):
        return shell.object_inspect(name, detail_level)

    return inspect


def test_a_method(inspect):
    found = inspect("camera.shoot")
    assert found["definition"] == "camera.shoot(seconds: float, *, count: int = 1) -> list"
    assert found["docstring"] == "Take some."
    assert found["type_name"].startswith("method, of which this is <ObjectProxy for attribute")
    assert found["file"].startswith(__file__.replace("test_inspecting", "conftest"))
    assert found["source"] is None


def test_an_object(inspect):
    found = inspect("camera")
    assert found["docstring"] == "Takes frames."
    assert found["definition"] is None
    assert inspect("camera.settings")["length"] == "2"


def test_source(inspect):
    assert "return [seconds] * count" in inspect("camera.shoot", 1)["source"]
    assert inspect("camera", 1)["source"].startswith("class Camera:")


def test_what_is_not_there(inspect):
    assert not inspect("camera.nothing")["found"]


def test_a_server_that_is_gone(inspect, server):
    server.close()
    assert server.wait_closed(10)
    assert inspect("camera.shoot")["docstring"].startswith("<not known: under-test")


def test_others_are_described_by_ipython(inspect, shell):
    shell.user_ns["number"] = 5
    assert inspect("number")["type_name"] == "int"


def test_it_is_shown(run, camera):
    _, shown = run("camera.shoot?")
    assert "camera.shoot(seconds: float, *, count: int = 1) -> list" in shown
    _, shown = run("camera.shoot??")
    assert "return [seconds] * count" in shown


def test_by_another_inspector_too(run, shell, camera):
    """Some versions of IPython make one for other colours."""
    run("%colors linux")
    _, shown = run("camera.shoot?")
    assert "Take some." in shown
