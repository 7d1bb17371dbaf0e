from __future__ import annotations

import threading

import pytest
from conftest import eventually

from pyacq_rpc.people.console import missing_packages, open_console
from spawner import ProcessSpawner

pytestmark = pytest.mark.timeout(90)

PATIENT = 30.0


@pytest.fixture
def gui(tmp_path):
    """A GUI in another process, which keeps no history of what the tests type."""
    env = {"IPYTHONDIR": str(tmp_path)}
    with ProcessSpawner(name="gui", qt=True, output="capture", env=env) as gui:
        yield gui


@pytest.fixture
def console(gui):
    """A console in it."""
    return open_console(gui)


def shows(console, text):
    return eventually(lambda: text in console.text(), PATIENT)


def threads_of(gui):
    return [t.name for t in gui._import("threading").enumerate()]


def main_of(gui):
    """Which module is the main one there."""
    return gui._import("builtins").id(gui._import("sys").modules["__main__"])


def is_published(gui, name):
    def look():
        try:
            gui[name]
        except KeyError:
            return False
        return True

    return eventually(look, PATIENT)


class TestThePrompt:
    def test_runs_code_in_the_thread_of_the_gui(self, gui, console):
        console.execute("import threading; 6 * 7, threading.current_thread()")
        assert shows(console, "Out[1]: (42, <_MainThread(")
        assert gui.name in console.windowTitle()
        assert f"Process {gui.pid}, server gui at {gui.address}" in console.text()

    def test_shows_output_and_errors(self, gui, console):
        console.execute("print('to see'); 1 / 0")
        assert shows(console, "\nto see\n")
        assert shows(console, "ZeroDivisionError: division by zero")
        assert "to see" not in gui.stdout

    def test_runs_one_thing_after_the_other(self, console):
        for n in range(5):
            console.execute(f"{n} * 1000")
        assert shows(console, "Out[5]: 4000")
        shown = [line for line in console.text().splitlines() if line.startswith("Out")]
        assert shown == [f"Out[{n + 1}]: {n * 1000}" for n in range(5)]

    def test_has_what_is_published_and_publishes(self, gui, console):
        gui["answer"] = 42
        console.execute("server['mine'] = [answer]")
        assert is_published(gui, "mine")
        assert gui["mine"] == [42]
        console.execute("mine")
        assert shows(console, "Out[2]: [42]")

    def test_completes_names_that_were_just_published(self, gui, console):
        complete = console._manager.kernel.do_complete
        assert complete("shut", 4, _timeout=25.0)["matches"] == []  # jedi has a lot to import
        gui["shutter"] = 1
        assert "shutter" in complete("shut", 4)["matches"]

    def test_uses_other_nodes_while_requests_are_served(self, gui, console, server):
        """What it waits for needs the node meanwhile."""
        asked, go_on = threading.Event(), threading.Event()

        def slow():
            asked.set()
            return go_on.wait(PATIENT)

        server["slow"] = slow
        gui["slow"] = slow_there = server.get_proxy(slow)
        console.execute("slow(_timeout=60)")
        assert asked.wait(PATIENT)
        assert gui.client.ping() == "pong"
        console.execute("'after it'")
        go_on.set()
        assert shows(console, "Out[1]: True")
        assert shows(console, "Out[2]: 'after it'")
        assert slow_there is not None

    def test_is_not_held_up_by_requests(self, gui, console):
        stop, answers = threading.Event(), []

        def ask():
            ping = gui._import("operator").neg
            while not stop.is_set():
                answers.extend(f.result(30) for f in [ping(1, _sync="async") for _ in range(50)])

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            assert eventually(lambda: answers)
            console.execute("6 * 7")
            assert shows(console, "Out[1]: 42")
        finally:
            stop.set()
            thread.join(30)

    def test_asks_the_user(self, gui, console):
        console.execute("name = input('who? ')")
        assert shows(console, "who? ")
        assert gui.client.ping() == "pong"
        test, core = gui._import("qtpy.QtTest").QTest, gui._import("qtpy.QtCore")
        control = console.prompt._control
        test.keyClicks(control, "me")
        test.keyClick(control, core.Qt.Key.Key_Return)
        console.execute("name")
        assert shows(console, "Out[2]: 'me'")


class TestItsEnd:
    def test_leaves_the_node_as_it_was(self, gui):
        main = main_of(gui)
        before = threads_of(gui)
        for _ in range(2):
            console = open_console(gui)
            console.execute("x = 1")
            console.execute("x + 1")
            assert shows(console, "Out[2]: 2")
            assert console.close()
            assert eventually(lambda: threads_of(gui) == before)
        assert main_of(gui) == main
        assert gui.stop() == 0
        assert "Traceback" not in gui.stderr
        assert "pending" not in gui.stderr

    def test_when_the_user_says_exit(self, gui, console):
        console.execute("exit")
        assert eventually(lambda: not console.is_open(), PATIENT)
        assert gui.client.ping() == "pong"
        assert "a slot failed" not in gui.stderr

    def test_while_it_asks_the_user(self, gui, console):
        console.execute("input('who? ')")
        assert shows(console, "who? ")
        assert console.close()
        assert eventually(lambda: not console.is_open(), PATIENT)

    def test_with_the_node(self, gui, console):
        console.execute("input('who? ')")
        assert shows(console, "who? ")
        assert gui.stop(40) == 0

    def test_may_be_the_nodes(self, gui):
        open_console(gui, ends_node=True).close(_sync="off")
        assert gui.wait(40) == 0


def test_there_is_one_in_a_process(gui, console):
    assert open_console(gui) == console
    assert open_console(gui.client) == console


def test_a_node_without_a_gui_has_none():
    with ProcessSpawner() as node, pytest.raises(RuntimeError, match="has no QtRPCServer"):
        open_console(node)


def test_what_is_not_installed_over_there_is_told(gui):
    gui._import("sys").modules["qtconsole"] = None
    with pytest.raises(ImportError, match="pip install 'pyacq-rpc\\[console\\]'"):
        open_console(gui)


def test_missing_packages(monkeypatch):
    assert missing_packages() == []
    monkeypatch.setitem(__import__("sys").modules, "ipykernel", None)
    assert missing_packages() == ["ipykernel"]
