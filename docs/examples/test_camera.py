"""Tests of code that uses a camera, with and without a process for it."""

import pytest

from pyacq_rpc import ServerDisconnected
from spawner import ProcessSpawner


def exposed_twice(camera):
    """What is to be tested; yours is imported from your package."""
    return [camera.expose(0.1), camera.expose(0.2)]


class FakeCamera:
    def __init__(self):
        self.seconds = []

    def expose(self, seconds):
        self.seconds.append(seconds)
        return len(self.seconds)


def test_the_logic():
    camera = FakeCamera()
    assert exposed_twice(camera) == [1, 2]
    assert camera.seconds == [0.1, 0.2]


@pytest.fixture(scope="module")
def node():
    with ProcessSpawner(name="camera") as node:
        yield node


@pytest.fixture
def camera(node):
    return node._import(__name__).FakeCamera()  # yours: node._import("mylab.camera").Camera()


def test_it_works_by_proxy(camera):
    assert exposed_twice(camera) == [1, 2]
    assert camera.seconds._get_value() == [0.1, 0.2]


def test_a_dead_camera_is_told():
    with ProcessSpawner(name="doomed") as doomed:
        camera = doomed._import(__name__).FakeCamera()
        doomed.kill()
        with pytest.raises(ServerDisconnected, match="doomed"):
            exposed_twice(camera)
