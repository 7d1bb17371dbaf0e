from __future__ import annotations

import json
import logging
import threading
import time

import pytest
from event_loop import turn_until
from log_making import log_record
from qtpy import QtCore, QtGui, QtTest, QtWidgets

from pyacq_rpc.people.logs import LogViewer
from pyacq_rpc.people.logs.model import FOLD, TEXT
from spawner import LogServer, LogWatcher, ProcessSpawner

Key, Button = QtCore.Qt.Key, QtCore.Qt.MouseButton


@pytest.fixture
def logger():
    return logging.Logger("shown")


@pytest.fixture
def viewer(app, logger):
    """A window that keeps a thousand records."""
    viewer = LogViewer(logger, max_records=1000)
    viewer.resize(900, 300)
    viewer.show()
    yield viewer
    end(viewer)


def end(viewer):
    gone = []
    viewer.destroyed.connect(lambda *_: gone.append(True))
    viewer.close()
    viewer.deleteLater()
    assert turn_until(lambda: gone)


def fill(viewer, logger, *texts, **fields):
    for text in texts:
        logger.handle(log_record(text, **fields))
    viewer.take_in()
    QtWidgets.QApplication.processEvents()


def texts(viewer):
    return [record.text for record in viewer.model.records()]


def bar_of(viewer):
    return viewer.table.verticalScrollBar()


def at_end(viewer):
    return bar_of(viewer).value() == bar_of(viewer).maximum()


def press(widget, key, modifier=QtCore.Qt.KeyboardModifier.NoModifier):
    QtTest.QTest.keyClick(widget, key, modifier)


class TestWhatIsShown:
    def test_comes_by_itself_from_any_thread(self, viewer, logger):
        thread = threading.Thread(target=lambda: logger.handle(log_record("from elsewhere")))
        thread.start()
        thread.join()
        assert turn_until(lambda: texts(viewer) == ["from elsewhere"])

    def test_by_default_what_this_process_logs(self, app):
        viewer = LogViewer()
        logging.getLogger("here").warning("it")
        assert turn_until(lambda: texts(viewer) == ["it"])
        viewer.detach()
        logging.getLogger("here").warning("no more")
        viewer.take_in()
        assert texts(viewer) == ["it"]

    def test_is_bounded_and_counted(self, viewer, logger):
        fill(viewer, logger, *map(str, range(1500)))
        viewer.set_filter(text="77")
        expected = "19 of 1,000 records shown · 500 older ones let go · at most 1,000 are kept"
        assert viewer.status() == expected
        assert expected in [label.text() for label in viewer.findChildren(QtWidgets.QLabel)]

    def test_goes_with_the_window(self, app, logger):
        parent = QtWidgets.QWidget()
        LogViewer(logger, parent)
        assert len(logger.handlers) == 1
        parent.deleteLater()
        assert turn_until(lambda: not logger.handlers)

    def test_is_of_something_that_has_records(self, app):
        with pytest.raises(TypeError, match="a logger, a LogServer or a LogWatcher"):
            LogViewer("ipc:///log")

    def test_of_whatever_text(self, viewer, logger):
        fill(viewer, logger, "\ud800 \0 \x1b[31m", "x" * 1_000_000, "", "\n\n", "%s", node="\ud800")
        viewer.grab()
        assert len(texts(viewer)) == 5


class TestNodes:
    """With real records of other processes."""

    @pytest.fixture
    def log_server(self, logger):
        with LogServer(logger) as server:
            yield server

    def log_in(self, address):
        with ProcessSpawner(name="camera", log_addr=address, log_level="DEBUG") as node:
            there = node._import("logging").getLogger("lens")
            there.debug("turning")
            there.warning("dusty")
            node._import("builtins").print("ready")
            divide = node._import("operator").truediv
            node._import("threading").Thread(target=divide, args=[1, 0]).start()

    def test_are_shown(self, app, log_server):
        viewer = LogViewer(log_server)
        self.log_in(log_server.address)
        assert turn_until(lambda: {"turning", "dusty", "ready"} <= set(texts(viewer)))
        assert turn_until(lambda: any(r.exception for r in viewer.model.records()))
        assert list(viewer.model.nodes) == ["camera"]
        failed = next(r for r in viewer.model.records() if r.exception)
        assert "ZeroDivisionError" in failed.exception
        row = viewer.model.row_of(failed.number)
        viewer.table.go_to(row)
        viewer.table.toggle()
        assert "Traceback" in viewer.model.data(viewer.model.index(row + 1, TEXT))

    def test_of_another_program_are_shown(self, app, log_server):
        with LogWatcher(log_server.address, logging.Logger("copy")) as watcher:
            viewer = LogViewer(watcher)
            assert watcher.wait_connected(20)
            assert "nobody answers" not in viewer.status()
            self.log_in(log_server.address)
            assert turn_until(lambda: {"turning", "dusty", "ready"} <= set(texts(viewer)))
            log_server.close()
            assert turn_until(lambda: "nobody answers at ipc://" in viewer.status())


