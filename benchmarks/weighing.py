"""How much many live proxies take, and how long it takes to get rid of them."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

from . import memory

__all__ = ["weigh"]


def weigh(
    pid: int,
    count: int,
    make: Callable[[int], list[object]],
    alive: Callable[[], int],
    at_once: int = 1_000_000,
) -> dict[str, float]:
    """Measure proxies in both processes, and their end.

    Parameters
    ----------
    pid : int
        The process where the objects are.
    count : int
    make : callable
        Returns that many proxies, each of an object of its own.
    alive : callable
        Returns how many of the objects there are.
    at_once : int
        How many may go without a call in between.

    Returns
    -------
    dict
        Bytes of one proxy in the ``client`` and, with the object that it stands
        for, in the ``server``; ``release``, the seconds for one when all go.
    """
    gc.collect()
    assert alive() == 0
    client, server = memory.own(os.getpid()), memory.own(pid)
    proxies = make(count)
    assert len(proxies) == alive() == count
    client, server = memory.own(os.getpid()) - client, memory.own(pid) - server
    begin = time.perf_counter()
    while proxies:
        del proxies[-at_once:]
        left = alive()
    while left:
        time.sleep(0.001)
        left = alive()
    seconds = time.perf_counter() - begin
    return {"client": client / count, "server": server / count, "release": seconds / count}
