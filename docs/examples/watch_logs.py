"""The log records of two nodes and of this process in one window, as they come.

``python watch_logs.py`` shows it until it is closed; ``python watch_logs.py logs.png``
looks for an error, saves a picture of that, and ends.
"""

import logging
import signal
import sys

from qtpy import QtCore, QtWidgets

from pyacq_rpc.people.logs import LogViewer
from spawner import ProcessSpawner, start_log_server


class Motor:
    """Lives in its node, and logs there as any program does."""

    log = logging.getLogger("motor")
    steps = 0

    def step(self):
        self.steps += 1
        self.log.debug("at %.1f mm", 1.5 * self.steps)
        if self.steps % 3 == 0:
            self.log.warning("slow: 1.3 s to settle")
        if self.steps % 7 == 0:
            try:
                raise OSError("the fan is stuck")
            except OSError:
                self.log.exception("too warm")


def main(picture=None):
    app = QtWidgets.QApplication(sys.argv[:1])
    signal.signal(signal.SIGINT, lambda *_: app.quit())  # for Ctrl-C
    log_server = start_log_server()  # nodes that are started from now on send to it
    viewer = LogViewer(log_server)
    viewer.resize(1000, 460)
    viewer.show()
    logging.getLogger("plan").warning("clouds from the west")
    with ProcessSpawner("dome") as dome, ProcessSpawner("focus", log_level="DEBUG") as focus:
        motors = [node._import("watch_logs").Motor() for node in (dome, focus)]
        if picture is None:
            timer = QtCore.QTimer()
            timer.timeout.connect(lambda: [motor.step(_sync="off") for motor in motors])
            timer.start(500)
            app.exec()
            return
        for n in range(20):
            motors[n % 2].step()
    log_server.close()  # which waits for what is on its way
    viewer.take_in()
    viewer.finder.open()
    viewer.finder.text.setText("fan")
    viewer.finder.next.click()
    viewer.table.unfold(True)
    viewer.grab().save(picture)
    print(viewer.status())


if __name__ == "__main__":
    main(*sys.argv[1:])
