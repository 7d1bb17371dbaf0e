"""What people's tools learn of objects of a live server."""

from __future__ import annotations

import inspect
import pydoc
import threading

import pytest
from conftest import eventually

from pyacq_rpc import AccessDenied, RPCClient, RPCServer, Service, expose
from pyacq_rpc.session.questions import DISPLAY, KEYS, ask, ask_description

pytestmark = pytest.mark.usefixtures("patient")


class Camera:
    """Takes frames."""

    def __init__(self):
        self.settings = {"gain": 1}
        self.gate = threading.Event()

    def shoot(self, seconds: float, *, count: int = 1) -> list:
        """Take some."""

    def wait(self):
        return self.gate.wait(30)


@pytest.fixture
def camera(server, client):
    server["camera"] = Camera()
    return client["camera"]


def test_a_method(camera):
    assert str(inspect.signature(camera.shoot)) == "(seconds: float, *, count: int = 1) -> list"
    assert inspect.getdoc(camera.shoot) == "Take some."
    assert inspect.getdoc(camera) == "Takes frames."


def test_what_has_no_signature_may_be_called_as_any_proxy(camera):
    assert "_timeout" in inspect.signature(camera.settings).parameters
    assert not hasattr(camera.settings, "__signature__")


def test_help(camera):
    text = pydoc.render_doc(camera, renderer=pydoc.plaintext)
    assert "class Camera(builtins.object)" in text
    assert "shoot(self, seconds" in text
    text = pydoc.render_doc(camera.shoot, renderer=pydoc.plaintext)
    assert "shoot(seconds" in text
    assert "Take some." in text


def test_keys(camera):
    assert camera.settings._ipython_key_completions_() == ["gain"]


def test_display(camera):
    assert ask(camera.settings, DISPLAY)["data"] == {"text/plain": "{'gain': 1}"}


def test_what_is_not_there(camera):
    assert camera.nothing.__doc__ is None
    with pytest.raises(AttributeError, match="nothing"):
        ask_description(camera.nothing)


def test_a_busy_server_is_left_alone(camera, server, client, monkeypatch):
    future = camera.wait(_sync="async")
    try:
        assert eventually(lambda: client.status().state == "busy")
        with monkeypatch.context() as impatient:
            impatient.setattr("pyacq_rpc.session.questions.PATIENCE", 0.45)
            assert camera.__doc__ is None
            assert camera.settings._ipython_key_completions_() == []
    finally:
        server["camera"].gate.set()
    assert future.result(10)
    assert camera.__doc__ == "Takes frames."


def test_of_the_own_thread():
    server = RPCServer()
    server.run_lazy()
    camera = server.get_proxy(Camera())
    assert camera.__doc__ == "Takes frames."
    assert str(inspect.signature(camera.wait)) == "()"
    server.close()


class Hidden:
    """Not exposed."""

    secret = {"key": 1}  # noqa: RUF012

    @expose
    def open(self, door, lock="default"):
        """Open it."""

    def close(self):
        """Close it."""

    @expose
    def give_close(self):
        return self.close

    @expose
    def settings(self):
        return {"object": object()}


@expose
class Shown:
    """Exposed as a whole."""


class TestOfAService:
    @pytest.fixture
    def hidden(self):
        server = RPCServer(policy=Service())
        server["hidden"] = Hidden()
        server["shown"] = Shown()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        client = RPCClient(server.address)
        self.shown = client["shown"]
        yield client["hidden"]
        server.close()
        thread.join(10)

    def test_exposed_methods_are_described(self, hidden):
        assert hidden.open.__doc__ == "Open it."
        assert str(inspect.signature(hidden.open)) == "(door, lock=...)"
        text = pydoc.render_doc(hidden.open, renderer=pydoc.plaintext)
        assert "open(door, lock=...)" in text

    def test_without_source(self, hidden):
        told = ask_description(hidden.open, "source")
        assert set(told) == {"type", "doc", "signature"}

    def test_others_are_not(self, hidden):
        assert hidden.close.__doc__ is None
        with pytest.raises(AccessDenied, match=r"'close' of .*Hidden is not exposed"):
            ask_description(hidden.close)
        with pytest.raises(AccessDenied, match=r"method Hidden\.close is not described"):
            ask_description(hidden.give_close())

    def test_classes_are_described_where_they_are_exposed(self, hidden):
        assert hidden.__doc__ is None
        assert self.shown.__doc__ == "Exposed as a whole."

    def test_keys_and_display_are_refused(self, hidden):
        settings = hidden.settings(_return_type="proxy")
        with pytest.raises(AccessDenied, match=r"the keys of .*dict are not shown"):
            ask(settings, KEYS)
        with pytest.raises(AccessDenied, match="dict is not shown"):
            ask(settings, DISPLAY)
        assert settings._ipython_key_completions_() == []
