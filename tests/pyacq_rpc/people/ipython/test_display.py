from __future__ import annotations

import pytest

from pyacq_rpc.people.ipython.display import Rendering


@pytest.fixture
def requests(camera, client, monkeypatch):
    """What proxies send from now on."""
    sent = []
    request = type(client).request

    def recorded(self, action, opts, *args):
        sent.append((action, *opts["obj"].attributes))
        return request(self, action, opts, *args)

    monkeypatch.setattr(type(client), "request", recorded)
    return sent


def test_echoing_a_proxy_sends_nothing(run, camera, requests):
    for cell in ("camera", "[camera, camera.settings]", "display(camera)", "print(camera)"):
        _, shown = run(cell)
        assert "<ObjectProxy for " in shown
    assert requests == []


def test_on_request(shell, run, camera, requests):
    result, shown = run("%rich camera")
    data, _ = shell.display_formatter.format(result.result)
    assert data["text/html"] == "<b>camera</b>"
    assert "Camera object at" in shown
    assert requests == [("call_obj", "__display__")]


def test_as_an_option(shell, run, camera, requests):
    run("%rich on")
    data, _ = shell.display_formatter.format(camera)
    assert data["text/html"] == "<b>camera</b>"
    assert requests == [("call_obj", "__display__")]
    assert "is on" in run("%rich")[1]
    run("%rich off")
    data, _ = shell.display_formatter.format(camera)
    assert list(data) == ["text/plain"]
    assert len(requests) == 1


def test_what_cannot_be_shown_is_shown_as_a_proxy(shell, run, camera, server):
    run("%rich on")
    server.close()
    assert server.wait_closed(10)
    data, _ = shell.display_formatter.format(camera)
    assert data["text/plain"].startswith("<ObjectProxy for ")
    assert "(not shown: under-test" in data["text/plain"]


def test_only_proxies_need_it(run):
    result, _ = run("%rich 5")
    assert "5 is no proxy" in str(result.error_in_exec)


def test_problems_are_told(capsys):
    rendering = Rendering({"data": {"text/plain": "x"}, "problems": ["_repr_html_: no light"]})
    assert repr(rendering) == "x"
    assert rendering._repr_mimebundle_() == ({"text/plain": "x"}, {})
    assert capsys.readouterr().err == "not shown: _repr_html_: no light\n"


def test_garbage_is_shown_as_nothing():
    assert repr(Rendering({})) == "<nothing that could be shown as text>"
