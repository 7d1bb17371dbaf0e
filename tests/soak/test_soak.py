"""Two seconds of ``tests/soak/run.py``, and that it would tell."""

from __future__ import annotations

import pytest
from conftest import eventually
from soak import run, work


@pytest.mark.timeout(120)
def test_two_seconds(capsys):
    assert run.main(["--seconds", "2", "--looks", "1", "--seed", "4"]) == 0, capsys.readouterr().out
    told = capsys.readouterr().out
    assert "seed 4" in told
    assert "wrong" not in told
    jobs = int(told.splitlines()[-1].split()[1])
    assert jobs > 0


@pytest.mark.parametrize(
    ("found", "is_last", "is_fine"),
    [
        ({"MB": 100, "leases": 1}, True, True),
        ({"MB": 139, "leases": 1}, True, True),
        ({"MB": 141, "leases": 1}, False, False),
        ({"MB": 100, "leases": 2}, False, False),
        ({"MB": 100, "grants": 3}, False, True),
        ({"MB": 100, "grants": 13}, False, False),
        ({"MB": 100, "grants": 1}, True, False),
    ],
)
def test_what_has_grown_is_told(found, is_last, is_fine):
    first = {"MB": 100, "leases": 1, "grants": 1}
    assert (run.grown(first, found, is_last) == []) == is_fine


def test_only_a_kill_just_before_excuses_a_failure():
    soak = run.Soak.__new__(run.Soak)
    soak.kills = [(100.0, "a")]
    for begun, ended, nodes, is_excused in [
        (99.0, 101.0, ("a", "b"), True),
        (105.0, 106.0, ("b", "a"), True),
        (98.0, 99.0, ("a", "b"), False),
        (99.0, 101.0, ("b", "b"), False),
        (150.0, 151.0, ("a", "a"), False),
    ]:
        assert soak._is_excused(begun, ended, nodes, "") == is_excused


def test_a_worker_tells_of_wrong_answers(server, monkeypatch):
    def wrong(job):
        work.check(False, "not so")

    monkeypatch.setattr(work, "JOBS", [wrong])
    worker = work.Worker(1, [server.address], threads=1)
    worker.go_on()
    assert eventually(lambda: worker.wrong)
    worker.pause()
    done, disturbed, wrongs = worker.report()
    worker.end()
    assert (done, disturbed) == (0, [])
    assert wrongs[0] == "wrong: AssertionError: ('not so',)"