class TestTheFilter:
    @pytest.fixture(autouse=True)
    def _records(self, viewer, logger):
        fill(viewer, logger, "opened", "closed", level=logging.DEBUG)
        fill(viewer, logger, "stuck (again)", node="stage", level=logging.ERROR)

    def test_by_level(self, viewer, logger):
        viewer.filters.level.setCurrentIndex(viewer.filters.level.findText("Warning"))
        fill(viewer, logger, "late", level=logging.INFO)
        assert texts(viewer) == ["stuck (again)"]

    def test_by_node(self, viewer, logger):
        menu = viewer.filters.nodes.menu()
        menu.aboutToShow.emit()
        actions = {action.text(): action for action in menu.actions()}
        assert [text for text in actions if text] == ["All", "None", "camera", "stage"]
        actions["camera"].trigger()
        fill(viewer, logger, "one more", node="camera")
        fill(viewer, logger, "new", node="gui")
        assert texts(viewer) == ["stuck (again)", "new"]
        assert viewer.filters.nodes.text() == "gui, stage"
        actions["None"].trigger()
        assert texts(viewer) == []
        actions["All"].trigger()
        assert len(texts(viewer)) == 5
        assert viewer.filters.nodes.text() == "All nodes"

    def test_by_text(self, viewer):
        QtTest.QTest.keyClicks(viewer.filters.text, "STUCK (")
        assert texts(viewer) == ["stuck (again)"]

    def test_by_a_regular_expression_and_says_when_it_is_wrong(self, viewer, logger):
        viewer.filters.regex.setChecked(True)
        QtTest.QTest.keyClicks(viewer.filters.text, "^(open")
        assert viewer.filters.problem.isVisible()
        assert "Not a regular expression: missing )" in viewer.filters.problem.text()
        assert texts(viewer) == ["opened", "closed", "stuck (again)"]
        QtTest.QTest.keyClicks(viewer.filters.text, "|clos)ed$")
        assert not viewer.filters.problem.isVisible()
        assert texts(viewer) == ["opened", "closed"]
        fill(viewer, logger, "closed", "disclosed")
        assert texts(viewer) == ["opened", "closed", "closed"]

    def test_by_a_program(self, viewer):
        viewer.set_filter(level="ERROR", nodes=["stage"], text="again")
        assert texts(viewer) == ["stuck (again)"]
        viewer.set_filter(nodes=["camera"])
        assert texts(viewer) == ["opened", "closed"]
        viewer.set_filter()
        assert len(texts(viewer)) == 3
        with pytest.raises(ValueError, match="no level 'loud'"):
            viewer.set_filter(level="loud")

    def test_stays_with_the_record_that_the_user_has_gone_to(self, viewer):
        viewer.table.go_to(2)
        viewer.set_filter(level=logging.ERROR)
        assert viewer.table.currentIndex().row() == 0
        viewer.set_filter()
        assert viewer.table.currentIndex().row() == 2

    def test_from_the_menu_of_a_record(self, viewer):
        rect = viewer.table.visualRect(viewer.model.index(0, TEXT))
        viewer.table.customContextMenuRequested.emit(rect.center())
        menus = [m for m in viewer.findChildren(QtWidgets.QMenu) if m.isVisible()]
        actions = {action.text(): action for action in menus[0].actions()}
        actions["Show only camera"].trigger()
        assert texts(viewer) == ["opened", "closed"]
        actions["Show all nodes"].trigger()
        actions["Hide camera"].trigger()
        assert texts(viewer) == ["stuck (again)"]
        menus[0].close()


