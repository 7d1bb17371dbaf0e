"""Lets contenders take turns at works."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

from . import burners, player
from .works import Phase, Work

__all__ = ["Results", "measure"]

Results = dict[str, dict[str, list["float | None"]]]
"""Quantity, contender: what each round has brought, None if it took no part."""


def measure(
    phases: Iterable[Phase],
    contenders: Sequence[str],
    folder: str,
    told: Callable[[str], object] = lambda text: None,
) -> tuple[Results, dict[tuple[str, str], str]]:
    """Do all works with all contenders, round by round.

    Parameters
    ----------
    phases : iterable of Phase
    contenders : sequence of str
        Their names.
    folder : str
        For their sockets.
    told : callable, optional
        Is told how far things are.

    Returns
    -------
    results : dict
        Quantity, contender: a value for each round. A quantity is called like
        its work, or like that and its own name.
    failures : dict
        Contender, work: the traceback of what could not be done.
    """
    results: Results = {}
    failures: dict[tuple[str, str], str] = {}
    with contextlib.ExitStack() as opening:
        players = []
        for name in contenders:
            told(f"starting {name}")
            try:
                players.append(opening.enter_context(player.start(name, folder)))
            except player.Failed as failure:
                failures[name, "anything"] = str(failure)
        for phase in phases if players else ():
            with burners.burning() if phase.busy else contextlib.nullcontext():
                _Turns(phase, players, folder, told, results, failures).take()
    return results, failures


class _Turns:
    """The turns of one phase."""

    def __init__(
        self,
        phase: Phase,
        players: list[player.Player],
        folder: str,
        told: Callable[[str], object],
        results: Results,
        failures: dict[tuple[str, str], str],
    ) -> None:
        self._phase = phase
        self._players = players
        self._folder = folder
        self._told = told
        self._results = results
        self._failures = failures
        self._spent: dict[tuple[str, str], float] = {}

    def take(self) -> None:
        phase = self._phase
        for number in range(0 if phase.warm else 1, phase.rounds + 1):
            for index, work in enumerate(phase.works):
                self._told(f"{work.name}: round {number} of {phase.rounds}")
                first = (number + index) % len(self._players)
                for one in (*self._players[first:], *self._players[:first]):
                    if work.method in one.can:
                        self._take_one(work, one, number)

    def _take_one(self, work: Work, one: player.Player, number: int) -> None:
        key = one.name, work.name
        spent = self._spent.get(key, 0.0)
        tired = number > 2 and spent * number / (number - 1) > self._phase.patience
        if key in self._failures or tired:
            return
        try:
            begin = time.monotonic()
            found = self._play(work, one, warm_up=not number)
        except player.Failed as failure:
            self._failures[key] = str(failure)
            return
        if not number:
            return
        self._spent[key] = spent + time.monotonic() - begin
        for what, value in found.items():
            rounds = self._results.setdefault(f"{work.name} {what}".rstrip(), {})
            values = rounds.setdefault(one.name, [None] * self._phase.rounds)
            values[number - 1] = value

    def _play(self, work: Work, one: player.Player, warm_up: bool) -> dict[str, float]:
        with contextlib.ExitStack() as opening:
            if self._phase.fresh:
                one = opening.enter_context(player.start(one.name, self._folder))
            return one.play(
                method=work.method,
                arguments=work.arguments,
                count=max(1, work.count // 10) if warm_up else work.count,
                timed=work.timed,
                seconds=self._phase.seconds,
                settling=self._phase.settling,
            )
