from __future__ import annotations

import signal
import threading

import pytest
from conftest import eventually

from pyacq_rpc.peers.unanswered import Unanswered

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def worker(shell, node):
    shell.user_ns.update(worker=node, clock=node._import("time"))
    return node


@pytest.fixture
def press(worker):
    """Press Ctrl-C when the node is at something, which is asked in a thread of its own.

    And when the prompt waits for it: to have sent the request takes a moment as well.
    """
    main = threading.main_thread().ident
    conversation = worker.client._conversation
    threads = []

    def press(is_time):
        connected = threading.Event()

        def wait_and_press():
            worker.client.ping(timeout=30)  # before it is busy
            connected.set()
            if eventually(lambda: is_time() and conversation.attention.waits(), 30):
                signal.pthread_kill(main, signal.SIGINT)

        threads.append(threading.Thread(target=wait_and_press))
        threads[-1].start()
        assert connected.wait(30)

    yield press
    for thread in threads:
        thread.join(40)


@pytest.fixture
def is_busy(worker):
    """Whether the node is, as a thread of its own sees it."""
    return lambda: worker.client.status(5).state == "busy"


class Started:
    """Whether the cell that is to be interrupted has started, and what was sent by then."""

    def __init__(self, client):
        self._client = client
        self._sent = None

    def set(self):
        self._sent = self._client.stats().sent

    def has_sent(self):
        return self._sent is not None and self._client.stats().sent > self._sent


@pytest.fixture
def started(worker):
    return Started(worker.client)


@pytest.fixture
def waits_behind(started):
    """Whether the cell has sent something, which the node does not begin with."""
    return started.has_sent


def test_the_first_one_ends_the_wait_and_the_second_the_call(worker, run, shell, press, is_busy):
    press(is_busy)
    result, shown = run("clock.sleep(60, _timeout=None)")
    assert isinstance(result.error_in_exec, KeyboardInterrupt)
    assert "conversation.py" not in shown
    assert is_busy()
    assert "Interrupted time.sleep in worker" in run("%interrupt")[1]
    assert eventually(lambda: not is_busy())
    assert run("%interrupt")[1] == "There is no call of yours that goes on.\n"


STUBBORN = """
import time
class Stage:
    def move(self):
        self.stopped = 0
        while self.stopped < 2:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                self.stopped += 1
server["stage"] = Stage()
"""


def test_a_call_that_takes_no_notice_is_interrupted_again(worker, run, shell, press, is_busy):
    run(f"%%remote worker\n{STUBBORN}")
    shell.user_ns["stage"] = worker["stage"]
    press(is_busy)
    run("stage.move(_timeout=None)")
    told = run("%interrupt")[1]
    assert told.startswith("Interrupted stage.move in worker")
    assert told.endswith("where it has not ended yet; once more interrupts it again.\n")
    assert run("%interrupt")[1].startswith("Interrupted stage.move in worker")
    assert eventually(lambda: not is_busy())
    assert worker["stage"].stopped == 2


def test_it_is_not_forgotten_by_who_does_not_wait_for_its_end(
    worker, run, shell, press, is_busy, monkeypatch
):
    def interrupted(call, within):
        raise KeyboardInterrupt

    run(f"%%remote worker\n{STUBBORN}")
    shell.user_ns["stage"] = worker["stage"]  # which the node is busy with as well
    press(is_busy)
    run("stage.move(_timeout=None)")
    with monkeypatch.context() as patch:
        patch.setattr(Unanswered, "ends", interrupted)
        result, told = run("%interrupt")
        assert isinstance(result.error_in_exec, KeyboardInterrupt), told
    assert run("%interrupt")[1].startswith("Interrupted stage.move in worker")
    assert eventually(lambda: not is_busy())


def test_what_goes_on_is_told(worker, shell, press, is_busy, capsys):
    press(is_busy)
    shell.run_cell("clock.sleep(60, _timeout=None)")
    assert "Stopped waiting for worker" in capsys.readouterr().err
    worker.kill()


def test_of_an_interrupt_that_ended_no_wait_nothing_is_told(shell, capsys):
    shell.run_cell("raise KeyboardInterrupt")
    assert "Stopped waiting" not in capsys.readouterr().err


def test_a_call_of_somebody_else_is_left_alone(worker, run, press, is_busy, started, waits_behind):
    press(waits_behind)
    other = worker._import("time").sleep(60, _sync="async")
    assert eventually(lambda: (worker.client.status(5).seconds or 0) > 1)
    started.set()
    run("clock.time(_timeout=None)")
    assert run("%interrupt")[1].startswith("Your call was withdrawn.")
    assert is_busy()
    assert not other.done()
    worker.kill()


def test_a_node_that_has_gone_meanwhile(worker, run, press, is_busy):
    press(is_busy)
    run("clock.sleep(60, _timeout=None)")
    worker.kill()
    assert "no call of yours" in run("%interrupt")[1]


class TestACell:
    def test_is_interrupted(self, worker, run, press):
        press(lambda: (worker.client.status(5).doing or "").endswith("cells.run"))
        result, shown = run("%remote worker import time; time.sleep(60)")
        assert result.error_in_exec.type_name == "KeyboardInterrupt"
        assert "Remote Traceback" in shown
        assert worker.client.ping() == "pong"
        assert "Stopped waiting" not in shown

    def test_that_was_not_begun_is_withdrawn(
        self, worker, shell, press, started, waits_behind, capsys
    ):
        press(waits_behind)
        busy = worker._import("time").sleep(5, _sync="async")
        started.set()
        result = shell.run_cell("%remote worker server['x'] = 5")
        assert isinstance(result.error_in_exec, KeyboardInterrupt)
        assert "The cell was withdrawn" in capsys.readouterr().err
        busy.result(30)
        with pytest.raises(KeyError):
            worker["x"]
