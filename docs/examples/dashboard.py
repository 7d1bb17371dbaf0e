"""Three nodes in a window: one that dies is shown to be dead, and started again.

It says at which address other processes can look at it: see ``watch_dashboard.py``.
"""

import signal
from concurrent.futures import ThreadPoolExecutor

from qtpy import QtCore, QtWidgets

from pyacq_rpc import QtRPCServer, ServerDisconnected
from pyacq_rpc.qt import QtFuture
from spawner import ProcessSpawner

threads = ThreadPoolExecutor()  # to start nodes in: that takes a while, and no window may freeze


def start_node(name):
    node = ProcessSpawner(name)
    return node, node._import("random").Random(name)  # your own would be a real sensor


class Row:
    """A node, and what the window says of it."""

    def __init__(self, name, grid, row):
        self.name = name
        self.state = QtWidgets.QLabel(minimumWidth=330)
        self.kill = QtWidgets.QPushButton("Kill", clicked=lambda: self.node.kill())
        for column, widget in enumerate((QtWidgets.QLabel(name), self.state, self.kill)):
            grid.addWidget(widget, row, column)
        self.start()

    def tell(self, colour, state, alive=False):
        self.state.setText(f'<span style="color: {colour}">\u25cf</span> {state}')
        self.kill.setEnabled(alive)

    def start(self):
        self.tell("goldenrod", "starting")
        self.watch(threads.submit(start_node, self.name), self.started)

    def started(self, node_and_sensor):
        self.node, self.sensor = node_and_sensor
        self.read()

    def read(self):
        try:
            self.watch(self.sensor.gauss(20, 0.5, _sync="async"), self.show)
        except ServerDisconnected as error:  # since the last reading
            self.died(error)

    def watch(self, future, done):
        result = QtFuture(future)
        result.done.connect(done)
        result.failed.connect(self.died)

    def show(self, value):
        self.tell("green", f"alive, process {self.node.pid}: {value:.2f} °C", alive=True)
        QtCore.QTimer.singleShot(200, self.read)

    def died(self, error):
        self.tell("firebrick", "died, is started again")
        QtCore.QTimer.singleShot(3000, self.start)


def main():
    app = QtWidgets.QApplication(["dashboard"])
    signal.signal(signal.SIGINT, lambda *_: app.quit())  # for Ctrl-C
    server = QtRPCServer()
    window = server["window"] = QtWidgets.QWidget(windowTitle="Sensors")
    grid = QtWidgets.QGridLayout(window)
    for row, name in enumerate(("north", "middle", "south")):
        server[name] = Row(name, grid, row)
    window.show()
    server.run_forever()
    print("the dashboard is at", server.address, flush=True)
    app.exec()


if __name__ == "__main__":
    main()
