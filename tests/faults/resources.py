"""What runs out while a node is used, in its process or in its user's."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from spawner import ProcessSpawner

from .cells import Outcomes, template
from .table import Row

WHILE = 0.5
"""Seconds for which the use goes on then."""

Benches = tuple[Any, Any]
"""The module `bench` in the process of the user, and in the node."""


def _clients_descriptors(user: Any, node: Any) -> None:
    user.use_up_descriptors()


def _nodes_descriptors(user: Any, node: Any) -> None:
    node.use_up_descriptors()


def _shared_memory(user: Any, node: Any) -> None:
    for bench in (user, node):
        bench.refuse_segments()


def _nothing_more(user: Any, node: Any) -> None:
    pass


RUN_OUT: dict[str, Callable[[Any, Any], None]] = {
    "client's descriptors": _clients_descriptors,
    "node's descriptors": _nodes_descriptors,
    "no shared memory": _shared_memory,
    "disk full": _nothing_more,  # from the beginning
}


def can_fill_a_disk() -> bool:
    """Whether there can be a small one, which is full."""
    return (
        os.geteuid() == 0
        and not subprocess.run(
            ["unshare", "--mount", "true"], capture_output=True, check=False
        ).returncode
    )


@contextlib.contextmanager
def full_disk() -> Iterator[dict[str, str | None]]:
    """What has all files of a process be made on a disk that is full."""
    with tempfile.TemporaryDirectory(prefix="pyacq-rpc-test-full-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=2", "tmpfs", folder]
        subprocess.run(mount, check=True)
        try:
            with open(os.path.join(folder, "all"), "wb", buffering=0) as file:
                file.write(bytes(4096))
            yield {"XDG_RUNTIME_DIR": folder, "TMPDIR": folder, "HOME": folder}
        finally:
            subprocess.run(["umount", folder], check=True)


def run_out(row: Row, uses: Sequence[str]) -> Outcomes:
    """Let something run out while some nodes are used, each by a process of its own."""
    found: Outcomes = {}
    with contextlib.ExitStack() as stack:
        env = stack.enter_context(full_disk()) if row.fault == "disk full" else {}
        origin = stack.enter_context(template())
        users = {}
        for use in uses:
            node = stack.enter_context(ProcessSpawner(template=origin, env=env))
            user = stack.enter_context(ProcessSpawner(template=origin, env=env))
            there = node._import("faults.bench")
            there.publish()
            users[use] = user._import("faults.uses")
            users[use].begin(use, node.address)
            RUN_OUT[row.fault](user._import("faults.bench"), there)
        time.sleep(WHILE)
        for use, user in users.items():
            found[use] = user.end().partition(":")[0], 0.0
    return found
