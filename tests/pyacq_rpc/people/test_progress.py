from __future__ import annotations

import io
import os
import pty

from pyacq_rpc.people.progress import Progress


class Screen(io.StringIO):
    """A terminal that does not know how wide it is."""

    def isatty(self):
        return True


def test_a_line_takes_the_place_of_the_last_one_and_goes_away():
    screen = Screen()
    with Progress(screen) as progress:
        progress.show("one")
        progress.show("two")
    assert screen.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_a_long_line_is_cut():
    screen = Screen()
    Progress(screen).show("x" * 500)
    assert screen.getvalue().count("x") == 79


def test_in_a_terminal_that_knows_its_width():
    ours, theirs = pty.openpty()
    with open(theirs, "w") as screen, Progress(screen) as progress:
        progress.show("x" * 500)
        os.set_blocking(ours, False)
        assert b"x" * 79 in os.read(ours, 4096)
    os.close(ours)


def test_what_is_no_terminal_is_left_alone():
    pipe = io.StringIO()
    with Progress(pipe) as progress:
        progress.show("one")
    assert pipe.getvalue() == ""
