from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

import psutil
import pytest

pytest.importorskip("numpy")

from benchmarks import burners, measure, memory, player
from benchmarks.contenders import CONTENDERS, OURS, PEERS, RAW, missing
from benchmarks.weighing import weigh
from benchmarks.works import PHASES, Phase, Work, busy, named, tiny


class Pretender:
    """Does two works of three, and notes when."""

    can = ("call", "fail")

    def __init__(self, name: str, turns: list[str], takes: float = 0.0) -> None:
        self.name = name
        self.turns = turns
        self.takes = takes

    def play(self, method: str, count: int, **turn: object) -> dict[str, float]:
        self.turns.append(f"{self.name} {method} {count}")
        time.sleep(self.takes)
        if method == "fail":
            raise player.Failed("because")
        return {"": float(len(self.turns))}


@pytest.fixture
def turns(monkeypatch) -> list[str]:
    turns: list[str] = []

    @contextlib.contextmanager
    def start(name: str, folder: str) -> Iterator[Pretender]:
        if name == "broken":
            raise player.Failed("it has ended")
        yield Pretender(name, turns, takes=0.5 if name == "slow" else 0.0)

    monkeypatch.setattr(player, "start", start)
    return turns


def test_contenders_take_turns_and_each_begins_in_its_turn(turns):
    phases = [Phase([Work("call", "call", 10)], rounds=2)]
    results, failures = measure.measure(phases, ["a", "b"], "")
    assert turns == ["a call 1", "b call 1", "b call 10", "a call 10", "a call 10", "b call 10"]
    assert results == {"call": {"b": [3.0, 6.0], "a": [4.0, 5.0]}}
    assert not failures


def test_who_fails_is_not_asked_again_and_nobody_does_what_he_cannot(turns):
    phases = [Phase([Work("f", "fail"), Work("p", "proxies"), Work("c", "call")], 2, warm=False)]
    results, failures = measure.measure(phases, ["a"], "")
    assert turns == ["a fail 1", "a call 1", "a call 1"]
    assert results == {"c": {"a": [2.0, 3.0]}}
    assert failures == {("a", "f"): "because"}


def test_who_does_not_start_is_left_out(turns):
    phases = [Phase([Work("call", "call")], rounds=1, warm=False)]
    results, failures = measure.measure(phases, ["broken", "a"], "")
    assert results == {"call": {"a": [1.0]}}
    assert failures == {("broken", "anything"): "it has ended"}


def test_a_turn_is_told_how_long_it_takes(turns, monkeypatch):
    phase = Phase([Work("call", "call")], rounds=1, seconds=0.25, settling=0.125, warm=False)
    told = {}
    monkeypatch.setattr(Pretender, "play", lambda one, **turn: told.update(turn) or {"": 1.0})
    measure.measure([phase], ["a"], "")
    assert (told["seconds"], told["settling"]) == (0.25, 0.125)


def test_who_takes_too_long_has_two_turns(turns):
    phases = [Phase([Work("call", "call")], rounds=5, warm=False, patience=0.75)]
    results, _ = measure.measure(phases, ["slow", "quick"], "")
    assert results["call"]["slow"][2:] == [None, None, None]
    assert None not in results["call"]["quick"]


def test_the_median_of_single_calls_is_found_within_the_time():
    class Slow:
        def call(self) -> None:
            time.sleep(0.01)

    begin = time.monotonic()
    found = player.take_turn(Slow(), "call", [], 1000, "each", 0.05)
    assert 0.01 <= found[""] < 20
    assert time.monotonic() - begin < 20


def test_what_it_takes_until_the_machine_is_awake_does_not_count():
    class Waking:
        calls = 0

        def call(self) -> None:
            self.calls += 1
            time.sleep(0.1 if self.calls <= 4 else 0.0)

    assert player.take_turn(Waking(), "call", [], 5, "each", 20.0, settling=0.25)[""] < 0.1


def test_a_player_answers_and_survives_a_failure(tmp_path):
    turn = {"arguments": [], "count": 2, "timed": "each", "seconds": 1.0}
    with player.start(RAW, str(tmp_path)) as one:
        assert {"call", "inproc", "crowd"} <= set(one.can)
        assert "bound" not in one.can
        assert 0 < one.play(method="call", **turn)[""] < 20
        with pytest.raises(player.Failed, match="no_such_work"):
            one.play(method="no_such_work", **turn)
        assert 0 < one.play(method="inproc", **turn)[""] < 20
    with pytest.raises((player.Failed, ValueError)):
        one.play(method="call", **turn)


def test_burners_burn_and_end():
    with burners.burning():
        children = psutil.Process().children()
        assert len(children) == os.cpu_count()
    assert not any(child.is_running() for child in children)


def test_memory_is_what_a_process_has():
    own = memory.own(os.getpid())
    assert 1_000_000 < own <= memory.share(os.getpid()) + 1_000_000
    ballast = b"x" * 50_000_000
    assert memory.own(os.getpid()) - own > 0.9 * len(ballast)


def test_proxies_are_weighed_until_the_last_has_gone():
    alive = 0

    class Proxy:
        def __init__(self) -> None:
            nonlocal alive
            alive += 1
            self.ballast = b"x" * 500_000  # so large that its memory is given back

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    found = weigh(
        os.getpid(), 100, lambda count: [Proxy() for _ in range(count)], lambda: alive, at_once=30
    )
    assert alive == 0
    assert 450_000 < found["client"] < 600_000
    assert 0 < found["release"] < 20


def test_works_are_chosen_by_name_or_first_word():
    chosen = named(busy(PHASES), ["send", "call"])
    names = [work.name for phase in chosen for work in phase.works]
    assert names == ["call", "busy call", "send 1 MB", "send 8 MB", "send 64 MB"]
    assert named(PHASES, ["nonsense"]) == []


def test_a_tiny_run_does_every_work_but_the_large():
    names = {work.name for phase in PHASES for work in phase.works}
    small = {work.name for phase in tiny(PHASES) for work in phase.works}
    assert names - small == {"send 8 MB", "send 64 MB", "get 8 MB", "get 64 MB"}


def test_we_need_no_peer():
    assert not missing(RAW)
    assert not missing(OURS)
    assert [RAW, OURS, *PEERS] == list(CONTENDERS)
