"""Interrupts of a function, as by Ctrl-C, in every place where Python lets one come."""

from __future__ import annotations

import dis
import functools
import sys
from collections.abc import Callable, Generator
from types import CodeType, FrameType
from typing import Any

_UNRAISABLE = {"__del__", "_remove"}
"""Functions that are called where no exception can be raised."""

_DRY = 5
"""Times in a row that nothing new must come up: what threads do is not the same each time."""


@functools.cache
def _names(code: CodeType) -> dict[int, str]:
    return {found.offset: found.opname for found in dis.get_instructions(code)}


def _is_unraisable(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_name in _UNRAISABLE:
            return True
        frame = frame.f_back
    return False


def _apart(function: Callable[[], object]) -> Generator[object, None, None]:
    """Call a function where it has a state of its own of what exception is handled.

    One that comes out of a trace function, where an ``except`` clause is being left, would
    stay in `sys.exc_info` for good.
    """
    yield function()


class Everywhere:
    """Interrupts a function in another place each time.

    Python looks for signals when a function begins, when a call has returned
    and when a loop goes back. The place is an instruction, and the one that it
    was called from.

    Attributes
    ----------
    place : str
        Where the last run was interrupted.
    """

    def __init__(self) -> None:
        self.place = ""
        self._tried: set[Any] = set()
        self._within = False
        self._last: dict[FrameType, str] = {}
        self._dry = 0

    def goes_on(self) -> bool:
        """Whether there may be places that have not been tried."""
        return self._dry < _DRY

    def run(self, function: Callable[[], object]) -> bool:
        """Call the function, in the main thread; whether it was interrupted."""
        self.place = ""
        self._last.clear()
        before = sys.gettrace()
        self._within = True
        sys.settrace(self._begin)
        try:
            next(_apart(function))
        except KeyboardInterrupt:
            assert self.place
        finally:
            sys.settrace(before)
            self._within = False
        self._dry = 0 if self.place else self._dry + 1
        return bool(self.place)

    def _begin(self, frame: FrameType, event: str, arg: object) -> Any:
        code = frame.f_code
        if not self._within or code.co_filename == __file__ or _is_unraisable(frame):
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        self._interrupt(frame)
        return self._step

    def _step(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "return":
            self._last.pop(frame, None)
        elif event == "opcode" and self._within:
            name = _names(frame.f_code)[frame.f_lasti]
            last, self._last[frame] = self._last.get(frame, ""), name
            if last.startswith("CALL") or "JUMP_BACKWARD" in name or name == "JUMP_ABSOLUTE":
                self._interrupt(frame)
        return self._step

    def _interrupt(self, frame: FrameType) -> None:
        caller = frame.f_back
        assert caller is not None
        place = (frame.f_code, frame.f_lasti, caller.f_code, caller.f_lasti)
        if place not in self._tried:
            self._tried.add(place)
            self._within = False
            self.place = " < ".join(
                f"{each.f_code.co_name} ({each.f_code.co_filename}:{each.f_lineno})"
                for each in (frame, caller)
            )
            raise KeyboardInterrupt
