from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from processes import gone

from spawner.forked import UNKNOWN_EXIT_CODE, ForkedProcess, close_all


class Template:
    """Says of a process what a test tells it to say."""

    def __init__(self) -> None:
        self.channel, self.theirs = socket.socketpair()
        self.reading, self.writing = os.pipe()  # reads as closed when the template has ended
        self.ended: list[ForkedProcess] = []
        self.descriptors = [os.open(os.devnull, os.O_RDONLY)]
        stdin = io.FileIO(os.devnull, "wb")
        self.proc = ForkedProcess(
            ["it"], stdin, None, None, self.channel, self.descriptors, self.ended.append
        )

    def say(self, number: int) -> None:
        self.theirs.sendall(b"%d\n" % number)

    def close(self) -> None:
        self.proc.close()
        self.proc.stdin.close()
        self.theirs.close()
        for fd in (self.reading, self.writing):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def template():
    template = Template()
    yield template
    template.close()


@pytest.fixture
def child(template):
    """A process that the template says it has forked."""
    with subprocess.Popen(["sleep", "60"]) as child:
        template.say(child.pid)
        assert template.proc.await_pid(template.reading, 10)
        yield child
        child.kill()


class TestItsId:
    def test_is_awaited(self, template, child):
        assert template.proc.pid == child.pid
        assert template.descriptors == []  # it has them now

    def test_may_take_too_long(self, template):
        assert not template.proc.await_pid(template.reading, 0.01)
        assert template.proc.poll() is None

    def test_never_comes_when_forking_fails(self, template):
        template.say(-errno.EAGAIN)
        with pytest.raises(BlockingIOError):
            template.proc.await_pid(template.reading, 10)

    def test_never_comes_when_the_template_ends(self, template):
        os.close(template.writing)
        with pytest.raises(ConnectionError):
            template.proc.await_pid(template.reading, 10)

    def test_never_comes_when_the_channel_is_closed(self, template):
        template.theirs.close()
        with pytest.raises(ConnectionError):
            template.proc.await_pid(template.reading, 10)

    def test_is_not_taken_for_an_exit_code(self, template):
        template.say(123)
        assert template.proc.poll() is None

    def test_and_exit_code_may_come_together(self, template):
        template.say(123)
        template.say(3)
        assert template.proc.await_pid(template.reading, 10)
        assert (template.proc.pid, template.proc.poll()) == (123, 3)


class TestItsEnd:
    @pytest.mark.parametrize("code", [0, 7, -9])
    def test_is_told(self, template, child, code):
        assert template.proc.poll() is None
        template.say(code)
        assert template.proc.wait(10) == template.proc.poll() == template.proc.returncode == code
        assert template.ended == [template.proc]

    def test_is_seen_when_nobody_can_tell(self, template, child):
        template.theirs.close()
        ending = threading.Timer(0.1, child.kill)  # a process closes what it has, then ends
        ending.start()
        assert template.proc.wait(10) == UNKNOWN_EXIT_CODE
        assert gone(child.pid)
        ending.join()

    def test_is_not_waited_for_when_it_has_only_closed_its_descriptors(
        self, template, child, monkeypatch
    ):
        monkeypatch.setattr("spawner.forked._END_TIMEOUT", 0.01)
        template.theirs.close()
        assert template.proc.wait(10) == UNKNOWN_EXIT_CODE
        assert child.poll() is None

    def test_may_take_too_long(self, template, child):
        with pytest.raises(subprocess.TimeoutExpired):
            template.proc.wait(0.01)
        with pytest.raises(subprocess.TimeoutExpired):
            template.proc.wait(0)

    def test_wakes_all_who_wait(self, template, child):
        waiting = threading.Barrier(5)

        def wait():
            waiting.wait()
            return template.proc.wait(10)

        with ThreadPoolExecutor(4) as pool:
            codes = [pool.submit(wait) for _ in range(4)]
            waiting.wait()
            template.say(7)
            assert [code.result(10) for code in codes] == [7] * 4
        assert template.ended == [template.proc]

    def test_may_be_seen_by_a_finalizer_that_runs_while_it_is_looked_for(self, template, child):
        template.say(7)
        channel = template.proc._channel

        class Channel:
            def recv(self, *args):
                template.proc._channel = channel
                assert template.proc.poll() == 7
                template.proc.close()
                return channel.recv(*args)

        template.proc._channel = Channel()
        assert template.proc.poll() == 7
        assert template.ended == [template.proc]

    def test_is_given_up_by_killing_what_is_not_there_yet(self, template):
        template.proc.kill()
        template.proc.kill()
        assert template.proc.wait(0) == -signal.SIGKILL
        assert template.ended == [template.proc]


class TestSignals:
    def test_reach_it(self, template, child):
        template.proc.terminate()
        assert child.wait(10) == -signal.SIGTERM

    def test_kill(self, template, child):
        template.proc.kill()
        assert child.wait(10) == -signal.SIGKILL

    def test_are_not_sent_once_it_has_ended(self, template, child):
        template.say(0)
        template.proc.kill()
        assert child.poll() is None

    def test_may_come_too_late(self, template, child):
        child.kill()
        child.wait(10)
        template.proc.terminate()


def test_an_interrupt_loses_no_descriptor(monkeypatch):
    class Interrupt(Exception):
        pass

    closed = []

    def close_and_interrupt(fd):
        closed.append(fd)
        raise Interrupt

    monkeypatch.setattr(os, "close", close_and_interrupt)
    descriptors = [5, 6, 7]
    while descriptors:
        with pytest.raises(Interrupt):
            close_all(descriptors)
        assert sorted([*closed, *descriptors]) == [5, 6, 7]
    close_all(descriptors)
