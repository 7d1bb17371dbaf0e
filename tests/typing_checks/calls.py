"""What type checkers know of proxies, and what they find wrong.

Each ``type: ignore`` is an error that has to be there, or the checkers complain about that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

from pyacq_rpc import (
    Future,
    ObjectProxy,
    RPCClient,
    as_type,
    asynchronous,
    get_value,
    off,
    synchronous,
)

if TYPE_CHECKING:
    from typing_extensions import assert_type  # in Python since 3.11


class Lens:
    focal: int = 50

    def zoom(self, by: float) -> float:
        return self.focal * by


class Camera:
    gain: int = 1

    def __init__(self) -> None:
        self.lens = Lens()

    def expose(self, seconds: float, *, dark: bool = False) -> float:
        return 0.0 if dark else seconds

    def name(self) -> str:
        return "north"

    def reset(self) -> None:
        self.gain = 1

    def frames(self) -> list[bytes]:
        return []


class Exposes(Protocol):
    def expose(self, seconds: float) -> float: ...


class Shutter(ABC):
    @abstractmethod
    def open(self, seconds: float) -> bool: ...


def of_a_class(client: RPCClient) -> None:
    camera = client.get("camera", Camera)
    assert_type(camera, Camera)
    assert_type(camera.expose(0.1), float)
    assert_type(camera.expose(0.1, dark=True), float)
    assert_type(camera.lens.zoom(2), float)
    assert_type(camera.frames(), list[bytes])
    camera.gain = 3
    camera.expose("0.1")  # type: ignore[arg-type]
    camera.expose()  # type: ignore[call-arg]
    camera.expose(0.1, True)  # type: ignore[call-arg]
    camera.expose(0.1, bright=True)  # type: ignore[call-arg]
    camera.exposse(0.1)  # type: ignore[attr-defined]
    camera.gain = "high"  # type: ignore[assignment]


def of_a_protocol(client: RPCClient) -> None:
    camera = client.get("camera", Exposes, check=True)
    assert_type(camera, Exposes)
    assert_type(camera.expose(0.1), float)
    camera.name()  # type: ignore[attr-defined]


def of_an_abstract_base_class(client: RPCClient) -> None:
    shutter = client.get("shutter", Shutter)
    assert_type(shutter.open(1), bool)
    shutter.open("1")  # type: ignore[arg-type]


def of_a_builtin_class(client: RPCClient) -> None:
    assert_type(client.get("names", dict[str, int]), dict[str, int])


def of_a_proxy(proxy: ObjectProxy, unknown: Any) -> None:
    assert_type(proxy.as_type(Camera), Camera)
    assert_type(proxy.lens.as_type(Lens, check=True), Lens)
    assert_type(as_type(proxy, Exposes), Exposes)
    assert_type(as_type(unknown.Camera(), Camera), Camera)
    proxy.as_type("Camera")  # type: ignore[arg-type]
    proxy.anything.at_all(1, _sync="off")


def futures(camera: Camera) -> None:
    future = asynchronous(camera.expose)(0.1, dark=True)
    assert_type(future, Future[float])
    assert_type(future.result(), float)
    assert_type(asynchronous(camera.reset)(), Future[None])
    assert_type(asynchronous(camera.name, return_type="proxy")().result(1), str)
    assert_type(asynchronous(camera.lens.zoom)(2), Future[float])
    assert_type(asynchronous(camera.frames)(), Future[list[bytes]])
    asynchronous(camera.expose)("0.1")  # type: ignore[arg-type]
    asynchronous(camera.expose)(0.1, bright=True)  # type: ignore[call-arg]
    asynchronous(camera.expose, return_type="copy")  # type: ignore[arg-type]
    asynchronous(camera.gain)  # type: ignore[arg-type]


async def awaited(camera: Camera) -> None:
    assert_type(await asynchronous(camera.expose)(0.1), float)
    assert_type(await asynchronous(camera.name)(), str)


def with_options(camera: Camera) -> None:
    assert_type(synchronous(camera.expose, timeout=60)(0.1), float)
    assert_type(synchronous(camera.expose, timeout=None)(0.1), float)
    synchronous(camera.expose, timeout="60")  # type: ignore[arg-type]
    synchronous(camera.expose, timeout=60)()  # type: ignore[call-arg]


def without_an_answer(camera: Camera) -> None:
    off(camera.expose)(0.1, dark=True)
    off(camera.reset)()
    off(camera.expose)(dark=True)  # type: ignore[call-arg]


def attributes(camera: Camera) -> None:
    assert_type(get_value(camera.gain), int)
    assert_type(get_value(camera.lens.focal) + 1, int)


def futures_of_untyped_proxies(proxy: ObjectProxy) -> None:
    future: Future[int] = proxy.count(_sync="async")
    assert_type(future.result(), int)
    future.result("soon")  # type: ignore[arg-type]
