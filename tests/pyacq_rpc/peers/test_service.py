"""What clients of a service can do; what they cannot is in ``test_escapes.py``."""

from __future__ import annotations

import logging
import threading
from typing import Protocol

import pytest
from conftest import eventually

from pyacq_rpc import AccessDenied, RPCClient, RPCServer, Service, expose


class Frame:
    def __init__(self, number):
        self.number = number

    @property
    @expose
    def mean(self):
        return self.number / 2

    @expose
    def __eq__(self, other):
        return type(other) is Frame and self.number == other.number

    __hash__ = None


class Camera:
    def __init__(self):
        self._gain = 1
        self.serial = "X100"
        self.frames = [Frame(n) for n in range(3)]

    @expose
    def shoot(self, seconds, *, count=1):
        return {"seconds": seconds, "count": count}

    @expose
    def frame(self, number):
        return self.frames[number]

    @expose
    def same(self, frame, number):
        return frame is self.frames[number]

    @expose
    def stream(self):
        yield from self.frames

    @expose
    def on_frame(self, callback):
        return [callback(frame) for frame in self.frames]

    @expose
    def watch(self, callback):
        self.timer = RPCServer.get_server().start_timer(callback, 0.01, _sync="off")

    @expose
    def function(self):
        return private

    @expose
    def fail(self):
        raise ValueError("no light")

    @property
    @expose
    def gain(self):
        return self._gain

    @gain.setter
    @expose
    def gain(self, value):
        self._gain = value

    @expose
    def __len__(self):
        return len(self.frames)

    @expose
    def __getitem__(self, number):
        return self.frames[number]

    @classmethod
    @expose
    def model(cls):
        return cls.__name__


class Lock:
    def __init__(self):
        self._log = []

    @expose
    def log(self):
        return self._log

    @expose
    def __enter__(self):
        self._log.append("entered")
        return self

    @expose
    def __exit__(self, *error):
        self._log.append("left")


class Stage:
    def __init__(self):
        self.position = 0

    def move(self, to):
        self.position = to
        return to

    def home(self):
        self.position = 0


class StageInterface(Protocol):
    position: int

    def move(self, to: int) -> int: ...


@expose
def helper(number):
    return number + 1


def plain(number):
    return number + 2


def private(frame):
    raise AssertionError("was called")


@pytest.fixture
def server():
    members = {Stage: StageInterface, threading.Event: ["is_set"]}
    server = RPCServer(name="service", policy=Service(members))
    server["camera"] = Camera()
    server["stage"] = Stage()
    server["event"] = threading.Event()
    server["plain"] = plain
    server["Frame"] = Frame
    server["Lock"] = Lock
    thread = threading.Thread(target=server.run_forever)
    thread.start()
    yield server
    server.close()
    thread.join(10)


@pytest.fixture
def camera(client):
    return client["camera"]


def test_methods(camera):
    assert camera.shoot(0.1, count=2) == {"seconds": 0.1, "count": 2}
    assert camera.shoot(0.1, _sync="async").result(10) == {"seconds": 0.1, "count": 1}
    assert camera.model() == "Camera"
    assert hasattr(camera, "shoot")


def test_a_method_that_is_held(camera):
    shoot = camera.shoot._undefer()
    assert shoot(0.2)["seconds"] == 0.2


def test_properties(camera):
    assert camera.gain._get_value() == 1
    camera.gain = 5
    assert camera.gain._get_value() == 5


def test_special_methods(camera):
    assert len(camera) == 3
    assert camera[1].mean._get_value() == 0.5
    assert camera[1] == camera.frame(1)
    assert not camera[1] == camera.frame(2)  # noqa: SIM201  # != is another method


def test_a_context_manager(client):
    with client["Lock"]() as lock:
        assert lock.log() == ["entered"]
    assert lock.log() == ["entered", "left"]


def test_generators(camera):
    assert [frame.mean._get_value() for frame in camera.stream()] == [0, 0.5, 1]


def test_what_is_returned_comes_home_as_itself(camera):
    assert camera.same(camera.frame(2), 2)


def test_what_is_returned_is_used_as_exposed(camera):
    frame = camera.frame(2)
    assert frame.mean._get_value() == 1
    with pytest.raises(AccessDenied, match=r"'number' of .*Frame is not exposed"):
        frame.number._get_value()


