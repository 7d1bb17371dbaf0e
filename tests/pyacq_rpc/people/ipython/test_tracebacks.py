from __future__ import annotations

import sys

import pytest

from pyacq_rpc.people.ipython.tracebacks import up_to_the_user

LOCAL = "camera.fail()"


@pytest.fixture
def show(run, camera):
    """Have a remote exception shown; in the test, since pytest forgets the last one before."""
    return lambda: run(LOCAL)[1]


def test_the_remote_part_comes_first(show):
    shown = show()
    remote, _, local = shown.partition("The above exception was the direct cause")
    assert remote.startswith("Remote Traceback (most recent call last):")
    assert 'raise ValueError("no light")' in remote
    assert f"----> 1 {LOCAL}" in local
    assert local.rstrip().endswith("ValueError: no light")


def test_of_our_own_part_nothing_is_shown(show):
    shown = show()
    assert "conversation.py" not in shown
    assert "RemoteTraceback" not in shown


def test_tb_shows_it_again(run, show):
    shown = show()
    assert run("%tb")[1] == shown


def test_all_of_it_on_request(run, show):
    show()
    run("%xmode Verbose")
    assert "conversation.py" in run("%tb")[1]


def test_minimal(run, camera):
    run("%xmode Minimal")
    assert run(LOCAL)[1].rstrip() == "ValueError: no light"


def test_it_has_the_colours_of_the_shell(shell, run, camera):
    run("%colors neutral")
    _, shown = run(LOCAL)
    remote, _, _ = shown.partition("The above exception")
    assert "Remote Traceback (most recent call last):" in remote
    assert remote.count("\x1b[") > 10


def test_the_debugger_begins_at_the_users_code(show):
    show()
    tb = sys.last_value.__traceback__
    while tb.tb_next is not None:
        tb = tb.tb_next
    assert tb.tb_frame.f_globals["__name__"] == "__main__"


def test_an_exception_is_as_it_was_afterwards(show):
    show()
    assert type(sys.last_value.__cause__).__name__ == "RemoteTraceback"


def test_a_server_that_is_gone(run, camera, server):
    server.close()
    assert server.wait_closed(10)
    _, shown = run(LOCAL)
    assert "ServerDisconnected" in shown
    assert "conversation.py" not in shown


def test_others_are_ipythons(run):
    _, shown = run("1 / 0")
    assert "Remote" not in shown
    assert "ZeroDivisionError" in shown


def test_what_is_raised_because_of_it(run, camera):
    _, shown = run(
        "try:\n    camera.fail()\nexcept ValueError as e:\n    raise KeyError('x') from e"
    )
    assert 'raise ValueError("no light")' in shown
    assert "KeyError: 'x'" in shown


def test_frames_of_ours_alone_are_kept():
    try:
        raise ValueError
    except ValueError as error:
        tb = up_to_the_user(error.__traceback__, (__name__.partition(".")[0],))
    assert tb.tb_frame.f_code.co_name == "test_frames_of_ours_alone_are_kept"
