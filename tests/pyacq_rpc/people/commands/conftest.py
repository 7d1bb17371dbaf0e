from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from command_line import PROGRAM, Serving


@pytest.fixture(autouse=True)
def _own_list_of_servers(runtime_directory):
    """Nothing but the test's own servers is listed."""


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Serving]]:
    """Start ``pyacq-rpc serve`` with some arguments; a module ``lab`` is there."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(Serving(arguments, tmp_path))


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the program with some arguments."""
    started = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [*PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield run
    for program in started:
        program.kill()
        program.wait()
        for pipe in (program.stdout, program.stderr):
            pipe.close()


@pytest.fixture
def fails(capsys):
    """Run a command that fails; return the one sentence that it says."""
    from pyacq_rpc.__main__ import main

    def run(*argv: str) -> str:
        assert main(argv) == 1
        ended = capsys.readouterr()
        before = f"pyacq-rpc {argv[0]}: "
        told = ended.err.splitlines()[-1]
        assert told.startswith(before)
        return told.removeprefix(before)

    return run


@pytest.fixture
def prints(capsys):
    """Run a command that succeeds; return what it prints."""
    from pyacq_rpc.__main__ import main

    def run(*argv: str) -> str:
        assert main(argv) == 0
        ended = capsys.readouterr()
        assert ended.err == ""
        return ended.out

    return run