class TestFollowing:
    @pytest.fixture(autouse=True)
    def _records(self, viewer, logger):
        fill(viewer, logger, *map(str, range(100)))

    def follows(self, viewer):
        box = next(b for b in viewer.findChildren(QtWidgets.QCheckBox) if b.text() == "Follow")
        assert box.isChecked() == viewer.table.following()
        return box.isChecked()

    def test_the_end(self, viewer, logger):
        assert self.follows(viewer)
        assert at_end(viewer)
        fill(viewer, logger, *"abc")
        assert at_end(viewer)
        viewer.resize(900, 200)
        QtWidgets.QApplication.processEvents()
        assert at_end(viewer)

    def test_stops_when_the_user_scrolls_up(self, viewer, logger):
        bar_of(viewer).setValue(30)
        assert not self.follows(viewer)
        fill(viewer, logger, *"abc")
        assert bar_of(viewer).value() == 30

    def test_goes_on_when_the_user_is_back_at_the_end(self, viewer, logger):
        bar_of(viewer).setValue(30)
        bar_of(viewer).setValue(bar_of(viewer).maximum())
        assert self.follows(viewer)
        fill(viewer, logger, *"abc")
        assert at_end(viewer)

    def test_goes_on_with_the_key(self, viewer):
        press(viewer.table, Key.Key_Home)
        assert bar_of(viewer).value() == 0
        assert not self.follows(viewer)
        press(viewer.table, Key.Key_End)
        assert self.follows(viewer)
        assert at_end(viewer)

    def test_goes_on_with_the_button(self, viewer):
        bar_of(viewer).setValue(30)
        box = next(b for b in viewer.findChildren(QtWidgets.QCheckBox) if b.text() == "Follow")
        box.click()
        assert self.follows(viewer)
        assert at_end(viewer)
        box.click()
        assert not self.follows(viewer)

    def test_stops_at_a_record_that_the_user_goes_to(self, viewer, logger):
        viewer.table.go_to(99)
        assert not self.follows(viewer)
        value = bar_of(viewer).value()
        fill(viewer, logger, *map(str, range(50)))
        assert bar_of(viewer).value() == value

    def test_what_is_in_sight_stays_when_older_ones_go(self, viewer, logger):
        fill(viewer, logger, *map(str, range(100, 1000)))
        bar_of(viewer).setValue(500)
        assert texts(viewer)[bar_of(viewer).value()] == "500"
        fill(viewer, logger, *map(str, range(1000, 1200)))
        assert texts(viewer)[bar_of(viewer).value()] == "500"
        fill(viewer, logger, *map(str, range(1200, 1900)))
        assert bar_of(viewer).value() == 0
        assert not self.follows(viewer)

    def test_the_filter_does_not_change_it(self, viewer):
        viewer.set_filter(text="77")
        assert self.follows(viewer)
        viewer.set_filter()
        assert at_end(viewer)
        bar_of(viewer).setValue(30)
        viewer.set_filter(text="77")
        assert not self.follows(viewer)


class TestSearching:
    @pytest.fixture(autouse=True)
    def _records(self, viewer, logger):
        fill(viewer, logger, "Red", "green", "red", "blue")

    def row(self, viewer):
        return viewer.table.currentIndex().row()

    def test_with_the_keyboard(self, viewer):
        control, shift = (
            QtCore.Qt.KeyboardModifier.ControlModifier,
            QtCore.Qt.KeyboardModifier.ShiftModifier,
        )
        viewer.activateWindow()
        press(viewer.table, Key.Key_F, control)
        assert viewer.finder.isVisible()
        QtTest.QTest.keyClicks(viewer.finder.text, "RED")
        rows = []
        for key, modifier in [(Key.Key_Return, None), (Key.Key_F3, None), (Key.Key_F3, shift)]:
            press(viewer.finder.text, key, modifier or QtCore.Qt.KeyboardModifier.NoModifier)
            rows.append(self.row(viewer))
        assert rows == [0, 2, 0]
        press(viewer.finder.text, Key.Key_Escape)
        assert not viewer.finder.isVisible()

    def test_goes_round_and_says_so(self, viewer):
        assert viewer.search("red", backwards=True)
        assert self.row(viewer) == 2
        assert viewer.search("red")
        assert self.row(viewer) == 0
        assert viewer.finder.result.text() == "from the other end"

    def test_says_when_there_is_none(self, viewer):
        viewer.finder.text.setText("white")
        viewer.finder.next.click()
        assert viewer.finder.result.text() == "not found"
        assert not viewer.search("white", backwards=True)
        viewer.clear()
        assert not viewer.search("red")


class TestARecord:
    def test_is_folded_open_and_shut(self, viewer, logger):
        fill(viewer, logger, "failed", exc_text="Traceback:\nKeyError")
        where = viewer.table.visualRect(viewer.model.index(0, FOLD)).center()
        viewport = viewer.table.viewport()
        QtTest.QTest.mouseClick(
            viewport, Button.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier, where
        )
        assert viewer.model.rowCount() == 3
        for key, rows in [(Key.Key_Left, 1), (Key.Key_Right, 3), (Key.Key_Space, 1)]:
            press(viewer.table, key)
            assert viewer.model.rowCount() == rows

    def test_is_copied(self, viewer, logger):
        fill(viewer, logger, "failed", "again", exc_text="Traceback:\nKeyError")
        viewer.table.go_to(0)
        viewer.table.toggle()
        viewer.table.selectAll()
        press(viewer.table, Key.Key_C, QtCore.Qt.KeyboardModifier.ControlModifier)
        lines = QtWidgets.QApplication.clipboard().text().split("\n")
        assert lines[0].endswith("INFO\tcamera\tlens\tfailed")
        assert lines[1:3] == ["Traceback:", "KeyError"]
        assert lines[3].endswith("again")