def test_an_interface_and_a_list(client):
    stage = client["stage"]
    assert stage.move(5) == 5
    assert stage.position._get_value() == 5
    with pytest.raises(PermissionError, match=r"'home' of .*Stage is not exposed"):
        stage.home()
    assert client["event"].is_set() is False
    with pytest.raises(PermissionError, match=r"'set' of .*Event"):
        client["event"].set()


def test_published_functions_and_classes(client):
    assert client["plain"](1) == 3
    assert client["Frame"](7).mean._get_value() == 3.5


def test_what_is_published_no_more_is_not_called_either(server, client):
    function = client["plain"]
    assert function(1) == 3
    del server["plain"]
    with pytest.raises(AccessDenied, match="function plain may not be called"):
        function(1)


def test_ping_and_time(client):
    assert client.ping() == "pong"
    assert abs(client.measure_clock_diff()) < 60


def test_the_server_s_own_code_publishes_and_closes(server, client):
    server["helper"] = helper
    assert client["helper"](1) == 2
    server.close()
    assert server.wait_closed(10)


def test_a_client_may_release_what_it_holds(server, camera):
    frame = camera.frame(1)
    held = len(server.table)
    del frame
    assert eventually(lambda: len(server.table) < held)


@pytest.fixture
def mine(client):
    """A server of the client's own, for callbacks."""
    mine = RPCServer()
    mine.run_lazy()
    yield mine
    mine.close()


def test_callbacks_get_what_is_exposed_and_no_more(mine, camera):
    seen = []

    def callback(frame):
        seen.append(frame.mean._get_value())
        with pytest.raises(AccessDenied):
            frame.number._get_value()
        return frame  # goes home

    result = camera.on_frame(mine.get_proxy(callback))
    assert seen == [0, 0.5, 1]
    assert [frame.mean._get_value() for frame in result] == [0, 0.5, 1]


def test_callbacks_return_nothing_that_the_client_may_not_call(mine, camera):
    """The server would take it for a function of the client's."""
    private, exposed = camera.function(), camera.model._undefer()
    with pytest.raises(PermissionError, match="function private may not be passed on"):
        camera.on_frame(mine.get_proxy(lambda frame: private))
    assert len(camera.on_frame(mine.get_proxy(lambda frame: exposed))) == 3


def test_timers_call_clients(server, mine, camera):
    seen = []
    camera.watch(mine.get_proxy(lambda: seen.append(1)))
    try:
        assert eventually(lambda: mine.serve_ready() and len(seen) > 2)
    finally:
        server["camera"].timer.stop()


class TestTracebacks:
    """They hold source lines, and stay where those are."""

    def test_the_client_is_told_class_and_message(self, camera):
        with pytest.raises(ValueError, match="no light") as caught:
            camera.fail()
        assert caught.value.remote_traceback == ""
        assert caught.value.__cause__ is None

    def test_the_server_logs_them(self, camera, caplog):
        with pytest.raises(ValueError, match="no light"):
            camera.fail()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert 'raise ValueError("no light")' in record.getMessage()
        assert "service" in record.getMessage()

    def test_of_calls_that_wanted_no_answer_too(self, camera, caplog):
        camera.fail(_sync="off")
        assert eventually(lambda: 'raise ValueError("no light")' in caplog.text)

    def test_a_refusal_is_not_logged(self, camera, caplog):
        with pytest.raises(AccessDenied):
            camera.nothing()
        assert not caplog.records

    def test_of_what_arguments_have_raised(self, camera, caplog, server):
        """They are looked up while the request is read."""

        def broken(self):
            raise OSError("out of order")

        server["broken"] = type("Broken", (), {"part": expose(property(broken))})()
        client = RPCClient.get_client(server.address)
        with pytest.raises(OSError, match="out of order") as caught:
            camera.same(client["broken"].part, 1)
        assert caught.value.remote_traceback == ""
        assert 'raise OSError("out of order")' in caplog.text

    def test_a_trusted_server_shows_them(self, caplog):
        server = RPCServer()
        server["camera"] = Camera()
        thread = threading.Thread(target=server.run_forever)
        thread.start()
        with pytest.raises(ValueError, match="no light") as caught:
            RPCClient(server.address)["camera"].fail()
        assert 'raise ValueError("no light")' in caught.value.remote_traceback
        assert not caplog.records
        server.close()
        thread.join(10)


def test_a_proxy_of_the_server_s_own_thread_asks_too():
    server = RPCServer(policy=Service())
    server.run_lazy()
    proxy = server.get_proxy(Camera())
    assert proxy.shoot(1)["seconds"] == 1
    with pytest.raises(AccessDenied):
        proxy.serial._get_value()
    server.close()
