"""Pictures of a camera, 30 a second, handed straight from its node to a GUI process.

``python live_plot.py`` shows them until the window is closed; ``python live_plot.py
plot.png`` takes a hundred, saves a picture of the window, and ends.
"""

import sys
import time

import numpy as np

from pyacq_rpc import RPCServer, ServerDisconnected
from spawner import ProcessSpawner


class Camera:
    """Lives in its node, which needs no Qt."""

    def __init__(self, show):
        self.show = show  # a function of the GUI's
        self.answer, self.taken, self.dropped = None, 0, 0
        spot = np.exp(-(np.linspace(-6, 6, 1024) ** 2))
        noise = np.random.default_rng(1).integers(0, 60, (1024, 1024))
        self.sky = (noise + 190 * np.outer(spot, spot)).astype(np.uint8)  # 1 MB

    def start(self, rate):
        self.timer = RPCServer.get_server().start_timer(self.take, 1 / rate)

    def take(self):
        self.taken += 1
        if self.answer is not None and not self.answer.done():
            self.dropped += 1  # the GUI is still at the one before
            return
        frame = np.roll(self.sky, (2 * self.taken, 3 * self.taken), (0, 1))
        try:
            self.answer = self.show(frame, self.taken, self.dropped, _sync="async")
        except ServerDisconnected:  # the window was closed
            self.timer.stop()


class Display:
    """Lives in the GUI process, the only one that imports pyqtgraph."""

    def __init__(self):
        import pyqtgraph

        self.window = pyqtgraph.GraphicsLayoutWidget(show=True, size=(560, 520), title="Camera")
        self.plot = self.window.addPlot()
        self.plot.setAspectLocked()
        self.image = pyqtgraph.ImageItem(colorMap="inferno")
        self.plot.addItem(self.image)
        self.shown, self.times = 0, [time.monotonic()]

    def show(self, frame, taken, dropped):
        self.image.setImage(frame, levels=(0, 255))
        self.shown += 1
        self.times = [*self.times[-30:], time.monotonic()]
        rate = (len(self.times) - 1) / (self.times[-1] - self.times[0])
        self.plot.setTitle(f"{rate:.1f} frames/s; {dropped} of {taken} dropped")


def main(picture=None):
    with ProcessSpawner("gui", qt=True) as gui, ProcessSpawner("camera") as node:
        display = gui._import("live_plot").Display()
        camera = node._import("live_plot").Camera(display.show)
        camera.start(30)  # from now on, this process has nothing to do with it
        if picture is None:
            gui._import("qtpy.QtWidgets").QApplication.setQuitOnLastWindowClosed(True)
            gui.wait()
            return
        while camera.taken < 100:
            time.sleep(0.1)
        display.window.grab(_return_type="proxy").save(picture)
        print(display.plot.titleLabel.text._get_value())


if __name__ == "__main__":
    main(*sys.argv[1:])