class TestAnExport:
    def test_has_what_is_shown(self, viewer, logger, tmp_path):
        fill(viewer, logger, "one \ud800", "two")
        viewer.set_filter(text="one")
        assert viewer.export(tmp_path / "log.txt") == 1
        assert (tmp_path / "log.txt").read_text().endswith("camera lens: one \\ud800\n")
        assert viewer.export(tmp_path / "log.jsonl") == 1
        assert json.loads((tmp_path / "log.jsonl").read_text())["text"] == "one \ud800"

    def ask(self, viewer, monkeypatch, answer):
        monkeypatch.setattr(QtWidgets.QFileDialog, "getSaveFileName", lambda *_: answer)
        buttons = viewer.findChildren(QtWidgets.QToolButton)
        next(button for button in buttons if button.text() == "Export…").click()

    def test_goes_where_the_user_wants(self, viewer, logger, tmp_path, monkeypatch):
        fill(viewer, logger, "one")
        self.ask(viewer, monkeypatch, ("", ""))
        self.ask(viewer, monkeypatch, (str(tmp_path / "here"), "JSON lines (*.jsonl)"))
        assert json.loads((tmp_path / "here.jsonl").read_text())["text"] == "one"

    def test_says_when_it_cannot(self, viewer, tmp_path, monkeypatch):
        told = []
        monkeypatch.setattr(QtWidgets.QMessageBox, "warning", lambda *said: told.append(said[2]))
        self.ask(viewer, monkeypatch, (str(tmp_path / "no" / "log.txt"), "Text (*.txt *.log)"))
        assert told == [f"Cannot write {tmp_path}/no/log.txt: No such file or directory"]


class TestColours:
    def pixels(self, viewer):
        """Of the cells of an error and an info, and of the ground."""
        image = viewer.table.viewport().grab().toImage()
        return {
            QtGui.QColor(image.pixel(x, y)).name()
            for x in range(image.width())
            for y in range(image.height())
        }

    def test_change_with_the_palette(self, viewer, logger):
        fill(viewer, logger, "failed ■■■", level=logging.ERROR)
        light = viewer.model.data(viewer.model.index(0, TEXT), ROLE).color()
        palette = viewer.palette()
        palette.setColor(QtGui.QPalette.ColorRole.Base, QtGui.QColor("#101010"))
        viewer.setPalette(palette)
        dark = viewer.model.data(viewer.model.index(0, TEXT), ROLE).color()
        assert light.lightness() < dark.lightness()
        assert {"#101010", dark.name()} <= self.pixels(viewer)


ROLE = int(QtCore.Qt.ItemDataRole.ForegroundRole)


class TestManyRecords:
    """Ratios, since a loaded machine is slow."""

    COUNT = 100_000

    @pytest.fixture
    def many(self, app):
        logger = logging.Logger("many")
        viewer = LogViewer(logger)
        viewer.resize(900, 300)
        viewer.show()
        began = time.perf_counter()
        for n in range(self.COUNT):
            logger.handle(log_record("exposure %d took %.3f s", 10 + n % 4 * 10, args=(n, n / 7)))
        viewer.logging_took = time.perf_counter() - began
        yield viewer
        end(viewer)

    @staticmethod
    def seconds(act):
        began = time.perf_counter()
        act()
        QtWidgets.QApplication.processEvents()
        return time.perf_counter() - began

    @pytest.mark.timeout(120)
    def test_are_shown_and_filtered_in_a_fraction_of_the_time_that_logging_them_takes(self, many):
        assert min(self.seconds(many.take_in) for _ in range(1)) < many.logging_took
        assert many.model.rowCount() == self.COUNT
        assert at_end(many)
        for wanted in ({"level": "ERROR"}, {"text": "9999"}, {"text": r"\d9 took", "regex": True}):
            took = min(self.seconds(lambda wanted=wanted: many.set_filter(**wanted)) for _ in "abc")
            assert 0 < many.model.rowCount() < self.COUNT
            assert took < many.logging_took / 2

    @pytest.mark.timeout(120)
    def test_new_ones_are_filtered_alone(self, many, monkeypatch):
        many.take_in()
        many.set_filter(text="exposure")
        seen = []
        select = many.model.filter.select
        monkeypatch.setattr(
            many.model.filter, "select", lambda records: seen.extend(records) or select(records)
        )
        many._logger.handle(log_record("exposure of one"))
        many.take_in()
        assert len(seen) == 1
        assert many.model.rowCount() == self.COUNT + 1
