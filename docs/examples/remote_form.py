"""A form in a GUI process, built, read and answered by this script.

``python remote_form.py`` shows it until it is closed; ``python remote_form.py
form.png`` fills it in, saves a picture of it, and ends.
"""

import sys
import threading

from spawner import ProcessSpawner


def main(picture: str | None = None) -> None:
    with ProcessSpawner(name="observe", qt=True) as gui:
        widgets = gui._import("qtpy.QtWidgets")
        form = widgets.QWidget()
        form.setWindowTitle("New exposure")
        target, seconds = widgets.QLineEdit(), widgets.QDoubleSpinBox()
        target.setPlaceholderText("such as M 31")
        seconds.setSuffix(" s")
        add, answer = widgets.QPushButton("Add"), widgets.QLabel()
        answer.setMinimumWidth(330)
        layout = widgets.QFormLayout(form)
        layout.addRow("Target", target)
        layout.addRow("Exposure", seconds)
        layout.addRow(add)
        layout.addRow(answer)
        answered = threading.Event()

        def check() -> None:
            # Runs here, in a thread of its own, when the button is clicked.
            name, exposure = target.text().strip(), seconds.value()
            if name and exposure > 0:
                text, colour = f"{name}, {exposure:g} s: added", "darkgreen"
            else:
                text, colour = "Not added: how long, and of what?", "firebrick"
            answer.setStyleSheet(f"color: {colour}")
            answer.setText(text)
            print(text)
            answered.set()

        add.clicked.connect(check)
        # Both of these are over there, and so is their connection.
        target.returnPressed.connect(add.click)
        form.show()
        if picture is None:
            widgets.QApplication.setQuitOnLastWindowClosed(True)
            gui.wait()
        else:
            target.setText("M 31")
            add.click()
            assert answered.wait(10)
            form.grab(_return_type="proxy").save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
