"""Fuzzing that is guided by what code is reached, where atheris installs (Linux, CPython)::

    pip install atheris
    python tests/fuzz/guided.py wire --seconds 600
    python tests/fuzz/guided.py session --seconds 600
    python tests/fuzz/guided.py server --seconds 600

The invariants are those of ``fuzz_wire.py``, ``fuzz_session.py`` and
``fuzz_server.py``. An input is some messages, after each other, each of some
frames; it begins from the recordings in ``corpus/``. What is found is written to
the directory that ``--found`` names.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

import atheris  # type: ignore[import-not-found]  # installed by hand where this is run

with atheris.instrument_imports(include=["pyacq_rpc"]):
    from fuzz import fuzz_server, fuzz_session, fuzz_wire
    from fuzz.conversations import ADDRESS, SERVER, Player, recordings, serializer_of

    from pyacq_rpc.transport.keys import KEY_VARIABLE

FRAME, MESSAGE = b"\xc1--", b"\xc1=="
"""What stands between frames and between messages: a byte that MessagePack never uses."""


def messages_of(data: bytes) -> list[fuzz_wire.Frames]:
    return [message.split(FRAME) for message in data.split(MESSAGE)]


_player = Player(0, ADDRESS, SERVER)


def try_wire(data: bytes) -> None:
    for frames in messages_of(data):
        fuzz_wire.feed(frames)


def try_session(data: bytes) -> None:
    session, player = fuzz_session.Session(), _player
    for number, frames in enumerate(messages_of(data)):
        player.refs = session.refs[-1:]
        peer = fuzz_session.PEERS[number % 2]
        session.feed(peer, player.message(frames, mutate=False))
    session.end()


def try_server(data: bytes) -> None:
    global _arena, _rounds
    if _arena is None:
        _arena = fuzz_server.Arena(0, "direct")
    messages = messages_of(data)
    assert serializer_of(messages)
    _arena.attack([_arena.player.message(frames, mutate=False) for frames in messages])
    _rounds += 1
    if _rounds % 20 == 0:
        _arena.check()


_arena: fuzz_server.Arena | None = None
_rounds = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("target", choices=["wire", "session", "server"])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--found", default=tempfile.gettempdir())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ.setdefault(KEY_VARIABLE, os.path.join(directory, "key"))
        corpus = Path(directory) / "corpus"
        corpus.mkdir()
        for name, messages in recordings().items():
            data = MESSAGE.join(FRAME.join(frames) for frames in messages)
            (corpus / name).write_bytes(data)
        arguments = [
            sys.argv[0],
            str(corpus),
            f"-max_total_time={options.seconds}",
            f"-artifact_prefix={options.found}/",
            "-rss_limit_mb=1024",
            "-timeout=60",
        ]
        atheris.Setup(arguments, globals()[f"try_{options.target}"])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
